//! The newest signals of a table that is being written: cheap enough to ask for each second.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use datafusion::prelude::{col, lit};
use futures::TryStreamExt;

use super::catalog::Catalog;
use super::error::QueryError;
use super::pruning::FileBounds;
use super::session::{DEFAULT_MEMORY_BYTES, QuerySession, TICKS, run_error};
use super::statement::Parsed;
use crate::lake::TableView;

/// Rows looked at: enough to fill the means of some hundred symbols.
const RECENT_ROWS: u64 = 20_000;

/// A row of `sma_crossover` that says more than Hold.
#[derive(Debug, Clone, PartialEq)]
pub struct NewestSignal {
    pub symbol: String,
    /// Microseconds since the epoch, UTC.
    pub ts: i64,
    pub close: f64,
    pub sma_fast: f64,
    pub sma_slow: f64,
    /// Buy, Sell or Hold.
    pub signal: String,
    /// golden or death, where the means cross.
    pub cross_event: Option<String>,
    pub confirmed: bool,
}

/// Newest first. Reads the newest files only, so means begin there and a crossing right at their edge is not seen.
///
/// # Errors
/// A file can't be read.
pub async fn newest_signals(view: &TableView, limit: usize) -> Result<Vec<NewestSignal>, QueryError> {
    let catalog = Catalog::load(None)?;
    let mut parsed = Parsed::parse(&catalog.get("sma_crossover")?.text)?;
    parsed.bind(&[])?;
    let mut session = QuerySession::new(DEFAULT_MEMORY_BYTES)?;
    session.register(TICKS, recent(view))?;
    let frame = session.frame(&parsed).await?;
    let says_something = col("signal").not_eq(lit("Hold")).or(col("cross_event").is_not_null());
    let newest_first = vec![col("ts").sort(false, false), col("symbol").sort(true, false)];
    let frame = frame.filter(says_something).and_then(|frame| frame.sort(newest_first));
    let frame = frame.and_then(|frame| frame.limit(0, Some(limit))).map_err(|error| run_error(&error))?;
    let planned = session.plan_frame(frame).await.map_err(|error| run_error(&error))?;
    let batches: Vec<RecordBatch> = planned.run()?.try_collect().await.map_err(|error| run_error(&error))?;
    Ok(batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| signal_at(batch, row))).collect())
}

/// The newest files of a table, as many as hold [`RECENT_ROWS`].
fn recent(view: &TableView) -> TableView {
    let bounds = FileBounds::of(view.clone());
    let mut newest_first: Vec<usize> = (0..view.files.len()).collect();
    newest_first.sort_by_key(|at| std::cmp::Reverse(bounds.newest_ts(*at)));
    let mut recent = view.clone();
    recent.files.clear();
    let mut rows = 0;
    for at in newest_first {
        if rows >= RECENT_ROWS {
            break;
        }
        rows += view.files[at].rows.unwrap_or(0);
        recent.files.push(view.files[at].clone());
    }
    recent
}

fn signal_at(batch: &RecordBatch, row: usize) -> NewestSignal {
    let column = |name: &str| batch.column_by_name(name).expect("a column of sma_crossover");
    let double = |name: &str| column(name).as_primitive::<Float64Type>().value(row);
    let event = column("cross_event").as_string::<i32>();
    NewestSignal {
        symbol: column("symbol").as_string::<i32>().value(row).to_owned(),
        ts: column("ts").as_primitive::<TimestampMicrosecondType>().value(row),
        close: double("close"),
        sma_fast: double("sma_fast"),
        sma_slow: double("sma_slow"),
        signal: column("signal").as_string::<i32>().value(row).to_owned(),
        cross_event: event.is_valid(row).then(|| event.value(row).to_owned()),
        confirmed: column("confirmed").as_boolean().value(row),
    }
}

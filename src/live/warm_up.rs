//! What the table holds, through the engine: below the offsets where the reading begins, so that the first live value is
//! right; and what rules would have told of it.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, Float64Array, RecordBatch};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use futures::TryStreamExt;

use super::engine::{Engine, Origin};
use super::event::{Event, TickId};
use super::rolling::Point;
use crate::lake::TableView;
use crate::query::{DEFAULT_MEMORY_BYTES, Parsed, QueryError, QuerySession, TICKS};

/// Newest partitions (trade dates) that are read whole: the session so far, and the one before it.
const WHOLE: usize = 2;
/// Farther back is read only until the windows of all symbols are full, and no farther than this.
const MOST_PARTITIONS: usize = 64;
const MOST_ROWS: u64 = 50_000_000;
const DAY_MICROS: i64 = 86_400_000_000;

/// The window makes the rows of each symbol come in their order, without a sort over symbols.
const ROWS: &str = "SELECT symbol, ts, open, high, low, close, volume, trade_date, kafka_epoch, kafka_partition, \
     kafka_offset, kafka_index, LAG(close) OVER (PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, \
     kafka_index) AS prev_close FROM ticks";
const COUNTS: &str = "SELECT symbol, COUNT(*) AS rows FROM ticks GROUP BY symbol";

/// Where the reading of each partition begins, and what was told of it before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Starts {
    pub epoch: i32,
    /// Next offset to read; rows of the table below it are read from there.
    pub read: BTreeMap<i32, i64>,
    /// Events of ticks below it were told.
    pub told: BTreeMap<i32, i64>,
}

impl Starts {
    pub fn origin(&self, partition: i32) -> Origin {
        let told = self.told.get(&partition).copied().unwrap_or(0);
        Origin { epoch: self.epoch, partition, told }
    }

    /// `None` for what is read from Kafka; else whether it is still to be told.
    fn of_table(&self, tick: TickId) -> Option<bool> {
        if tick.epoch != self.epoch {
            return (tick.epoch < self.epoch).then_some(false);
        }
        let Some(read) = self.read.get(&tick.partition) else { return Some(false) };
        (tick.offset < *read).then(|| tick.offset >= self.origin(tick.partition).told)
    }
}

/// Reads as far back as windows and sessions need; returns the number of rows.
///
/// # Errors
/// The table can't be read.
pub async fn warm_up(engine: &mut Engine, view: &TableView, starts: &Starts) -> Result<u64, QueryError> {
    feed(engine, needed(view, engine.rows_needed(), None).await?, |_, _, tick| starts.of_table(tick)).await
}

/// What would have been told of the ticks in `[since, until)` (microseconds since the epoch, UTC) of the symbols that
/// `wants` says, oldest first.
///
/// # Errors
/// The table can't be read.
pub async fn history(
    engine: &mut Engine,
    view: &TableView,
    (since, until): (i64, i64),
    wants: impl Fn(&str) -> bool,
) -> Result<Vec<Event>, QueryError> {
    let day = since.div_euclid(DAY_MICROS);
    // A trade date begins at most a day before or after the one of UTC.
    let day = i32::try_from(day - 1).unwrap_or(i32::MIN);
    let view = needed(view, engine.rows_needed(), Some(day)).await?;
    feed(engine, view, |symbol, ts, _| (ts < until && wants(symbol)).then_some(ts >= since)).await?;
    let mut events = engine.events();
    events.sort_by(|one, other| {
        let key = |event: &Event| (event.ts, event.tick);
        (key(one), &one.symbol).cmp(&(key(other), &other.symbol))
    });
    Ok(events)
}

/// Gives the engine the rows for which `emits` says whether their events are wanted; `None` leaves a row out.
async fn feed(
    engine: &mut Engine,
    view: TableView,
    emits: impl Fn(&str, i64, TickId) -> Option<bool>,
) -> Result<u64, QueryError> {
    let mut rows = 0;
    let mut batches = run(view, ROWS).await?;
    while let Some(batch) = batches.try_next().await? {
        rows += take(engine, &batch, &emits)?;
    }
    engine.end_warm_up()?;
    Ok(rows)
}

async fn run(
    view: TableView,
    sql: &str,
) -> Result<impl futures::Stream<Item = Result<RecordBatch, QueryError>> + Unpin, QueryError> {
    let mut session = QuerySession::new(DEFAULT_MEMORY_BYTES)?;
    session.register(TICKS, view)?;
    let planned = session.plan(&Parsed::parse(sql)?).await?;
    Ok(planned.run()?.map_err(|error| QueryError::Run(error.to_string())))
}

/// The newest partitions, as many as fill the windows of the symbols that are still alive, and those from `since` (days
/// since 1970-01-01) on.
async fn needed(view: &TableView, rows_needed: usize, since: Option<i32>) -> Result<TableView, QueryError> {
    let values: BTreeSet<i32> = view.files.iter().map(|file| file.partition_value).collect();
    let newest = |count: usize| {
        let from = values.iter().nth_back(count.min(values.len()).saturating_sub(1)).copied().unwrap_or(i32::MAX);
        let mut part = view.clone();
        part.files.retain(|file| file.partition_value >= from);
        part
    };
    let mut count = since.map_or(0, |since| values.iter().filter(|value| **value >= since).count()) + WHOLE;
    let mut part = newest(count);
    let alive: BTreeSet<String> = counts(part.clone()).await?.into_keys().collect();
    loop {
        let found = counts(part.clone()).await?;
        let is_full = alive.iter().all(|symbol| found.get(symbol).is_some_and(|rows| *rows >= rows_needed as i64));
        let rows: u64 = part.files.iter().filter_map(|file| file.rows).sum();
        if is_full || count >= values.len().min(MOST_PARTITIONS) || rows > MOST_ROWS {
            return Ok(part);
        }
        count *= 2;
        part = newest(count);
    }
}

async fn counts(view: TableView) -> Result<BTreeMap<String, i64>, QueryError> {
    let batches: Vec<RecordBatch> = run(view, COUNTS).await?.try_collect().await?;
    let mut all = BTreeMap::new();
    for batch in &batches {
        let (symbols, rows) = (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
        all.extend(symbols.iter().zip(rows).filter_map(|(symbol, rows)| Some((symbol?.to_owned(), rows?))));
    }
    Ok(all)
}

fn take(
    engine: &mut Engine,
    batch: &RecordBatch,
    emits: impl Fn(&str, i64, TickId) -> Option<bool>,
) -> Result<u64, QueryError> {
    let column = |name: &str| batch.column_by_name(name).expect("a column of the statement");
    let doubles = |name: &str| column(name).as_primitive::<Float64Type>();
    let ints = |name: &str| column(name).as_primitive::<Int32Type>();
    let symbols = column("symbol").as_string::<i32>();
    let ts = column("ts").as_primitive::<TimestampMicrosecondType>();
    let dates = column("trade_date").as_primitive::<Date32Type>();
    let [open, high, low, close, volume] = ["open", "high", "low", "close", "volume"].map(doubles);
    let [epochs, partitions, indices] = ["kafka_epoch", "kafka_partition", "kafka_index"].map(ints);
    let offsets = column("kafka_offset").as_primitive::<Int64Type>();
    let known = |array: &Float64Array, row: usize| if array.is_valid(row) { array.value(row) } else { f64::NAN };
    let mut rows = 0;
    for row in 0..batch.num_rows() {
        let tick = TickId {
            epoch: epochs.value(row),
            partition: partitions.value(row),
            offset: offsets.value(row),
            index: indices.value(row),
        };
        let Some(emits) = emits(symbols.value(row), ts.value(row), tick) else { continue };
        let point = Point {
            ts: ts.value(row),
            trade_date: dates.value(row),
            open: known(open, row),
            high: known(high, row),
            low: known(low, row),
            close: close.value(row),
            volume: known(volume, row),
        };
        engine.warm_up(symbols.value(row), point, tick, emits)?;
        rows += 1;
    }
    Ok(rows)
}

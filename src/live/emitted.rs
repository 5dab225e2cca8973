//! The events in the table `signals`, which a start reads back.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use futures::TryStreamExt;

use crate::lake::{SIGNALS, TableView};
use crate::live::event::{Event, EventKind, SIDES, Severity, TickId};
use crate::query::{DEFAULT_MEMORY_BYTES, ParsedStatement, QueryError, QuerySession};

/// Identities of events in `signals` of ticks at or above `next`. These ticks left the re-order buffer before older
/// offsets.
///
/// # Errors
/// The table can't be read.
pub(in crate::live) async fn emitted_ids_beyond(
    signals: &TableView,
    epoch: i32,
    next: &BTreeMap<i32, i64>,
) -> Result<HashSet<String>, QueryError> {
    let least = next.values().min().copied().unwrap_or(0);
    let sql = format!(
        "SELECT id, kafka_partition, kafka_offset FROM {SIGNALS} WHERE kafka_epoch = {epoch} AND kafka_offset >= \
         {least}"
    );
    let mut found = HashSet::new();
    for batch in rows(signals, &sql).await? {
        let ids = batch.column(0).as_string::<i32>();
        let partitions = batch.column(1).as_primitive::<Int32Type>();
        let offsets = batch.column(2).as_primitive::<Int64Type>();
        let beyond = |row: &usize| next.get(&partitions.value(*row)).is_some_and(|next| offsets.value(*row) >= *next);
        found.extend((0..batch.num_rows()).filter(beyond).map(|row| ids.value(row).to_owned()));
    }
    Ok(found)
}

/// Events that were committed from then on (microseconds since the epoch, UTC): each may not have reached a webhook.
///
/// # Errors
/// The table can't be read.
pub(in crate::live) async fn events_emitted_since(
    signals: &TableView,
    since: i64,
) -> Result<Vec<Arc<Event>>, QueryError> {
    let time = chrono::DateTime::from_timestamp_micros(since).unwrap_or_default();
    let sql = format!(
        "SELECT * FROM {SIGNALS} WHERE emitted_at >= TIMESTAMP '{}' ORDER BY ts, kafka_partition, kafka_offset, \
         kafka_index",
        time.format("%Y-%m-%dT%H:%M:%S%.6fZ")
    );
    let batches = rows(signals, &sql).await?;
    Ok(batches.iter().flat_map(|batch| (0..batch.num_rows()).filter_map(|row| event_at(batch, row))).collect())
}

async fn rows(signals: &TableView, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
    let mut session = QuerySession::new(DEFAULT_MEMORY_BYTES)?;
    session.register(SIGNALS, signals.clone())?;
    let batches = session.plan(&ParsedStatement::parse(sql)?).await?.run()?;
    batches.try_collect().await.map_err(|error| QueryError::Run(error.to_string()))
}

/// Returns `None` for a kind of event that only a newer version knows.
fn event_at(batch: &RecordBatch, row: usize) -> Option<Arc<Event>> {
    let column = |name: &str| batch.column_by_name(name).expect("a column of signals");
    let text = |name: &str| column(name).as_string::<i32>();
    let int = |name: &str| column(name).as_primitive::<Int32Type>().value(row);
    let double = |name: &str| {
        let doubles = column(name).as_primitive::<Float64Type>();
        if doubles.is_valid(row) { doubles.value(row) } else { f64::NAN }
    };
    let (kind, severity) = (text("kind").value(row), text("severity").value(row));
    let (sides, confirmed) = (text("side"), column("confirmed").as_boolean());
    let side = sides.is_valid(row).then(|| sides.value(row));
    Some(Arc::new(Event {
        kind: EventKind::ALL.into_iter().find(|known| known.name() == kind)?,
        name: text("name").value(row).into(),
        symbol: text("symbol").value(row).into(),
        ts: column("ts").as_primitive::<TimestampMicrosecondType>().value(row),
        trade_date: column("trade_date").as_primitive::<Date32Type>().value(row),
        side: SIDES.into_iter().find(|known| Some(*known) == side),
        confirmed: confirmed.is_valid(row).then(|| confirmed.value(row)),
        severity: Severity::ALL.into_iter().find(|known| known.name() == severity)?,
        close: double("close"),
        volume: double("volume"),
        value: double("value"),
        tick: TickId {
            epoch: int("kafka_epoch"),
            partition: int("kafka_partition"),
            offset: column("kafka_offset").as_primitive::<Int64Type>().value(row),
            index: int("kafka_index"),
        },
    }))
}

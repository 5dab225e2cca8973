//! Replays rows of the table through the engine: those below the start offsets, so that the first live value is right,
//! and past ranges for `alerts`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use arrow::array::{Array, AsArray, Float64Array, RecordBatch};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use futures::TryStreamExt;

use crate::lake::TableView;
use crate::live::engine::{SignalEngine, TickPosition};
use crate::live::event::{Event, TickId};
use crate::live::rolling::TickValues;
use crate::query::{DEFAULT_MEMORY_BYTES, ParsedStatement, QueryError, QuerySession, TICKS, TickScope};

/// The newest partitions (trade dates) are read completely: the session so far, and the one before it.
const FULL_PARTITIONS: usize = 2;
/// Older partitions are read only for symbols whose windows are not full yet, and no more of them than this.
const MOST_PARTITIONS: usize = 64;
const MOST_ROWS: u64 = 50_000_000;
const DAY_MICROS: i64 = 86_400_000_000;

/// Where reading each partition begins, and up to which offset its events were already emitted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartOffsets {
    pub epoch: i32,
    /// The next offset to read from Kafka; rows below it are read from the table.
    pub read: BTreeMap<i32, i64>,
    /// Events of ticks below this offset were emitted.
    pub emitted_until: BTreeMap<i32, i64>,
}

impl StartOffsets {
    pub fn origin(&self, partition: i32) -> TickPosition {
        let emitted_until = self.emitted_until.get(&partition).copied().unwrap_or(0);
        TickPosition { epoch: self.epoch, partition, emitted_until }
    }

    /// Whether the events of a row of the table are still to be emitted; `None` for a tick that is read from Kafka.
    fn of_table(&self, tick: TickId) -> Option<bool> {
        if tick.epoch != self.epoch {
            return (tick.epoch < self.epoch).then_some(false);
        }
        let Some(read) = self.read.get(&tick.partition) else { return Some(false) };
        (tick.offset < *read).then(|| tick.offset >= self.origin(tick.partition).emitted_until)
    }
}

/// Reads as far back as windows and sessions need; returns the number of rows.
///
/// # Errors
/// The table can't be read.
pub async fn warm_up(engine: &mut SignalEngine, view: &TableView, starts: &StartOffsets) -> Result<u64, QueryError> {
    // Windows must be full before the first row whose events are emitted, and before those that are read from Kafka.
    let least = |(partition, read): (&i32, &i64)| (*partition, (*read).min(starts.origin(*partition).emitted_until));
    let beyond = counts(view.clone(), starts.epoch, Some(&starts.read.iter().map(least).collect())).await?;
    let oldest = beyond.values().filter_map(|parts| parts.keys().next()).min().copied();
    let needed = needed(view, engine.rows_needed(), oldest, &beyond).await?;
    feed(engine, needed, |_, _, tick| starts.of_table(tick)).await
}

/// The events of the ticks in `[since, until)` (microseconds since the epoch, UTC) of the symbols that `wants` accepts,
/// oldest first.
///
/// # Errors
/// The table can't be read.
pub async fn history(
    engine: &mut SignalEngine,
    view: &TableView,
    (since, until): (i64, i64),
    wants: impl Fn(&str) -> bool,
) -> Result<Vec<Event>, QueryError> {
    let day = since.div_euclid(DAY_MICROS);
    // A trade date begins at most a day before or after the one of UTC.
    let day = i32::try_from(day - 1).unwrap_or(i32::MIN);
    let needed = needed(view, engine.rows_needed(), Some(day), &RowCounts::new()).await?;
    feed(engine, needed, |symbol, ts, _| (ts < until && wants(symbol)).then_some(ts >= since)).await?;
    let mut events = engine.events();
    events.sort_by(|one, other| {
        let key = |event: &Event| (event.ts, event.tick);
        (key(one), &one.symbol).cmp(&(key(other), &other.symbol))
    });
    Ok(events)
}

/// The rows that fill windows and sessions.
struct NeededRows {
    /// Read for all symbols.
    recent: TableView,
    /// Read only for the symbols in `few`, each from its partition of the table on.
    older: TableView,
    few: BTreeMap<String, i32>,
}

/// Rows by symbol and partition of the table.
type RowCounts = BTreeMap<String, BTreeMap<i32, i64>>;

/// The partition `oldest` and all after it are read completely. Rows in `beyond` fill no window.
async fn needed(
    view: &TableView,
    rows_needed: usize,
    oldest: Option<i32>,
    beyond: &RowCounts,
) -> Result<NeededRows, QueryError> {
    let mut rows_of: BTreeMap<i32, u64> = BTreeMap::new();
    for file in &view.files {
        *rows_of.entry(file.partition_value).or_default() += file.rows.unwrap_or(0);
    }
    let before = oldest.map_or(0, |oldest| rows_of.range(oldest..).count());
    let mut rows = 0;
    let farthest = rows_of.iter().rev().enumerate().take_while(|(at, (_, count))| {
        rows += if *at < before { 0 } else { **count };
        *at < before + FULL_PARTITIONS || (*at < before + MOST_PARTITIONS && rows <= MOST_ROWS)
    });
    let farthest = farthest.last().map_or(i32::MAX, |(_, (value, _))| *value);
    let mut found = counts(part_of(view, farthest..=i32::MAX), 0, None).await?;
    for (symbol, parts) in beyond {
        for (value, count) in parts {
            if let Some(rows) = found.get_mut(symbol).and_then(|parts| parts.get_mut(value)) {
                *rows -= count;
            }
        }
    }
    let with_rows: BTreeSet<i32> =
        found.values().flatten().filter(|(_, rows)| **rows > 0).map(|(value, _)| *value).collect();
    let with_rows_before: Vec<i32> =
        with_rows.iter().rev().copied().filter(|value| oldest.is_none_or(|oldest| *value <= oldest)).collect();
    let recent = with_rows_before.get(FULL_PARTITIONS - 1).or(with_rows_before.last()).copied();
    let recent = recent.into_iter().chain(oldest).min().unwrap_or(farthest);
    let mut few = BTreeMap::new();
    for (symbol, parts) in &found {
        let (mut rows, mut from) = (0, i32::MAX);
        for (value, count) in parts.iter().rev().filter(|(_, count)| **count > 0) {
            if rows >= rows_needed as i64 {
                break;
            }
            (rows, from) = (rows + count, *value);
        }
        if from < recent {
            few.insert(symbol.clone(), from);
        }
    }
    let oldest = few.values().min().copied().unwrap_or(recent);
    let older = part_of(view, oldest..=recent.saturating_sub(1));
    Ok(NeededRows { recent: part_of(view, recent..=i32::MAX), older, few })
}

fn part_of(view: &TableView, values: RangeInclusive<i32>) -> TableView {
    let mut part = view.clone();
    part.files.retain(|file| values.contains(&file.partition_value));
    part
}

/// Gives the engine the rows for which `emits` says whether their events are wanted; `None` leaves a row out.
async fn feed(
    engine: &mut SignalEngine,
    needed: NeededRows,
    emits: impl Fn(&str, i64, TickId) -> Option<bool>,
) -> Result<u64, QueryError> {
    let NeededRows { recent, older, few } = needed;
    let mut rows = 0;
    for (view, few) in [(older, Some(&few)), (recent, None)] {
        if view.files.is_empty() {
            continue;
        }
        // The window makes the rows of each symbol come in their order, without a sort over symbols.
        let sql = format!(
            "SELECT symbol, ts, open, high, low, close, volume, trade_date, kafka_epoch, kafka_partition, \
             kafka_offset, kafka_index, {} AS part, LAG(close) OVER (PARTITION BY symbol ORDER BY ts, \
             kafka_partition, kafka_offset, kafka_index) AS prev_close FROM {TICKS}",
            view.partition_column
        );
        let symbols = few.map(|few| few.keys().cloned().collect()).unwrap_or_default();
        let mut batches = run(view, &sql, symbols).await?;
        while let Some(batch) = batches.try_next().await? {
            rows += take(engine, &batch, few, &emits)?;
        }
    }
    engine.end_warm_up();
    Ok(rows)
}

/// Runs a statement on the rows of these symbols, or of all symbols if the list is empty.
async fn run(
    view: TableView,
    sql: &str,
    symbols: Vec<String>,
) -> Result<impl futures::Stream<Item = Result<RecordBatch, QueryError>> + Unpin, QueryError> {
    let mut session = QuerySession::new(DEFAULT_MEMORY_BYTES)?;
    session.register(TICKS, view)?;
    let mut parsed = ParsedStatement::parse(sql)?;
    parsed.restrict_table(&TickScope { symbols, from: None, to: None }, TICKS)?;
    let planned = session.plan(&parsed).await?;
    Ok(planned.run()?.map_err(|error| QueryError::Run(error.to_string())))
}

/// Counts all rows, or those of an epoch at or beyond these offsets.
async fn counts(view: TableView, epoch: i32, beyond: Option<&BTreeMap<i32, i64>>) -> Result<RowCounts, QueryError> {
    let mut all = RowCounts::new();
    let condition = match beyond {
        None => "true".to_owned(),
        // Files have statistics of their offsets, so older files are not read.
        Some(offsets) => {
            let each = |(partition, offset): (&i32, &i64)| {
                format!("(kafka_partition = {partition} AND kafka_offset >= {offset})")
            };
            let each: Vec<String> = offsets.iter().map(each).collect();
            if each.is_empty() {
                return Ok(all);
            }
            format!("kafka_epoch = {epoch} AND ({})", each.join(" OR "))
        }
    };
    let part = &view.partition_column;
    let sql = format!("SELECT symbol, {part} AS part, COUNT(*) AS rows FROM {TICKS} WHERE {condition} GROUP BY 1, 2");
    let batches: Vec<RecordBatch> = run(view, &sql, Vec::new()).await?.try_collect().await?;
    for batch in &batches {
        let symbols = batch.column(0).as_string::<i32>();
        let (parts, rows) = (batch.column(1).as_primitive::<Date32Type>(), batch.column(2).as_primitive::<Int64Type>());
        for row in 0..batch.num_rows() {
            let symbol = all.entry(symbols.value(row).to_owned()).or_default();
            symbol.insert(parts.value(row), rows.value(row));
        }
    }
    Ok(all)
}

fn take(
    engine: &mut SignalEngine,
    batch: &RecordBatch,
    few: Option<&BTreeMap<String, i32>>,
    emits: impl Fn(&str, i64, TickId) -> Option<bool>,
) -> Result<u64, QueryError> {
    let column = |name: &str| batch.column_by_name(name).expect("a column of the statement");
    let doubles = |name: &str| column(name).as_primitive::<Float64Type>();
    let ints = |name: &str| column(name).as_primitive::<Int32Type>();
    let symbols = column("symbol").as_string::<i32>();
    let ts = column("ts").as_primitive::<TimestampMicrosecondType>();
    let [dates, parts] = ["trade_date", "part"].map(|name| column(name).as_primitive::<Date32Type>());
    let [open, high, low, close, volume] = ["open", "high", "low", "close", "volume"].map(doubles);
    let [epochs, partitions, indices] = ["kafka_epoch", "kafka_partition", "kafka_index"].map(ints);
    let offsets = column("kafka_offset").as_primitive::<Int64Type>();
    let known = |array: &Float64Array, row: usize| if array.is_valid(row) { array.value(row) } else { f64::NAN };
    let mut rows = 0;
    for row in 0..batch.num_rows() {
        if few.is_some_and(|few| few.get(symbols.value(row)).is_none_or(|from| parts.value(row) < *from)) {
            continue;
        }
        let tick = TickId {
            epoch: epochs.value(row),
            partition: partitions.value(row),
            offset: offsets.value(row),
            index: indices.value(row),
        };
        let Some(emits) = emits(symbols.value(row), ts.value(row), tick) else { continue };
        let point = TickValues {
            ts: ts.value(row),
            trade_date: dates.value(row),
            open: known(open, row),
            high: known(high, row),
            low: known(low, row),
            close: close.value(row),
            volume: known(volume, row),
        };
        engine.warm_up(symbols.value(row), point, tick, emits);
        rows += 1;
    }
    Ok(rows)
}

//! Ticks as plain columns: what crosses the queue between the consumer and the pipeline.

use hashbrown::HashMap;

use super::Tick;

/// A cleared dictionary with more symbols than this is dropped, as senders may invent symbols without end.
const MAX_KEPT_SYMBOLS: usize = 1_000;

/// Optional text values packed end to end.
#[derive(Debug, Clone, Default)]
pub struct StringColumn {
    pub text: String,
    /// End of each value in `text`.
    pub ends: Vec<u32>,
    pub valid: Vec<bool>,
}

impl StringColumn {
    pub fn push(&mut self, value: Option<&str>) {
        if let Some(value) = value {
            self.text.push_str(value);
        }
        self.ends.push(self.text.len() as u32);
        self.valid.push(value.is_some());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn get(&self, row: usize) -> Option<&str> {
        if !self.valid[row] {
            return None;
        }
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        Some(&self.text[start..self.ends[row] as usize])
    }

    fn memory_bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * 4 + self.valid.capacity()
    }

    pub fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.valid.truncate(rows);
        self.text.truncate(self.ends.last().map_or(0, |end| *end as usize));
    }
}

/// Type of a column that the configuration adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExtraType {
    Double,
    Bigint,
    String,
    Boolean,
}

/// A column that the configuration adds: `[columns.bid] path = "/b" type = "double"`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraSpec {
    /// JSON pointer into the message.
    pub path: String,
    #[serde(rename = "type")]
    pub kind: ExtraType,
}

/// Values of one extra column.
#[derive(Debug, Clone)]
pub enum ExtraColumn {
    Double(Vec<Option<f64>>),
    Bigint(Vec<Option<i64>>),
    String(StringColumn),
    Boolean(Vec<Option<bool>>),
}

impl ExtraColumn {
    pub fn new(kind: ExtraType) -> Self {
        match kind {
            ExtraType::Double => Self::Double(Vec::new()),
            ExtraType::Bigint => Self::Bigint(Vec::new()),
            ExtraType::String => Self::String(StringColumn::default()),
            ExtraType::Boolean => Self::Boolean(Vec::new()),
        }
    }

    fn memory_bytes(&self) -> usize {
        match self {
            Self::Double(values) => values.capacity() * 16,
            Self::Bigint(values) => values.capacity() * 16,
            Self::String(values) => values.memory_bytes(),
            Self::Boolean(values) => values.capacity(),
        }
    }

    fn truncate(&mut self, rows: usize) {
        match self {
            Self::Double(values) => values.truncate(rows),
            Self::Bigint(values) => values.truncate(rows),
            Self::String(values) => values.truncate(rows),
            Self::Boolean(values) => values.truncate(rows),
        }
    }
}

/// Rows of one partition in arrival order. All columns have the same length, except that `extras` may be empty.
///
/// A NULL double is NaN: the decoder never accepts a NaN, so none is lost.
#[derive(Debug, Clone, Default)]
pub struct TickColumns {
    /// Distinct symbols in first-seen order; `symbol` points into it.
    pub symbols: Vec<Box<str>>,
    ids: HashMap<Box<str>, u32>,
    pub symbol: Vec<u32>,
    /// Microseconds since the epoch, UTC.
    pub ts: Vec<i64>,
    /// Days since 1970-01-01.
    pub trade_date: Vec<i32>,
    pub open: Vec<f64>,
    pub high: Vec<f64>,
    pub low: Vec<f64>,
    pub close: Vec<f64>,
    pub volume: Vec<f64>,
    pub trade_id: StringColumn,
    pub source: StringColumn,
    /// In the order of the configuration.
    pub extras: Vec<ExtraColumn>,
    pub offset: Vec<i64>,
    /// Position of the tick inside its message.
    pub index: Vec<i32>,
    /// Kafka timestamp in milliseconds, `i64::MIN` where the record has none.
    pub kafka_ts: Vec<i64>,
}

impl TickColumns {
    pub fn with_extras(kinds: impl IntoIterator<Item = ExtraType>) -> Self {
        Self { extras: kinds.into_iter().map(ExtraColumn::new).collect(), ..Self::default() }
    }

    pub fn len(&self) -> usize {
        self.symbol.len()
    }

    pub fn is_empty(&self) -> bool {
        self.symbol.is_empty()
    }

    /// Appends a tick; the caller pushes one value to every extra column.
    pub fn push(&mut self, tick: &Tick<'_>, trade_date: i32, offset: i64, index: i32, kafka_ts: Option<i64>) {
        let id = match self.ids.get(tick.symbol) {
            Some(id) => *id,
            None => {
                let id = self.symbols.len() as u32;
                self.symbols.push(tick.symbol.into());
                self.ids.insert(tick.symbol.into(), id);
                id
            }
        };
        self.symbol.push(id);
        self.ts.push(tick.ts);
        self.trade_date.push(trade_date);
        self.open.push(tick.open.unwrap_or(f64::NAN));
        self.high.push(tick.high.unwrap_or(f64::NAN));
        self.low.push(tick.low.unwrap_or(f64::NAN));
        self.close.push(tick.close);
        self.volume.push(tick.volume.unwrap_or(f64::NAN));
        self.trade_id.push(tick.trade_id);
        self.source.push(tick.source);
        self.offset.push(offset);
        self.index.push(index);
        self.kafka_ts.push(kafka_ts.unwrap_or(i64::MIN));
    }

    /// Clears the columns but keeps their memory for the next rows, and the symbols if they are few.
    pub fn clear(&mut self) {
        self.truncate(0);
        if self.symbols.len() > MAX_KEPT_SYMBOLS {
            self.symbols.clear();
            self.ids.clear();
        }
    }

    /// Drops the rows from `rows` on: a message is atomic, so a bad tick takes its siblings back out.
    pub fn truncate(&mut self, rows: usize) {
        self.symbol.truncate(rows);
        self.ts.truncate(rows);
        self.trade_date.truncate(rows);
        self.open.truncate(rows);
        self.high.truncate(rows);
        self.low.truncate(rows);
        self.close.truncate(rows);
        self.volume.truncate(rows);
        self.trade_id.truncate(rows);
        self.source.truncate(rows);
        self.extras.iter_mut().for_each(|column| column.truncate(rows));
        self.offset.truncate(rows);
        self.index.truncate(rows);
        self.kafka_ts.truncate(rows);
    }

    /// Allocated bytes, including spare capacity.
    pub fn memory_bytes(&self) -> usize {
        // The name twice, two fat pointers, the number, and the table's slack.
        const SYMBOL_BYTES: usize = 96;
        let doubles = [&self.open, &self.high, &self.low, &self.close, &self.volume];
        let longs = [&self.ts, &self.offset, &self.kafka_ts];
        let ints = [&self.trade_date, &self.index];
        self.symbols.capacity() * SYMBOL_BYTES
            + self.symbol.capacity() * 4
            + doubles.iter().map(|column| column.capacity() * 8).sum::<usize>()
            + longs.iter().map(|column| column.capacity() * 8).sum::<usize>()
            + ints.iter().map(|column| column.capacity() * 4).sum::<usize>()
            + self.trade_id.memory_bytes()
            + self.source.memory_bytes()
            + self.extras.iter().map(ExtraColumn::memory_bytes).sum::<usize>()
    }
}

//! Digests of the rows of a message. Equal rows have equal digests, whether they come from Parquet or from the decoder.
//!
//! The digests of all rows of an offset are added up, so their order doesn't matter. About one in 4 billion changes
//! goes unnoticed, because the digest has 32 bits.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

use arrow::array::{
    Array, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;

use crate::market::{ExtraColumn, MarketZone, PartitionBy, TickColumns, is_plausible_kafka_ts};

/// Values of one column.
pub(super) enum ColumnValues<'a> {
    Text(&'a StringArray),
    Double(&'a Float64Array),
    Long(&'a Int64Array),
    Int(&'a Int32Array),
    Time(&'a TimestampMicrosecondArray),
    /// Kafka timestamps. The decoder turns implausible ones into NULL, but earlier versions stored them.
    KafkaTime(&'a TimestampMicrosecondArray),
    Flag(&'a BooleanArray),
}

/// Columns that are compared in addition to the identity. The extra columns follow them.
const COLUMNS: [&str; 10] =
    ["symbol", "ts", "open", "high", "low", "close", "volume", "trade_id", "source", "kafka_ts"];

/// Hashes the values of a row, column by column.
struct RowHasher(DefaultHasher);

impl RowHasher {
    fn new(index: i32) -> Self {
        let mut hasher = Self(DefaultHasher::new());
        hasher.0.write_i32(index);
        hasher
    }

    fn text(&mut self, value: Option<&str>) {
        match value {
            None => self.0.write_u8(0),
            Some(text) => {
                self.0.write_u8(1);
                self.0.write_usize(text.len());
                self.0.write(text.as_bytes());
            }
        }
    }

    fn double(&mut self, value: Option<f64>) {
        self.long(value.map(|value| value.to_bits() as i64));
    }

    fn long(&mut self, value: Option<i64>) {
        self.0.write_u8(u8::from(value.is_some()));
        self.0.write_i64(value.unwrap_or_default());
    }

    fn finish(self) -> u32 {
        self.0.finish() as u32
    }
}

/// The columns and rows that are compared; extra columns are listed by name.
#[derive(Debug, Clone, Default)]
pub(super) struct ComparedColumns {
    /// Name of each extra column, and its index among the decoder's extra columns.
    pub extras: Vec<(String, usize)>,
    /// The dates that retention dropped; their rows are not compared.
    pub expiry: Option<DateExpiry>,
}

/// The dates that retention dropped.
#[derive(Debug, Clone)]
pub(super) struct DateExpiry {
    pub zone: MarketZone,
    pub by: PartitionBy,
    /// First partition value that was kept, by Kafka partition, in days since 1970-01-01.
    pub before: BTreeMap<i32, i32>,
}

impl DateExpiry {
    fn is_of(&self, partition: i32, ts: i64) -> bool {
        let value = || self.by.value(self.zone.clone().trade_date(ts));
        self.before.get(&partition).is_some_and(|before| value() < *before)
    }
}

/// The compared columns of a batch.
pub(super) struct BatchRows<'a> {
    pub epoch: &'a Int32Array,
    pub partition: &'a Int32Array,
    pub offset: &'a Int64Array,
    pub index: &'a Int32Array,
    values: Vec<ColumnValues<'a>>,
}

impl ComparedColumns {
    fn names(&self) -> impl Iterator<Item = &str> {
        COLUMNS.into_iter().chain(self.extras.iter().map(|(name, _)| name.as_str()))
    }

    /// Returns `None` if the batch lacks a column.
    pub(super) fn of_batch<'a>(&self, batch: &'a RecordBatch) -> Option<BatchRows<'a>> {
        let int = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<Int32Type>();
        let values = self
            .names()
            .map(|name| ColumnValues::named(name, batch.column_by_name(name)?))
            .collect::<Option<Vec<_>>>()?;
        Some(BatchRows {
            epoch: int("kafka_epoch")?,
            partition: int("kafka_partition")?,
            offset: batch.column_by_name("kafka_offset")?.as_primitive_opt::<Int64Type>()?,
            index: int("kafka_index")?,
            values,
        })
    }

    /// Whether retention dropped rows with this time.
    pub(super) fn is_expired(&self, partition: i32, ts: i64) -> bool {
        self.expiry.as_ref().is_some_and(|expiry| expiry.is_of(partition, ts))
    }

    /// Digest of a decoded row.
    pub(super) fn digest(&self, rows: &TickColumns, row: usize) -> u32 {
        let mut hasher = RowHasher::new(rows.index[row]);
        let known = |value: f64| (!value.is_nan()).then_some(value);
        hasher.text(Some(&rows.symbols[rows.symbol[row] as usize]));
        hasher.long(Some(rows.ts[row]));
        for column in [&rows.open, &rows.high, &rows.low, &rows.close, &rows.volume] {
            hasher.double(known(column[row]));
        }
        hasher.text(rows.trade_id.get(row));
        hasher.text(rows.source.get(row));
        let millis = rows.kafka_ts[row];
        hasher.long((millis != i64::MIN).then(|| millis.saturating_mul(1_000)));
        for (_, at) in &self.extras {
            match &rows.extras[*at] {
                ExtraColumn::Double(values) => hasher.double(values[row]),
                ExtraColumn::Bigint(values) => hasher.long(values[row]),
                ExtraColumn::String(values) => hasher.text(values.get(row)),
                ExtraColumn::Boolean(values) => hasher.long(values[row].map(i64::from)),
            }
        }
        hasher.finish()
    }

    /// Columns in which a stored row differs from the decoded one.
    pub(super) fn differing(&self, stored: &BatchRows<'_>, at: usize, decoded: &TickColumns, row: usize) -> Vec<&str> {
        let known = |value: f64| (!value.is_nan()).then_some(value);
        let doubles = [&decoded.open, &decoded.high, &decoded.low, &decoded.close, &decoded.volume];
        let mut equal = vec![
            stored.values[0].is_text(at, Some(&decoded.symbols[decoded.symbol[row] as usize])),
            stored.values[1].is_long(at, Some(decoded.ts[row])),
        ];
        equal.extend(
            doubles.iter().zip(&stored.values[2..]).map(|(column, values)| values.is_double(at, known(column[row]))),
        );
        equal.push(stored.values[7].is_text(at, decoded.trade_id.get(row)));
        equal.push(stored.values[8].is_text(at, decoded.source.get(row)));
        let millis = decoded.kafka_ts[row];
        equal.push(stored.values[9].is_long(at, (millis != i64::MIN).then(|| millis.saturating_mul(1_000))));
        for ((_, index), values) in self.extras.iter().zip(&stored.values[COLUMNS.len()..]) {
            equal.push(match &decoded.extras[*index] {
                ExtraColumn::Double(decoded) => values.is_double(at, decoded[row]),
                ExtraColumn::Bigint(decoded) => values.is_long(at, decoded[row]),
                ExtraColumn::String(decoded) => values.is_text(at, decoded.get(row)),
                ExtraColumn::Boolean(decoded) => values.is_long(at, decoded[row].map(i64::from)),
            });
        }
        self.names().zip(equal).filter(|(_, equal)| !equal).map(|(name, _)| name).collect()
    }
}

impl BatchRows<'_> {
    pub(super) fn ts(&self, row: usize) -> i64 {
        self.values[1].long(row).unwrap_or_default()
    }

    pub(super) fn digest(&self, row: usize) -> u32 {
        let mut hasher = RowHasher::new(self.index.value(row));
        for values in &self.values {
            match values {
                ColumnValues::Text(_) => hasher.text(values.text(row)),
                ColumnValues::Double(_) => hasher.double(values.double(row)),
                _ => hasher.long(values.long(row)),
            }
        }
        hasher.finish()
    }
}

impl<'a> ColumnValues<'a> {
    fn named(name: &str, column: &'a dyn Array) -> Option<Self> {
        match (name, Self::of(column)?) {
            ("kafka_ts", Self::Time(values)) => Some(Self::KafkaTime(values)),
            (_, values) => Some(values),
        }
    }

    fn of(column: &'a dyn Array) -> Option<Self> {
        let text = || column.as_string_opt::<i32>().map(Self::Text);
        let double = || column.as_primitive_opt::<Float64Type>().map(Self::Double);
        let long = || column.as_primitive_opt::<Int64Type>().map(Self::Long);
        let int = || column.as_primitive_opt::<Int32Type>().map(Self::Int);
        let time = || column.as_primitive_opt::<TimestampMicrosecondType>().map(Self::Time);
        let flag = || column.as_boolean_opt().map(Self::Flag);
        text().or_else(double).or_else(long).or_else(int).or_else(time).or_else(flag)
    }

    fn text(&self, row: usize) -> Option<&str> {
        match self {
            Self::Text(values) => values.is_valid(row).then(|| values.value(row)),
            _ => None,
        }
    }

    fn double(&self, row: usize) -> Option<f64> {
        match self {
            Self::Double(values) => values.is_valid(row).then(|| values.value(row)),
            _ => None,
        }
    }

    fn long(&self, row: usize) -> Option<i64> {
        match self {
            Self::Long(values) => values.is_valid(row).then(|| values.value(row)),
            Self::Int(values) => values.is_valid(row).then(|| values.value(row).into()),
            Self::Time(values) => values.is_valid(row).then(|| values.value(row)),
            Self::KafkaTime(values) => {
                values.is_valid(row).then(|| values.value(row)).filter(|micros| is_plausible_kafka_ts(*micros))
            }
            Self::Flag(values) => values.is_valid(row).then(|| values.value(row).into()),
            Self::Text(_) | Self::Double(_) => None,
        }
    }

    fn is_text(&self, row: usize, value: Option<&str>) -> bool {
        self.text(row) == value
    }

    fn is_double(&self, row: usize, value: Option<f64>) -> bool {
        self.double(row).map(f64::to_bits) == value.map(f64::to_bits)
    }

    fn is_long(&self, row: usize, value: Option<i64>) -> bool {
        self.long(row) == value
    }
}

/// Digest of a dead letter, computed from the hexadecimal hash of the complete payload and from its length.
pub(super) fn digest_dead_letter(sha256: &str, bytes: i64) -> u32 {
    let mut hasher = RowHasher::new(0);
    hasher.text(Some(sha256));
    hasher.long(Some(bytes));
    hasher.finish()
}

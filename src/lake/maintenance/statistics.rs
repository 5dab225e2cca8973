//! Delta statistics of a file that is written: smallest and largest values of the columns that prune.

use arrow::array::{Array, AsArray};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use chrono::DateTime;
use serde_json::{Map, Value, json};

use crate::market::rfc3339;

/// Values of one column so far; `None` while all were NULL.
#[derive(Debug, Clone, PartialEq)]
enum Extremes {
    Text(Option<(String, String)>),
    Number(Option<(f64, f64)>),
    Integer(Option<(i64, i64)>),
    Time(Option<(i64, i64)>),
}

#[derive(Debug, Clone)]
struct ColumnStatistics {
    name: String,
    at: usize,
    nulls: usize,
    extremes: Extremes,
}

/// Statistics of one file.
#[derive(Debug, Clone)]
pub(super) struct FileStatistics {
    pub rows: usize,
    columns: Vec<ColumnStatistics>,
}

fn widen<T: PartialOrd>(range: &mut Option<(T, T)>, low: Option<T>, high: Option<T>) {
    let (Some(low), Some(high)) = (low, high) else { return };
    match range {
        None => *range = Some((low, high)),
        Some((lowest, highest)) => {
            if low < *lowest {
                *lowest = low;
            }
            if high > *highest {
                *highest = high;
            }
        }
    }
}

impl FileStatistics {
    /// `names` is the value of `delta.dataSkippingStatsColumns`; columns of unsupported types are skipped.
    pub(super) fn new(schema: &SchemaRef, names: &str) -> Self {
        let column = |name: &str| {
            let (at, field) = schema.column_with_name(name)?;
            let extremes = match field.data_type() {
                DataType::Utf8 => Extremes::Text(None),
                DataType::Float64 => Extremes::Number(None),
                DataType::Int32 | DataType::Int64 => Extremes::Integer(None),
                DataType::Timestamp(TimeUnit::Microsecond, _) => Extremes::Time(None),
                _ => return None,
            };
            Some(ColumnStatistics { name: name.to_owned(), at, nulls: 0, extremes })
        };
        Self { rows: 0, columns: names.split(',').filter_map(|name| column(name.trim())).collect() }
    }

    pub(super) fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows();
        for ColumnStatistics { at, nulls, extremes, .. } in &mut self.columns {
            let values = batch.column(*at);
            *nulls += values.null_count();
            match extremes {
                Extremes::Text(range) => {
                    let values = values.as_string::<i32>();
                    let owned = |value: Option<&str>| value.map(str::to_owned);
                    widen(range, owned(min_string(values)), owned(max_string(values)));
                }
                Extremes::Number(range) => {
                    let values = values.as_primitive::<Float64Type>();
                    widen(range, min(values), max(values));
                }
                Extremes::Integer(range) if *values.data_type() == DataType::Int32 => {
                    let values = values.as_primitive::<Int32Type>();
                    widen(range, min(values).map(i64::from), max(values).map(i64::from));
                }
                Extremes::Integer(range) => {
                    let values = values.as_primitive::<Int64Type>();
                    widen(range, min(values), max(values));
                }
                Extremes::Time(range) => {
                    let values = values.as_primitive::<TimestampMicrosecondType>();
                    widen(range, min(values), max(values));
                }
            }
        }
    }

    /// The `stats` of an Add action.
    pub(super) fn to_json(&self) -> String {
        let side = |high: bool| -> Value {
            fn one<T: Clone>(range: &Option<(T, T)>, high: bool) -> Option<T> {
                range.as_ref().map(|(low, top)| if high { top.clone() } else { low.clone() })
            }
            let value = |extremes: &Extremes| match extremes {
                Extremes::Text(range) => json!(one(range, high)),
                Extremes::Number(range) => json!(one(range, high)),
                Extremes::Integer(range) => json!(one(range, high)),
                Extremes::Time(range) => json!(one(range, high).and_then(rfc3339)),
            };
            let values = self.columns.iter().map(|column| (column.name.clone(), value(&column.extremes)));
            Value::Object(values.filter(|(_, value)| !value.is_null()).collect())
        };
        let nulls: Map<String, Value> =
            self.columns.iter().map(|column| (column.name.clone(), json!(column.nulls))).collect();
        json!({ "numRecords": self.rows, "minValues": side(false), "maxValues": side(true), "nullCount": nulls })
            .to_string()
    }
}

/// First and last time of a file according to its `stats`; `None` if they don't include it.
pub(super) fn times_of(stats: Option<&str>, column: &str) -> Option<(i64, i64)> {
    let stats: Value = serde_json::from_str(stats?).ok()?;
    let time = |side: &str| {
        let text = stats.get(side)?.get(column)?.as_str()?;
        DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
    };
    Some((time("minValues")?, time("maxValues")?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn they_hold_the_ends_of_all_batches() {
        let batch = |symbols: [&str; 2], times: [i64; 2], close: [Option<f64>; 2]| {
            RecordBatch::try_from_iter_with_nullable([
                ("symbol", Arc::new(StringArray::from_iter_values(symbols)) as ArrayRef, false),
                ("ts", Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")), false),
                ("close", Arc::new(Float64Array::from_iter(close)), true),
            ])
            .unwrap()
        };
        let first = batch(["B", "C"], [1_500_000, 2_000_000], [None, None]);
        let mut statistics = FileStatistics::new(&first.schema(), "symbol,ts, close,kafka_offset");
        assert_eq!(
            statistics.to_json(),
            r#"{"maxValues":{},"minValues":{},"nullCount":{"close":0,"symbol":0,"ts":0},"numRecords":0}"#
        );
        statistics.add(&first);
        statistics.add(&batch(["A", "B"], [1_000_001, 9], [Some(-1.5), None]));
        let text = statistics.to_json();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["numRecords"], 4);
        assert_eq!(value["minValues"], json!({"symbol": "A", "ts": "1970-01-01T00:00:00.000009Z", "close": -1.5}));
        assert_eq!(value["maxValues"], json!({"symbol": "C", "ts": "1970-01-01T00:00:02.000000Z", "close": -1.5}));
        assert_eq!(value["nullCount"], json!({"symbol": 0, "ts": 0, "close": 3}));
        assert_eq!(times_of(Some(&text), "ts"), Some((9, 2_000_000)));
        assert_eq!(times_of(Some(&text), "ingested_at"), None);
        assert_eq!(times_of(None, "ts"), None);
    }
}

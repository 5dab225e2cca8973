//! Checks that the statistics of an `add` action match the rows of the file.
//!
//! Numbers must be exact. Other writers truncate long texts: the minimum is then a prefix of the true minimum, and the
//! maximum is not below the true maximum. Times, including the maximum, may be truncated to milliseconds (Delta
//! protocol, per-file statistics), and readers allow for that.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Datelike, NaiveDate};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::market::EPOCH_DAYS_FROM_CE;

/// Shortest truncated text that is accepted: no known writer truncates below this length.
const SHORTEST_CUT: usize = 32;

const MILLI: i64 = 1_000;

/// The statistics of an `add` action.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Statistics {
    pub num_records: Option<u64>,
    min_values: Map<String, Value>,
    max_values: Map<String, Value>,
    null_count: Map<String, Value>,
}

/// A minimum or maximum of a column. All values of one column have the same variant.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Bound {
    /// Times in microseconds, and dates in days.
    Long(i64),
    Double(f64),
    Text(String),
}

#[derive(Debug, Default)]
struct ObservedBounds {
    low: Option<Bound>,
    high: Option<Bound>,
    nulls: u64,
}

/// Minima and maxima of the columns that have statistics.
#[derive(Debug, Default)]
pub(super) struct Extremes {
    columns: BTreeMap<String, (Option<DataType>, ObservedBounds)>,
    rows: u64,
}

impl Extremes {
    pub(super) fn of(statistics: &Statistics) -> Self {
        let all = [&statistics.min_values, &statistics.max_values, &statistics.null_count];
        let names = all.into_iter().flat_map(Map::keys);
        Self { columns: names.map(|name| (name.clone(), Default::default())).collect(), rows: 0 }
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows() as u64;
        for (name, (kind, observed)) in &mut self.columns {
            let Some(column) = batch.column_by_name(name) else { continue };
            *kind = Some(column.data_type().clone());
            observed.nulls += column.null_count() as u64;
            let (low, high) = extremes(column.as_ref());
            if low.is_some() && (observed.low.is_none() || low < observed.low) {
                observed.low = low;
            }
            if high > observed.high {
                observed.high = high;
            }
        }
    }

    /// Whether times are truncated to milliseconds, as some writers do.
    pub(super) fn has_cut_times(&self, statistics: &Statistics) -> bool {
        let cut = |name: &String, side, values: &Map<String, Value>, actual: &Option<Bound>, kind: &DataType| {
            let logged = values.get(name).and_then(|logged| Bound::parse(logged, kind));
            logged.zip(actual.as_ref()).is_some_and(|(logged, actual)| is_cut(side, &logged, actual, kind))
        };
        self.columns.iter().any(|(name, (kind, observed))| {
            kind.as_ref().is_some_and(|kind| {
                cut(name, "minValues", &statistics.min_values, &observed.low, kind)
                    || cut(name, "maxValues", &statistics.max_values, &observed.high, kind)
            })
        })
    }

    /// Describes the statistics that don't match the rows.
    pub(super) fn differences(&self, statistics: &Statistics) -> Vec<String> {
        let mut wrong = Vec::new();
        match statistics.num_records {
            Some(logged) if logged == self.rows => {}
            Some(logged) => wrong.push(format!("numRecords is {logged}, the file has {} rows", self.rows)),
            None => wrong.push("there is no numRecords".to_owned()),
        }
        for (name, (kind, observed)) in &self.columns {
            // A column that the file lacks is NULL in all rows.
            let Some(kind) = kind else { continue };
            for (side, logged, actual) in [
                ("minValues", statistics.min_values.get(name), &observed.low),
                ("maxValues", statistics.max_values.get(name), &observed.high),
            ] {
                let Some(logged) = logged.filter(|logged| !logged.is_null()) else { continue };
                let Some(actual) = actual else {
                    // There is no value to compare with: all rows are NULL, or the type has no order.
                    if self.rows == observed.nulls {
                        wrong.push(format!("{side}.{name} is {logged}, all rows are NULL"));
                    }
                    continue;
                };
                if !Bound::parse(logged, kind)
                    .is_some_and(|logged| holds(side, &logged, actual) || is_cut(side, &logged, actual, kind))
                {
                    wrong.push(format!("{side}.{name} is {logged}, that of the rows {}", actual.shown(kind)));
                }
            }
            let logged = statistics.null_count.get(name).and_then(Value::as_u64);
            if logged.is_some_and(|logged| logged != observed.nulls) {
                let logged = logged.unwrap_or_default();
                wrong.push(format!("nullCount.{name} is {logged}, the file has {}", observed.nulls));
            }
        }
        wrong
    }
}

/// Whether the logged time was truncated to milliseconds, or is a maximum that was rounded up.
fn is_cut(side: &str, logged: &Bound, actual: &Bound, kind: &DataType) -> bool {
    let (Bound::Long(logged), Bound::Long(actual), DataType::Timestamp(..)) = (logged, actual, kind) else {
        return false;
    };
    let cut = actual.div_euclid(MILLI) * MILLI;
    logged != actual && (*logged == cut || (side == "maxValues" && *logged == cut + MILLI))
}

fn holds(side: &str, logged: &Bound, actual: &Bound) -> bool {
    match (logged, actual) {
        (Bound::Text(logged), Bound::Text(actual)) if actual.len() > SHORTEST_CUT && logged.len() >= SHORTEST_CUT => {
            if side == "minValues" {
                actual.starts_with(logged.as_str())
            } else {
                logged >= actual
            }
        }
        _ => logged == actual,
    }
}

fn extremes(column: &dyn Array) -> (Option<Bound>, Option<Bound>) {
    macro_rules! longs {
        ($kind:ty) => {{
            let values = column.as_primitive::<$kind>();
            (min(values).map(|low| Bound::Long(low.into())), max(values).map(|high| Bound::Long(high.into())))
        }};
    }
    match column.data_type() {
        DataType::Int32 => longs!(Int32Type),
        DataType::Int64 => longs!(Int64Type),
        DataType::Date32 => longs!(Date32Type),
        DataType::Timestamp(TimeUnit::Microsecond, _) => longs!(TimestampMicrosecondType),
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            (min(values).map(Bound::Double), max(values).map(Bound::Double))
        }
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            let text = |text: &str| Bound::Text(text.to_owned());
            (min_string(values).map(text), max_string(values).map(text))
        }
        _ => (None, None),
    }
}

impl Bound {
    /// Returns `None` if the logged value doesn't have this type.
    fn parse(logged: &Value, kind: &DataType) -> Option<Self> {
        Some(match (kind, logged) {
            (DataType::Timestamp(..), Value::String(text)) => {
                Self::Long(DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros())
            }
            (DataType::Date32, Value::String(text)) => {
                let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
                Self::Long((date.num_days_from_ce() - EPOCH_DAYS_FROM_CE).into())
            }
            (DataType::Int32 | DataType::Int64, Value::Number(number)) => Self::Long(number.as_i64()?),
            (DataType::Float64, Value::Number(number)) => Self::Double(number.as_f64()?),
            (DataType::Utf8, Value::String(text)) => Self::Text(text.clone()),
            _ => return None,
        })
    }

    fn shown(&self, kind: &DataType) -> String {
        match (self, kind) {
            (Self::Long(micros), DataType::Timestamp(..)) => DateTime::from_timestamp_micros(*micros)
                .map_or_else(|| micros.to_string(), |time| time.format("\"%Y-%m-%dT%H:%M:%S%.6fZ\"").to_string()),
            (Self::Long(number), _) => number.to_string(),
            (Self::Double(number), _) => number.to_string(),
            (Self::Text(text), _) => format!("{text:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    fn batch(symbols: &[&str], closes: &[Option<f64>]) -> RecordBatch {
        let times = TimestampMicrosecondArray::from_iter_values((0..symbols.len() as i64).map(|at| at * 1_500_000));
        RecordBatch::try_from_iter_with_nullable([
            ("symbol", Arc::new(StringArray::from(symbols.to_vec())) as ArrayRef, false),
            ("ts", Arc::new(times.with_timezone("UTC")), false),
            ("close", Arc::new(Float64Array::from(closes.to_vec())), true),
        ])
        .unwrap()
    }

    fn differences(statistics: &str, batches: &[RecordBatch]) -> Vec<String> {
        let statistics: Statistics = serde_json::from_str(statistics).unwrap();
        let mut extremes = Extremes::of(&statistics);
        batches.iter().for_each(|batch| extremes.add(batch));
        extremes.differences(&statistics)
    }

    #[test]
    fn wrong_statistics_are_named() {
        let rows = [batch(&["b", "a"], &[Some(2.5), None]), batch(&["c"], &[Some(-1.0)])];
        let stats = |rows: u64, low: &str, high: &str, nulls: u64| {
            format!(
                r#"{{"numRecords":{rows},"minValues":{{"symbol":"{low}","ts":"1970-01-01T00:00:00.000000Z","close":-1.0}},
                "maxValues":{{"symbol":"c","ts":"1970-01-01T00:00:01.5Z","close":{high}}},
                "nullCount":{{"close":{nulls},"symbol":0}}}}"#
            )
        };
        assert_eq!(differences(&stats(3, "a", "2.5", 1), &rows), [] as [&str; 0]);
        for (wrong, logged) in [
            (stats(4, "a", "2.5", 1), "numRecords is 4, the file has 3 rows"),
            (stats(3, "b", "2.5", 1), "minValues.symbol is \"b\", that of the rows \"a\""),
            (stats(3, "a", "2.6", 1), "maxValues.close is 2.6, that of the rows 2.5"),
            (stats(3, "a", "\"2.5\"", 1), "maxValues.close is \"2.5\", that of the rows 2.5"),
            (stats(3, "a", "2.5", 0), "nullCount.close is 0, the file has 1"),
        ] {
            assert_eq!(differences(&wrong, &rows), [logged]);
        }
        let no_rows = r#"{"minValues":{"close":1.0},"maxValues":{"close":null}}"#;
        let logged = differences(no_rows, &[batch(&["a"], &[None])]);
        assert_eq!(logged, ["there is no numRecords", "minValues.close is 1.0, all rows are NULL"]);
    }

    #[test]
    fn times_may_be_cut_to_milliseconds() {
        let micros = TimestampMicrosecondArray::from(vec![1_123_456, 2_987_654]).with_timezone("UTC");
        let rows = RecordBatch::try_from_iter([("ts", Arc::new(micros) as ArrayRef)]).unwrap();
        let of = |low: &str, high: &str| {
            let time = |text: &str| format!("1970-01-01T00:00:0{text}Z");
            let (low, high) = (time(low), time(high));
            let text = format!(r#"{{"numRecords":2,"minValues":{{"ts":"{low}"}},"maxValues":{{"ts":"{high}"}}}}"#);
            let statistics: Statistics = serde_json::from_str(&text).unwrap();
            let mut extremes = Extremes::of(&statistics);
            extremes.add(&rows);
            (extremes.differences(&statistics).len(), extremes.has_cut_times(&statistics))
        };
        assert_eq!(of("1.123456", "2.987654"), (0, false));
        for (low, high) in [("1.123", "2.987"), ("1.123", "2.988"), ("1.123456", "2.987"), ("1.123", "2.987654")] {
            assert_eq!(of(low, high), (0, true), "{low} {high}");
        }
        // Rows are skipped wrongly if the minimum time is too large or the maximum is too small.
        for (low, high) in [("1.124", "2.987654"), ("1.123456", "2.986"), ("1.123456", "2.989"), ("1.122", "2.987654")]
        {
            assert_eq!(of(low, high), (1, false), "{low} {high}");
        }
    }

    #[test]
    fn long_texts_may_be_cut() {
        let long = "x".repeat(40);
        let rows = [batch(&[long.as_str()], &[None])];
        let stats = |low: &str, high: &str| {
            format!(r#"{{"numRecords":1,"minValues":{{"symbol":"{low}"}},"maxValues":{{"symbol":"{high}"}}}}"#)
        };
        let cut = &long[..32];
        assert!(differences(&stats(cut, &format!("{cut}z")), &rows).is_empty());
        assert!(differences(&stats(&long, &long), &rows).is_empty());
        assert_eq!(differences(&stats(&format!("{cut}y"), cut), &rows).len(), 2);
        assert_eq!(differences(&stats("x", &format!("{cut}z")), &rows).len(), 1);
    }
}

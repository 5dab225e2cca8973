//! Which files can hold a matching row: partition values and the Delta statistics of each file.
//!
//! A file is left out only when its bounds exclude the predicate; what is unknown stays.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Date32Array, UInt64Array};
use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use chrono::{Datelike, Months, NaiveDate};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, Result, ScalarValue, Statistics};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use serde::Deserialize;
use serde_json::Value;

use crate::lake::{DataFile, TableView};
use crate::market::{EPOCH_DAYS_FROM_CE, PartitionBy};

/// Delta writers may cut times of statistics to milliseconds.
pub(in crate::query) const CUT_MICROS: i64 = 999;
/// Coarser partitions bound it.
const TRADE_DATE: &str = "trade_date";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeltaStats {
    min_values: HashMap<String, Value>,
    max_values: HashMap<String, Value>,
    null_count: HashMap<String, Value>,
}

/// A table's files and what is known about the values in each.
#[derive(Debug)]
pub(in crate::query) struct FileBounds {
    pub(in crate::query) view: TableView,
    stats: Vec<DeltaStats>,
}

/// What filters say about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query) enum FileVerdict {
    OtherPartition,
    /// By the statistics of its columns.
    OutOfBounds,
    MayMatch,
}

#[derive(Clone, Copy, PartialEq)]
enum BoundSide {
    Min,
    Max,
}

impl FileBounds {
    pub(in crate::query) fn of(view: TableView) -> Self {
        let stats = view.files.iter().map(read_stats).collect();
        Self { view, stats }
    }

    /// What the filters say about each file. `on_partition` is exact, over `partition_schema`.
    ///
    /// # Errors
    /// A filter can't be evaluated.
    pub(in crate::query) fn judge(
        &self,
        partition_schema: &SchemaRef,
        on_partition: Option<&Arc<dyn PhysicalExpr>>,
        other: Option<Arc<dyn PhysicalExpr>>,
    ) -> Result<Vec<FileVerdict>> {
        let all = self.view.files.len();
        let mut judged = vec![FileVerdict::MayMatch; all];
        if let Some(filter) = on_partition {
            let values: Date32Array = self.view.files.iter().map(|file| Some(file.partition_value)).collect();
            let batch = RecordBatch::try_new(Arc::clone(partition_schema), vec![Arc::new(values)])?;
            let matches = filter.evaluate(&batch)?.into_array(all)?;
            let others = matches.as_boolean().iter().map(|matches| matches != Some(true));
            judged
                .iter_mut()
                .zip(others)
                .filter(|(_, other)| *other)
                .for_each(|(file, _)| *file = FileVerdict::OtherPartition);
        }
        if let Some(filter) = other {
            let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(&self.view.schema));
            let may_match = builder.try_build(filter)?.prune(self)?;
            let in_partition = judged.iter_mut().zip(may_match).filter(|(file, _)| **file == FileVerdict::MayMatch);
            in_partition.filter(|(_, may_match)| !may_match).for_each(|(file, _)| *file = FileVerdict::OutOfBounds);
        }
        Ok(judged)
    }

    /// Statistics of one file over the columns stored in it, for filters that become known while a query runs.
    pub(in crate::query) fn statistics(&self, at: usize, file_schema: &Schema) -> Statistics {
        let mut statistics = Statistics::new_unknown(file_schema);
        statistics.num_rows =
            self.view.files[at].rows.map_or(Precision::Absent, |rows| Precision::Exact(rows as usize));
        for (field, column) in file_schema.fields().iter().zip(&mut statistics.column_statistics) {
            let bound = |bound| {
                self.bound(at, field.name(), field.data_type(), bound).map_or(Precision::Absent, Precision::Inexact)
            };
            column.min_value = bound(BoundSide::Min);
            column.max_value = bound(BoundSide::Max);
        }
        statistics
    }

    /// `None` when it is not known.
    fn bound(&self, at: usize, column: &str, kind: &DataType, bound: BoundSide) -> Option<ScalarValue> {
        let value = self.view.files[at].partition_value;
        if column == self.view.partition_column {
            return Some(ScalarValue::Date32(Some(value)));
        }
        if column == TRADE_DATE {
            let last = last_date(&self.view.partition_column, value)?;
            return Some(ScalarValue::Date32(Some(if bound == BoundSide::Min { value } else { last })));
        }
        let stats = &self.stats[at];
        let values = if bound == BoundSide::Min { &stats.min_values } else { &stats.max_values };
        scalar(values.get(column)?, kind, bound)
    }

    /// Oldest and newest event time of each file in microseconds, where its statistics have them, and its rows.
    pub(in crate::query) fn spans(&self) -> impl Iterator<Item = (Option<(i64, i64)>, Option<u64>)> {
        let micros = |value: Option<&Value>| {
            Some(chrono::DateTime::parse_from_rfc3339(value?.as_str()?).ok()?.timestamp_micros())
        };
        let span =
            move |stats: &DeltaStats| Some((micros(stats.min_values.get("ts"))?, micros(stats.max_values.get("ts"))?));
        self.stats.iter().zip(&self.view.files).map(move |(stats, file)| (span(stats), file.rows))
    }

    /// Oldest and newest event time in microseconds, as the statistics have them; `None` without rows, and where a
    /// file has no statistics.
    pub(in crate::query) fn times(&self) -> Option<(i64, i64)> {
        let mut spans = self.spans().filter(|(_, rows)| *rows != Some(0)).map(|(span, _)| span);
        let first = spans.next()??;
        spans.try_fold(first, |(oldest, newest), span| {
            let (min, max) = span?;
            Some((oldest.min(min), newest.max(max)))
        })
    }

    fn bounds(&self, column: &Column, bound: BoundSide) -> Option<ArrayRef> {
        let kind = self.view.schema.field_with_name(column.name()).ok()?.data_type();
        let unknown = ScalarValue::try_from(kind).ok()?;
        let values = (0..self.view.files.len())
            .map(|at| self.bound(at, column.name(), kind, bound).unwrap_or_else(|| unknown.clone()));
        ScalarValue::iter_to_array(values).ok()
    }
}

/// Last trade date of a partition that begins at `first`; `None` for partitions that don't bound it.
fn last_date(partition_column: &str, first: i32) -> Option<i32> {
    let months = [(PartitionBy::Month, 1), (PartitionBy::Year, 12)];
    let months = months.iter().find(|(by, _)| by.column() == partition_column)?.1;
    let first = NaiveDate::from_num_days_from_ce_opt(first.checked_add(EPOCH_DAYS_FROM_CE)?)?;
    let next = first.checked_add_months(Months::new(months))?;
    Some(next.num_days_from_ce() - EPOCH_DAYS_FROM_CE - 1)
}

/// Statistics are a hint written by any Delta writer, so unreadable ones mean "unknown".
fn read_stats(file: &DataFile) -> DeltaStats {
    let Some(text) = &file.stats else { return DeltaStats::default() };
    serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::warn!(file = %file.path, %error, "ignoring unreadable file statistics");
        DeltaStats::default()
    })
}

/// A JSON value of the statistics as a value of the column; `None` when it can't bound the column.
fn scalar(value: &Value, kind: &DataType, bound: BoundSide) -> Option<ScalarValue> {
    match kind {
        DataType::Utf8 => Some(ScalarValue::Utf8(Some(value.as_str()?.to_owned()))),
        DataType::Utf8View => Some(ScalarValue::Utf8View(Some(value.as_str()?.to_owned()))),
        DataType::Float64 => Some(ScalarValue::Float64(Some(value.as_f64()?))),
        DataType::Int32 => Some(ScalarValue::Int32(Some(i32::try_from(value.as_i64()?).ok()?))),
        DataType::Int64 => Some(ScalarValue::Int64(Some(value.as_i64()?))),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let time = chrono::DateTime::parse_from_rfc3339(value.as_str()?).ok()?.timestamp_micros();
            let time = if bound == BoundSide::Max { time.saturating_add(CUT_MICROS) } else { time };
            Some(ScalarValue::TimestampMicrosecond(Some(time), zone.clone()))
        }
        _ => None,
    }
}

impl PruningStatistics for FileBounds {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, BoundSide::Min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, BoundSide::Max)
    }

    fn num_containers(&self) -> usize {
        self.view.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let count = |stats: &DeltaStats| stats.null_count.get(column.name()).and_then(Value::as_u64);
        let counts: UInt64Array = self.stats.iter().map(count).collect();
        Some(Arc::new(counts))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let counts: UInt64Array = self.view.files.iter().map(|file| file.rows).collect();
        Some(Arc::new(counts))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(text: &str) -> i32 {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").unwrap().num_days_from_ce() - EPOCH_DAYS_FROM_CE
    }

    #[test]
    fn a_partition_bounds_the_trade_dates_in_it() {
        assert_eq!(last_date("trade_month", days("2024-02-01")), Some(days("2024-02-29")));
        assert_eq!(last_date("trade_year", days("2024-01-01")), Some(days("2024-12-31")));
        assert_eq!(last_date("dead_date", days("2024-01-01")), None);
    }

    #[test]
    fn a_cut_time_still_bounds_its_rows() {
        let kind = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let at = |bound| scalar(&Value::from("1970-01-01T00:00:00.001Z"), &kind, bound).unwrap();
        let micros = |value| ScalarValue::TimestampMicrosecond(Some(value), Some("UTC".into()));
        assert_eq!((at(BoundSide::Min), at(BoundSide::Max)), (micros(1_000), micros(1_999)));
        assert_eq!(scalar(&Value::from("NaN"), &DataType::Float64, BoundSide::Min), None);
    }
}

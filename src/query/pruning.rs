//! Which files can hold a matching row: partition values and the Delta statistics of each file.
//!
//! A file is left out only when its bounds exclude the predicate; what is unknown stays.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use serde::Deserialize;
use serde_json::Value;

use crate::lake::{DataFile, TableView};

/// Delta writers may cut times of statistics to milliseconds.
const CUT_MICROS: i64 = 999;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeltaStats {
    min_values: HashMap<String, Value>,
    max_values: HashMap<String, Value>,
    null_count: HashMap<String, Value>,
}

struct FileBounds<'a> {
    view: &'a TableView,
    schema: &'a SchemaRef,
    stats: Vec<DeltaStats>,
}

/// Files of `view` that `predicate` doesn't exclude, in the order of the view.
///
/// # Errors
/// The predicate can't be evaluated.
pub(super) fn files_that_may_match<'a>(
    view: &'a TableView,
    schema: &SchemaRef,
    predicate: Option<&Arc<dyn PhysicalExpr>>,
) -> Result<Vec<&'a DataFile>> {
    let Some(predicate) = predicate else {
        return Ok(view.files.iter().collect());
    };
    let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema));
    let pruning = builder.try_build(Arc::clone(predicate))?;
    if pruning.always_true() {
        return Ok(view.files.iter().collect());
    }
    let stats = view.files.iter().map(read_stats).collect();
    let keep = pruning.prune(&FileBounds { view, schema, stats })?;
    Ok(view.files.iter().zip(keep).filter_map(|(file, keep)| keep.then_some(file)).collect())
}

/// Statistics are a hint written by any Delta writer, so unreadable ones mean "unknown".
fn read_stats(file: &DataFile) -> DeltaStats {
    let Some(text) = &file.stats else { return DeltaStats::default() };
    serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::warn!(file = %file.path, %error, "ignoring unreadable file statistics");
        DeltaStats::default()
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Bound {
    Min,
    Max,
}

impl FileBounds<'_> {
    fn bounds(&self, column: &Column, bound: Bound) -> Option<ArrayRef> {
        let kind = self.schema.field_with_name(column.name()).ok()?.data_type();
        let unknown = ScalarValue::try_from(kind).ok()?;
        let is_partition = column.name() == self.view.partition_column;
        let values = self.view.files.iter().zip(&self.stats).map(|(file, stats)| {
            if is_partition {
                return ScalarValue::Date32(Some(file.partition_value));
            }
            let values = if bound == Bound::Min { &stats.min_values } else { &stats.max_values };
            values.get(column.name()).and_then(|value| scalar(value, kind, bound)).unwrap_or_else(|| unknown.clone())
        });
        ScalarValue::iter_to_array(values).ok()
    }
}

/// A JSON value of the statistics as a value of the column; `None` when it can't bound the column.
fn scalar(value: &Value, kind: &DataType, bound: Bound) -> Option<ScalarValue> {
    match kind {
        DataType::Utf8 => Some(ScalarValue::Utf8(Some(value.as_str()?.to_owned()))),
        DataType::Float64 => Some(ScalarValue::Float64(Some(value.as_f64()?))),
        DataType::Int32 => Some(ScalarValue::Int32(Some(i32::try_from(value.as_i64()?).ok()?))),
        DataType::Int64 => Some(ScalarValue::Int64(Some(value.as_i64()?))),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let time = chrono::DateTime::parse_from_rfc3339(value.as_str()?).ok()?.timestamp_micros();
            let time = if bound == Bound::Max { time + CUT_MICROS } else { time };
            Some(ScalarValue::TimestampMicrosecond(Some(time), zone.clone()))
        }
        _ => None,
    }
}

impl PruningStatistics for FileBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Bound::Min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Bound::Max)
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

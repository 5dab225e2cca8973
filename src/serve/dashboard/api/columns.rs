//! Writes rows as JSON by columns, and limits the rows of a result.

use std::collections::VecDeque;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    SchemaRef, TimeUnit, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{Days, NaiveDate};
use futures::TryStreamExt;

use crate::query::{OutputColumn, QueryError, ResultBatches};
use crate::serve::dashboard::api::json;

/// The rows that are kept of a result.
#[derive(Debug)]
pub(in crate::serve::dashboard) struct LimitedRows {
    pub(in crate::serve::dashboard) batches: Vec<RecordBatch>,
    pub(in crate::serve::dashboard) rows: usize,
    /// Whether the result has more rows.
    pub(in crate::serve::dashboard) truncated: bool,
}

/// Keeps the first rows of a result, and then stops the query; or, with `newest`, keeps the last rows and drops the
/// earlier ones while it reads.
pub(in crate::serve::dashboard) async fn keep(
    mut batches: ResultBatches,
    rows: usize,
    newest: bool,
) -> Result<LimitedRows, QueryError> {
    let mut kept = VecDeque::new();
    let (mut count, mut truncated) = (0, false);
    while let Some(batch) = batches.try_next().await? {
        count += batch.num_rows();
        kept.push_back(batch);
        if newest {
            while kept.front().is_some_and(|oldest: &RecordBatch| count - oldest.num_rows() >= rows) {
                truncated |= kept.front().is_some_and(|oldest| oldest.num_rows() > 0);
                count -= kept.pop_front().map_or(0, |oldest| oldest.num_rows());
            }
        } else if count > rows {
            break;
        }
    }
    let over = count.saturating_sub(rows);
    truncated |= over > 0;
    if over > 0 {
        let (first, last) = (kept.pop_front(), kept.pop_back());
        match (first, last, newest) {
            (Some(first), last, true) => {
                kept.push_front(first.slice(over, first.num_rows() - over));
                kept.extend(last);
            }
            (first, Some(last), false) => {
                kept.push_back(last.slice(0, last.num_rows() - over));
                first.into_iter().for_each(|first| kept.push_front(first));
            }
            (Some(only), None, false) => kept.push_back(only.slice(0, only.num_rows() - over)),
            (None, _, _) => {}
        }
    }
    Ok(LimitedRows { batches: kept.into(), rows: count - over, truncated })
}

/// Type names that the page supports: string, timestamp, date, double, bigint, integer or boolean.
fn type_name(kind: &DataType) -> &'static str {
    match kind {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "double",
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint",
        DataType::Boolean => "boolean",
        DataType::Date32 => "date",
        DataType::Timestamp(..) => "timestamp",
        _ => "string",
    }
}

/// Writes `"columns":[..],"rows":..,"data":[..]`.
pub(in crate::serve::dashboard) fn write(
    out: &mut Vec<u8>,
    schema: &SchemaRef,
    kept: &LimitedRows,
) -> Result<(), ArrowError> {
    let named = schema.fields().iter().map(|field| (field.name().as_str(), type_name(field.data_type())));
    write_columns(out, named);
    out.extend_from_slice(format!(",\"rows\":{},\"data\":", kept.rows).as_bytes());
    let mut result = Ok(());
    json::list(out, 0..schema.fields().len(), |out, at| {
        let mut is_first = true;
        out.push(b'[');
        for batch in &kept.batches {
            let written = write_column(out, batch.column(at).as_ref(), &mut is_first);
            result = std::mem::replace(&mut result, Ok(())).and(written);
        }
        out.push(b']');
    });
    result
}

/// Writes the strings of the first column.
pub(in crate::serve::dashboard) fn write_first(out: &mut Vec<u8>, kept: &LimitedRows) -> Result<(), ArrowError> {
    let mut is_first = true;
    out.push(b'[');
    for batch in &kept.batches {
        write_column(out, batch.column(0).as_ref(), &mut is_first)?;
    }
    out.push(b']');
    Ok(())
}

/// Writes the same object for a result without rows.
pub(in crate::serve::dashboard) fn write_none(out: &mut Vec<u8>, columns: &[OutputColumn]) {
    let kinds: Vec<String> = columns.iter().map(|column| column.kind.to_string()).collect();
    write_columns(out, columns.iter().zip(&kinds).map(|(column, kind)| (column.name.as_str(), kind.as_str())));
    out.extend_from_slice(b",\"rows\":0,\"data\":");
    json::list(out, columns, |out, _| out.extend_from_slice(b"[]"));
}

fn write_columns<'a>(out: &mut Vec<u8>, columns: impl Iterator<Item = (&'a str, &'a str)>) {
    out.extend_from_slice(b"\"columns\":");
    json::list(out, columns, |out, (name, kind)| {
        out.extend_from_slice(b"{\"name\":");
        json::value(out, name);
        out.extend_from_slice(b",\"type\":");
        json::value(out, kind);
        out.push(b'}');
    });
}

fn write_column(out: &mut Vec<u8>, array: &dyn Array, is_first: &mut bool) -> Result<(), ArrowError> {
    let mut cells = Cells { out, is_first };
    match array.data_type() {
        DataType::Float64 => cells.primitive::<Float64Type>(array, json::number),
        DataType::Float32 => cells.primitive::<Float32Type>(array, |out, value| json::value(out, &value)),
        DataType::Int8 => cells.primitive::<Int8Type>(array, |out, value| json::value(out, &value)),
        DataType::Int16 => cells.primitive::<Int16Type>(array, |out, value| json::value(out, &value)),
        DataType::Int32 => cells.primitive::<Int32Type>(array, |out, value| json::value(out, &value)),
        DataType::Int64 => cells.primitive::<Int64Type>(array, |out, value| json::value(out, &value)),
        DataType::UInt8 => cells.primitive::<UInt8Type>(array, |out, value| json::value(out, &value)),
        DataType::UInt16 => cells.primitive::<UInt16Type>(array, |out, value| json::value(out, &value)),
        DataType::UInt32 => cells.primitive::<UInt32Type>(array, |out, value| json::value(out, &value)),
        DataType::UInt64 => cells.primitive::<UInt64Type>(array, |out, value| json::value(out, &value)),
        DataType::Date32 => cells.primitive::<Date32Type>(array, |out, days| json::value(out, &date(days))),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            cells.primitive::<TimestampMicrosecondType>(array, json::millis);
        }
        DataType::Timestamp(_, zone) => {
            let micros = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            cells.primitive::<TimestampMicrosecondType>(micros.as_ref(), json::millis);
        }
        DataType::Boolean => {
            let values = array.as_boolean();
            cells.each(array, |out, row| json::value(out, &values.value(row)));
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            cells.each(array, |out, row| json::value(out, values.value(row)));
        }
        DataType::Utf8View => {
            let values = array.as_string_view();
            cells.each(array, |out, row| json::value(out, values.value(row)));
        }
        DataType::Dictionary(..) | DataType::LargeUtf8 => {
            let texts = cast(array, &DataType::Utf8)?;
            return write_column(cells.out, texts.as_ref(), cells.is_first);
        }
        _ => {
            let options = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(array, &options)?;
            cells.each(array, |out, row| json::value(out, &formatter.value(row).to_string()));
        }
    }
    Ok(())
}

/// The cells of one column, in the order of the batches.
struct Cells<'a> {
    out: &'a mut Vec<u8>,
    is_first: &'a mut bool,
}

impl Cells<'_> {
    fn each(&mut self, array: &dyn Array, mut write: impl FnMut(&mut Vec<u8>, usize)) {
        for row in 0..array.len() {
            if !std::mem::take(self.is_first) {
                self.out.push(b',');
            }
            match array.is_null(row) {
                true => self.out.extend_from_slice(b"null"),
                false => write(self.out, row),
            }
        }
    }

    fn primitive<T: ArrowPrimitiveType>(&mut self, array: &dyn Array, mut write: impl FnMut(&mut Vec<u8>, T::Native)) {
        let values = array.as_primitive::<T>().values();
        self.each(array, |out, row| write(out, values[row]));
    }
}

fn date(days: i32) -> Option<NaiveDate> {
    let (epoch, distance) = (NaiveDate::default(), Days::new(u64::from(days.unsigned_abs())));
    if days < 0 { epoch.checked_sub_days(distance) } else { epoch.checked_add_days(distance) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };
    use futures::{StreamExt, stream};
    use serde_json::{Value, json};

    use super::*;

    fn numbers(batches: &[&[i64]]) -> ResultBatches {
        let batch = |values: &&[i64]| {
            let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
            Ok(RecordBatch::try_from_iter([("n", column)]).unwrap())
        };
        stream::iter(batches.iter().map(batch).collect::<Vec<_>>()).boxed()
    }

    async fn kept(batches: &[&[i64]], rows: usize, newest: bool) -> (Vec<i64>, bool) {
        let kept = keep(numbers(batches), rows, newest).await.unwrap();
        let values = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
        let values: Vec<i64> = kept.batches.iter().flat_map(values).collect();
        assert_eq!(values.len(), kept.rows);
        (values, kept.truncated)
    }

    #[tokio::test]
    async fn the_first_or_the_last_rows_are_kept() {
        let batches: [&[i64]; 5] = [&[1, 2, 3], &[], &[4], &[5, 6], &[]];
        for (rows, first, last) in [
            (1, vec![1], vec![6]),
            (2, vec![1, 2], vec![5, 6]),
            (3, vec![1, 2, 3], vec![4, 5, 6]),
            (4, vec![1, 2, 3, 4], vec![3, 4, 5, 6]),
            (5, vec![1, 2, 3, 4, 5], vec![2, 3, 4, 5, 6]),
        ] {
            assert_eq!(kept(&batches, rows, false).await, (first, true), "{rows}");
            assert_eq!(kept(&batches, rows, true).await, (last, true), "{rows}");
        }
        for newest in [false, true] {
            assert_eq!(kept(&batches, 6, newest).await, (vec![1, 2, 3, 4, 5, 6], false));
            assert_eq!(kept(&batches, 9, newest).await, (vec![1, 2, 3, 4, 5, 6], false));
            assert_eq!(kept(&[], 9, newest).await, (vec![], false));
            assert!(kept(&[&[1, 2, 3]], 2, newest).await.1);
        }
    }

    #[test]
    fn columns_are_written_with_their_types() {
        let times = TimestampMicrosecondArray::from(vec![Some(1_500), None]).with_timezone("UTC");
        let columns: [(&str, ArrayRef); 6] = [
            ("symbol", Arc::new(StringArray::from(vec![Some("<b>\"\u{1f4c8}"), None]))),
            ("ts", Arc::new(times)),
            ("day", Arc::new(Date32Array::from(vec![20_000, -1]))),
            ("close", Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(1.5)]))),
            ("n", Arc::new(Int64Array::from(vec![1 << 53, 2]))),
            ("up", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let schema = batch.schema();
        let mut out = b"{".to_vec();
        let kept = LimitedRows { batches: vec![batch.slice(0, 1), batch.slice(1, 1)], rows: 2, truncated: false };
        write(&mut out, &schema, &kept).unwrap();
        out.push(b'}');
        let value: Value = serde_json::from_slice(&out).unwrap();
        let kinds: Vec<&str> =
            value["columns"].as_array().unwrap().iter().map(|column| column["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["string", "timestamp", "date", "double", "bigint", "boolean"]);
        assert_eq!(
            value["data"],
            json!([
                ["<b>\"\u{1f4c8}", null],
                [1.5, null],
                ["2024-10-04", "1969-12-31"],
                [null, 1.5],
                [9_007_199_254_740_992_i64, 2],
                [true, null]
            ])
        );
    }
}

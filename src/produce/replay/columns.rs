//! Columns of any type that can mean a number, a text or a time. Errors have the row in the batch.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};

use super::time::TimeParser;

type RowError = (usize, String);

/// Fails where a value would be lost.
fn converted(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, RowError> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, to, &strict).map_err(|error| (0, error.to_string()))
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

pub(super) fn texts(column: &ArrayRef) -> Result<StringArray, RowError> {
    Ok(converted(column, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// The values that are not null, through `read`.
fn each<T, V>(
    values: impl Iterator<Item = Option<V>>,
    read: impl Fn(V) -> Result<T, String>,
) -> Result<Vec<Option<T>>, RowError> {
    values.enumerate().map(|(row, value)| value.map(&read).transpose().map_err(|problem| (row, problem))).collect()
}

pub(super) fn numbers(column: &ArrayRef) -> Result<Vec<Option<f64>>, RowError> {
    let finite = |number: f64| if number.is_finite() { Ok(number) } else { Err("not a finite number".to_owned()) };
    if is_text(column.data_type()) {
        let parse = |text: &str| {
            let number = text
                .trim()
                .parse::<f64>()
                .map_err(|_| format!("'{}' is not a number; write plain digits, as in 1234.5", shown(text)))?;
            finite(number)
        };
        return each(texts(column)?.iter(), parse);
    }
    each(converted(column, &DataType::Float64)?.as_primitive::<Float64Type>().iter(), finite)
}

/// Enough of a value to find it.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Microseconds since the epoch.
pub(super) fn times(column: &ArrayRef, rule: &TimeParser) -> Result<Vec<Option<i64>>, RowError> {
    let kind = column.data_type();
    match kind {
        text if is_text(text) => each(texts(column)?.iter(), |text| rule.text(text)),
        DataType::Timestamp(_, zone) => {
            let micros = converted(column, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            let values = micros.as_primitive::<TimestampMicrosecondType>().iter();
            each(values, |micros| if zone.is_some() { Ok(micros) } else { rule.local_micros(micros) })
        }
        DataType::Date32 => each(column.as_primitive::<Date32Type>().iter(), |days| rule.days(days)),
        integer if integer.is_integer() => {
            let values = converted(column, &DataType::Int64)?;
            each(values.as_primitive::<Int64Type>().iter(), |number| rule.number(number))
        }
        // The shortest text that reads back as the same double has the digits that were written.
        DataType::Float64 => {
            each(column.as_primitive::<Float64Type>().iter(), |number| rule.decimal(&number.to_string()))
        }
        other => Err((0, format!("type {other} is no time"))),
    }
}

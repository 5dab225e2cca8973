//! Converts values from other engines to Arrow columns. Trino and Athena have the same type names and value formats.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder,
    Int16Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::compute::kernels::cast_utils::parse_decimal;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use chrono::{FixedOffset, NaiveDate, NaiveDateTime, TimeZone};
use serde_json::{Number, Value};

/// One value of a row, as the engine returns it.
#[derive(Debug, Clone, Copy)]
pub(super) enum EngineValue<'a> {
    Null,
    Bool(bool),
    Number(&'a Number),
    Text(&'a str),
    /// An array, a map or a row.
    Nested(&'a Value),
}

impl<'a> From<&'a Value> for EngineValue<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(text),
            Value::Array(_) | Value::Object(_) => Self::Nested(value),
        }
    }
}

impl fmt::Display for EngineValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            Self::Nested(value) => write!(f, "{value}"),
        }
    }
}

impl EngineValue<'_> {
    fn read<T: FromStr>(&self) -> Option<T> {
        match self {
            Self::Text(text) => text.parse().ok(),
            other => other.to_string().parse().ok(),
        }
    }

    fn integer<T: TryFrom<i64>>(&self) -> Option<T> {
        let wide = match self {
            Self::Number(number) => number.as_i64(),
            other => other.read(),
        };
        T::try_from(wide?).ok()
    }

    fn double(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            // Strings, which include NaN, Infinity and -Infinity.
            other => other.read(),
        }
    }
}

/// The Arrow type of a column. Types without an Arrow equivalent become text, in the notation of the engine.
pub(super) fn data_type(name: &str) -> DataType {
    let name = name.to_ascii_lowercase();
    let (base, rest) = name.split_once('(').unwrap_or((&name, ""));
    let (arguments, after) = rest.split_once(')').unwrap_or(("", ""));
    let argument = |at: usize| arguments.split(',').nth(at).map(str::trim).filter(|text| !text.is_empty());
    match base.trim() {
        "boolean" => DataType::Boolean,
        "tinyint" => DataType::Int8,
        "smallint" => DataType::Int16,
        "integer" | "int" => DataType::Int32,
        "bigint" => DataType::Int64,
        "real" | "float" => DataType::Float32,
        "double" => DataType::Float64,
        "date" => DataType::Date32,
        "timestamp" | "timestamp with time zone" => {
            // The default precision is milliseconds. Times with more digits than microseconds stay text.
            let digits = argument(0).map_or(Some(3), |digits| digits.parse::<u8>().ok());
            let zoned = base.ends_with("zone") || after.trim() == "with time zone";
            match digits {
                Some(0..=6) => DataType::Timestamp(TimeUnit::Microsecond, zoned.then(|| "UTC".into())),
                _ => DataType::Utf8,
            }
        }
        "decimal" => match (argument(0).map(str::parse), argument(1).map(str::parse)) {
            (Some(Ok(precision @ 1..=38)), Some(Ok(scale))) => DataType::Decimal128(precision, scale),
            _ => DataType::Utf8,
        },
        _ => DataType::Utf8,
    }
}

#[derive(Debug)]
enum ColumnBuilder {
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Date(Date32Builder),
    Time(TimestampMicrosecondBuilder),
    Decimal(Decimal128Builder, u8, i8),
    Text(StringBuilder),
}

impl ColumnBuilder {
    fn new(kind: &DataType) -> Self {
        match kind {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int8 => Self::Int8(Int8Builder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(_, _) => Self::Time(TimestampMicrosecondBuilder::new().with_data_type(kind.clone())),
            DataType::Decimal128(precision, scale) => {
                let builder = Decimal128Builder::new().with_data_type(kind.clone());
                Self::Decimal(builder, *precision, *scale)
            }
            _ => Self::Text(StringBuilder::new()),
        }
    }

    /// Appends a value. Returns `None` if it doesn't have the type of the column.
    fn append(&mut self, cell: EngineValue<'_>) -> Option<()> {
        let known = !matches!(cell, EngineValue::Null);
        macro_rules! append {
            ($builder:expr, $value:expr) => {
                $builder.append_option(if known { Some($value?) } else { None })
            };
        }
        match self {
            Self::Boolean(builder) => append!(builder, cell.read::<bool>()),
            Self::Int8(builder) => append!(builder, cell.integer::<i8>()),
            Self::Int16(builder) => append!(builder, cell.integer::<i16>()),
            Self::Int32(builder) => append!(builder, cell.integer::<i32>()),
            Self::Int64(builder) => append!(builder, cell.integer::<i64>()),
            Self::Float32(builder) => append!(builder, cell.read::<f32>()),
            Self::Float64(builder) => append!(builder, cell.double()),
            Self::Date(builder) => append!(builder, date(cell)),
            Self::Time(builder) => append!(builder, instant(cell)),
            Self::Decimal(builder, precision, scale) => {
                append!(builder, parse_decimal::<Decimal128Type>(&cell.to_string(), *precision, *scale).ok());
            }
            Self::Text(builder) => match cell {
                EngineValue::Null => builder.append_null(),
                EngineValue::Text(text) => builder.append_value(text),
                other => builder.append_value(other.to_string()),
            },
        }
        Some(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Int8(builder) => Arc::new(builder.finish()),
            Self::Int16(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::Float32(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder, ..) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

fn date(cell: EngineValue<'_>) -> Option<i32> {
    let EngineValue::Text(text) = cell else { return None };
    Some(Date32Type::from_naive_date(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?))
}

/// Parses a time such as `2026-01-05 14:30:00.123456 UTC` to microseconds. A time without a zone is taken as UTC.
fn instant(cell: EngineValue<'_>) -> Option<i64> {
    let EngineValue::Text(text) = cell else { return None };
    let (time, zone) = match text.match_indices(' ').nth(1) {
        Some((at, _)) => (&text[..at], &text[at + 1..]),
        None => (text, "UTC"),
    };
    let local = NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    let utc = match zone {
        "UTC" | "Z" => local.and_utc(),
        zone if zone.starts_with(['+', '-']) => {
            local.and_local_timezone(zone.parse::<FixedOffset>().ok()?).single()?.to_utc()
        }
        // A local time that occurs twice, at the end of daylight saving time, is ambiguous and therefore rejected.
        zone => zone.parse::<chrono_tz::Tz>().ok()?.from_local_datetime(&local).single()?.to_utc(),
    };
    Some(utc.timestamp_micros())
}

/// Collects the rows of one page into a batch.
#[derive(Debug)]
pub(super) struct BatchBuilder {
    schema: SchemaRef,
    types: Vec<String>,
    builders: Vec<ColumnBuilder>,
    rows: usize,
}

impl BatchBuilder {
    /// `columns` are the names and types that the engine reports.
    pub(super) fn new(columns: impl IntoIterator<Item = (String, String)>) -> Self {
        let (fields, types): (Vec<Field>, Vec<String>) =
            columns.into_iter().map(|(name, kind)| (Field::new(name, data_type(&kind), true), kind)).unzip();
        let builders = fields.iter().map(|field| ColumnBuilder::new(field.data_type())).collect();
        Self { schema: Arc::new(Schema::new(fields)), types, builders, rows: 0 }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Appends a row.
    ///
    /// # Errors
    /// The number of values differs from the number of columns, or a value doesn't have the type of its column.
    pub(super) fn append<'a>(&mut self, row: impl ExactSizeIterator<Item = EngineValue<'a>>) -> Result<(), String> {
        if row.len() != self.builders.len() {
            return Err(format!("a row of {} values for {} columns", row.len(), self.builders.len()));
        }
        for (at, cell) in row.enumerate() {
            self.builders[at].append(cell).ok_or_else(|| {
                format!("{cell} in column {} of type {}", self.schema.field(at).name(), self.types[at])
            })?;
        }
        self.rows += 1;
        Ok(())
    }

    /// Returns the collected rows as a batch, and starts a new one.
    pub(super) fn batch(&mut self) -> Option<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        if rows == 0 {
            return None;
        }
        let arrays = self.builders.iter_mut().map(ColumnBuilder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options);
        Some(batch.expect("every column has the type of its field and one value a row"))
    }
}

#[cfg(test)]
mod tests {
    use arrow::util::pretty::pretty_format_batches;
    use serde_json::json;

    use super::*;

    fn batch(kind: &str, values: Value) -> Result<RecordBatch, String> {
        let mut columns = BatchBuilder::new([("x".to_owned(), kind.to_owned())]);
        for value in values.as_array().unwrap() {
            columns.append([EngineValue::from(value)].into_iter())?;
        }
        Ok(columns.batch().unwrap())
    }

    fn shown(kind: &str, values: Value) -> Vec<String> {
        let batch = batch(kind, values).unwrap();
        let table = pretty_format_batches(&[batch]).unwrap().to_string();
        let rows = table.lines().skip(3).filter_map(|line| line.strip_prefix('|'));
        rows.map(|line| line.trim_end_matches('|').trim().to_owned()).collect()
    }

    #[test]
    fn values_are_those_of_their_type() {
        for (kind, value, text) in [
            ("varchar(1)", json!("é"), "é"),
            ("char(3)", json!("ab "), "ab"),
            ("boolean", json!(true), "true"),
            ("boolean", json!("false"), "false"),
            ("tinyint", json!(-128), "-128"),
            ("smallint", json!("7"), "7"),
            ("integer", json!(2_147_483_647), "2147483647"),
            ("bigint", json!(9_223_372_036_854_775_807_i64), "9223372036854775807"),
            ("real", json!(1.1), "1.1"),
            ("double", json!(0.1), "0.1"),
            ("double", json!("Infinity"), "inf"),
            ("double", json!("NaN"), "NaN"),
            ("double", json!("-1.5E-7"), "-1.5e-7"),
            ("date", json!("2026-01-05"), "2026-01-05"),
            ("timestamp(6) with time zone", json!("2026-01-05 14:30:00.123456 UTC"), "2026-01-05T14:30:00.123456Z"),
            ("timestamp with time zone", json!("2026-01-05 14:30:00.123 UTC"), "2026-01-05T14:30:00.123Z"),
            ("timestamp(0) with time zone", json!("2026-01-05 09:30:00 America/New_York"), "2026-01-05T14:30:00Z"),
            ("timestamp(3) with time zone", json!("2026-01-05 20:00:00.000 +05:30"), "2026-01-05T14:30:00Z"),
            ("timestamp(3)", json!("1969-12-31 23:59:59.999"), "1969-12-31T23:59:59.999"),
            ("timestamp(9)", json!("2026-01-05 14:30:00.123456789"), "2026-01-05 14:30:00.123456789"),
            ("decimal(10, 3)", json!("1.500"), "1.500"),
            (
                "decimal(38,0)",
                json!("99999999999999999999999999999999999999"),
                "99999999999999999999999999999999999999",
            ),
            ("array(integer)", json!([1, null]), "[1,null]"),
            ("row(a bigint)", json!([1]), "[1]"),
            ("INTERVAL DAY TO SECOND", json!("1 00:00:00.000"), "1 00:00:00.000"),
        ] {
            assert_eq!(shown(kind, json!([value, null])), [text, ""], "{kind} {value}");
        }
    }

    #[test]
    fn what_is_no_value_of_its_type_is_told() {
        for (kind, value) in [
            ("integer", json!(2_147_483_648_i64)),
            ("bigint", json!(1.5)),
            ("double", json!("x")),
            ("date", json!("2026-13-01")),
            ("timestamp(3)", json!("2026-01-05")),
            ("timestamp(3) with time zone", json!("2026-11-01 01:30:00.000 America/New_York")),
            ("decimal(3, 1)", json!("1000.5")),
            ("boolean", json!("maybe")),
        ] {
            let problem = batch(kind, json!([value])).unwrap_err();
            assert!(problem.ends_with(&format!("in column x of type {kind}")), "{problem}");
        }
        let mut columns = BatchBuilder::new([("x".to_owned(), "bigint".to_owned())]);
        assert!(columns.append([EngineValue::Null, EngineValue::Null].into_iter()).is_err());
        assert!(columns.batch().is_none());
    }
}

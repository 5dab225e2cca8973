//! Columns of the tables, once, for Delta and for Arrow.
//!
//! Timestamps carry UTC and nothing is unsigned or nested deeper than message headers, so the protocol
//! stays (1,2) and every reader can read the tables.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef, TimeUnit};
use deltalake::kernel::{ArrayType, DataType, PrimitiveType, StructField, StructType};

use crate::lake::error::LakeError;
use crate::market::{ExtraSpec, ExtraType, PartitionBy};

/// Key in the footer of a file of ticks whose rows are all in the order that its value names.
pub const SORTED_BY: &str = "tickhouse.sorted_by";
pub const SORT_ORDER: &str = "symbol,ts,kafka_partition,kafka_offset,kafka_index";

/// Partition column of `dead_letters`: the UTC date of ingest.
pub const DEAD_DATE: &str = "dead_date";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lake) enum Kind {
    String,
    Double,
    Int,
    Bigint,
    Boolean,
    Timestamp,
    Date,
    Binary,
    /// `ARRAY<STRUCT<key STRING, value BINARY>>`, as Spark's Kafka source has it.
    Headers,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lake) struct Column {
    pub name: String,
    pub kind: Kind,
    pub nullable: bool,
}

const fn required(name: &'static str, kind: Kind) -> (&'static str, Kind, bool) {
    (name, kind, false)
}

const fn optional(name: &'static str, kind: Kind) -> (&'static str, Kind, bool) {
    (name, kind, true)
}

fn columns(list: &[(&str, Kind, bool)]) -> Vec<Column> {
    let column = |(name, kind, nullable): &(&str, Kind, bool)| Column {
        name: (*name).to_owned(),
        kind: *kind,
        nullable: *nullable,
    };
    list.iter().map(column).collect()
}

/// Date of a tick in the market's zone: a column in every layout, and the partition where that is a day.
pub(in crate::lake) const TRADE_DATE: &str = "trade_date";

/// The last column before the extra ones.
const BEFORE_EXTRAS: &str = "source";

pub(in crate::lake) fn ticks_columns(partition_by: PartitionBy, extras: &[(String, ExtraSpec)]) -> Vec<Column> {
    let mut all = columns(&[
        required("symbol", Kind::String),
        required("ts", Kind::Timestamp),
        optional("open", Kind::Double),
        optional("high", Kind::Double),
        optional("low", Kind::Double),
        required("close", Kind::Double),
        optional("volume", Kind::Double),
        optional("trade_id", Kind::String),
        optional(BEFORE_EXTRAS, Kind::String),
        required("kafka_epoch", Kind::Int),
        required("kafka_partition", Kind::Int),
        required("kafka_offset", Kind::Bigint),
        required("kafka_index", Kind::Int),
        optional("kafka_ts", Kind::Timestamp),
        required("ingested_at", Kind::Timestamp),
        required(TRADE_DATE, Kind::Date),
    ]);
    if partition_by.column() != TRADE_DATE {
        all.extend(columns(&[(partition_by.column(), Kind::Date, false)]));
    }
    let at = all.iter().position(|column| column.name == BEFORE_EXTRAS).map_or(all.len(), |at| at + 1);
    all.splice(at..at, extras.iter().map(|(name, spec)| Column::extra(name, spec)));
    all
}

pub(in crate::lake) fn dead_letters_columns() -> Vec<Column> {
    columns(&[
        required("kafka_epoch", Kind::Int),
        required("kafka_partition", Kind::Int),
        required("kafka_offset", Kind::Bigint),
        required("kafka_index", Kind::Int),
        optional("kafka_ts", Kind::Timestamp),
        optional("key", Kind::Binary),
        required("payload", Kind::Binary),
        required("payload_bytes", Kind::Bigint),
        required("payload_sha256", Kind::String),
        optional("headers", Kind::Headers),
        required("reason", Kind::String),
        required("detail", Kind::String),
        required("version", Kind::String),
        required("ingested_at", Kind::Timestamp),
        required(DEAD_DATE, Kind::Date),
    ])
}

pub(in crate::lake) fn signals_columns() -> Vec<Column> {
    columns(&[
        required("symbol", Kind::String),
        required("ts", Kind::Timestamp),
        required("kind", Kind::String),
        required("name", Kind::String),
        optional("side", Kind::String),
        optional("confirmed", Kind::Boolean),
        required("severity", Kind::String),
        required("close", Kind::Double),
        optional("volume", Kind::Double),
        optional("value", Kind::Double),
        required("id", Kind::String),
        required("kafka_epoch", Kind::Int),
        required("kafka_partition", Kind::Int),
        required("kafka_offset", Kind::Bigint),
        required("kafka_index", Kind::Int),
        required("emitted_at", Kind::Timestamp),
        required(TRADE_DATE, Kind::Date),
    ])
}

/// Columns of `ticks` as a query sees them, the partition column last; the files hold all but that.
pub fn ticks_schema(partition_by: PartitionBy, extras: &[(String, ExtraSpec)]) -> SchemaRef {
    arrow_schema(&ticks_columns(partition_by, extras), partition_by.column())
}

/// Columns of `dead_letters` as a query sees them, the partition column last.
pub fn dead_letters_schema() -> SchemaRef {
    arrow_schema(&dead_letters_columns(), DEAD_DATE)
}

/// Columns of `signals` as a query sees them, the partition column last.
pub fn signals_schema() -> SchemaRef {
    arrow_schema(&signals_columns(), TRADE_DATE)
}

impl Column {
    pub(in crate::lake) fn extra(name: &str, spec: &ExtraSpec) -> Self {
        let kind = match spec.kind {
            ExtraType::Double => Kind::Double,
            ExtraType::Bigint => Kind::Bigint,
            ExtraType::String => Kind::String,
            ExtraType::Boolean => Kind::Boolean,
        };
        Self { name: name.to_owned(), kind, nullable: true }
    }

    fn of(field: &StructField, table: &str) -> Result<Self, LakeError> {
        let kind = match field.data_type() {
            DataType::Primitive(PrimitiveType::String) => Kind::String,
            DataType::Primitive(PrimitiveType::Double) => Kind::Double,
            DataType::Primitive(PrimitiveType::Integer) => Kind::Int,
            DataType::Primitive(PrimitiveType::Long) => Kind::Bigint,
            DataType::Primitive(PrimitiveType::Boolean) => Kind::Boolean,
            DataType::Primitive(PrimitiveType::Timestamp) => Kind::Timestamp,
            DataType::Primitive(PrimitiveType::Date) => Kind::Date,
            DataType::Primitive(PrimitiveType::Binary) => Kind::Binary,
            other if *other == headers_type() => Kind::Headers,
            other => {
                return Err(LakeError::ColumnType {
                    table: table.to_owned(),
                    column: field.name().clone(),
                    kind: other.to_string(),
                });
            }
        };
        Ok(Self { name: field.name().clone(), kind, nullable: field.is_nullable() })
    }

    fn delta(&self) -> StructField {
        let kind = match self.kind {
            Kind::String => DataType::STRING,
            Kind::Double => DataType::DOUBLE,
            Kind::Int => DataType::INTEGER,
            Kind::Bigint => DataType::LONG,
            Kind::Boolean => DataType::BOOLEAN,
            Kind::Timestamp => DataType::TIMESTAMP,
            Kind::Date => DataType::DATE,
            Kind::Binary => DataType::BINARY,
            Kind::Headers => headers_type(),
        };
        StructField::new(self.name.clone(), kind, self.nullable)
    }

    fn arrow(&self) -> Field {
        let kind = match self.kind {
            Kind::String => ArrowType::Utf8,
            Kind::Double => ArrowType::Float64,
            Kind::Int => ArrowType::Int32,
            Kind::Bigint => ArrowType::Int64,
            Kind::Boolean => ArrowType::Boolean,
            Kind::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Date => ArrowType::Date32,
            Kind::Binary => ArrowType::Binary,
            Kind::Headers => {
                let key = Field::new("key", ArrowType::Utf8, false);
                let value = Field::new("value", ArrowType::Binary, true);
                let header = ArrowType::Struct(vec![key, value].into());
                ArrowType::List(Arc::new(Field::new("element", header, false)))
            }
        };
        Field::new(&self.name, kind, self.nullable)
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::String => "STRING",
            Kind::Double => "DOUBLE",
            Kind::Int => "INT",
            Kind::Bigint => "BIGINT",
            Kind::Boolean => "BOOLEAN",
            Kind::Timestamp => "TIMESTAMP",
            Kind::Date => "DATE",
            Kind::Binary => "BINARY",
            Kind::Headers => "ARRAY<STRUCT<key STRING, value BINARY>>",
        };
        f.write_str(kind)?;
        if self.nullable { Ok(()) } else { f.write_str(" NOT NULL") }
    }
}

fn headers_type() -> DataType {
    let key = StructField::new("key", DataType::STRING, false);
    let value = StructField::new("value", DataType::BINARY, true);
    let header = StructType::try_new([key, value]).expect("two fields with two names");
    DataType::Array(Box::new(ArrayType::new(DataType::Struct(Box::new(header)), false)))
}

pub(in crate::lake) fn delta_schema(columns: &[Column]) -> Result<StructType, deltalake::DeltaTableError> {
    Ok(StructType::try_new(columns.iter().map(Column::delta))?)
}

pub(in crate::lake) fn read_columns(schema: &StructType, table: &str) -> Result<Vec<Column>, LakeError> {
    schema.fields().map(|field| Column::of(field, table)).collect()
}

pub(in crate::lake) fn arrow_schema(columns: &[Column], partition_column: &str) -> SchemaRef {
    let (partition, data): (Vec<&Column>, Vec<&Column>) =
        columns.iter().partition(|column| column.name == partition_column);
    let fields: Vec<Field> = data.into_iter().chain(partition).map(Column::arrow).collect();
    Arc::new(Schema::new(fields))
}

/// Places new extra columns after those that exist.
pub(in crate::lake) fn with_new_extras(present: &[Column], new: &[Column]) -> Vec<Column> {
    let mut all = present.to_vec();
    let at = all.iter().position(|column| column.name == "kafka_epoch").unwrap_or(all.len());
    all.splice(at..at, new.iter().cloned());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE_DATES: &str = "symbol,ts,open,high,low,close,volume,trade_id,source,bid,kafka_epoch,kafka_partition,\
                                kafka_offset,kafka_index,kafka_ts,ingested_at";

    fn ticks(partition_by: PartitionBy) -> Vec<Column> {
        ticks_columns(partition_by, &[("bid".to_owned(), ExtraSpec { path: "/b".to_owned(), kind: ExtraType::Double })])
    }

    #[test]
    fn delta_and_arrow_have_the_same_columns() {
        for columns in [ticks(PartitionBy::Day), ticks(PartitionBy::Year), dead_letters_columns()] {
            let delta = delta_schema(&columns).unwrap();
            assert_eq!(read_columns(&delta, "t").unwrap(), columns);
            let last = &columns.last().unwrap().name;
            assert_eq!(arrow_schema(&columns, last).fields().len(), columns.len());
        }
    }

    #[test]
    fn the_trade_date_is_there_in_every_layout() {
        for (partition_by, dates) in [
            (PartitionBy::Day, "trade_date"),
            (PartitionBy::Month, "trade_date,trade_month"),
            (PartitionBy::Year, "trade_date,trade_year"),
        ] {
            let schema = arrow_schema(&ticks(partition_by), partition_by.column());
            let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            assert_eq!(names.join(","), format!("{BEFORE_DATES},{dates}"));
            for date in dates.split(',') {
                let field = schema.field_with_name(date).unwrap();
                assert_eq!((field.data_type(), field.is_nullable()), (&ArrowType::Date32, false));
            }
        }
    }
}

//! The columns of the tables, defined once for both Delta and Arrow.
//!
//! Timestamps carry UTC and nothing is unsigned or nested deeper than message headers, so the protocol
//! stays (1,2) and every reader can read the tables.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef, TimeUnit};
use deltalake::kernel::{ArrayType, DataType, PrimitiveType, StructField, StructType};

use crate::lake::error::LakeError;
use crate::market::{ExtraSpec, ExtraType, PartitionBy};

/// Key in the footer of a sorted file of ticks; its value names the order.
pub const SORTED_BY: &str = "tickhouse.sorted_by";
pub const SORT_ORDER: &str = "symbol,ts,kafka_partition,kafka_offset,kafka_index";

/// Partition column of `dead_letters`: the UTC date of ingest.
pub const DEAD_DATE: &str = "dead_date";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lake) enum ColumnKind {
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
pub(in crate::lake) struct TableColumn {
    pub name: String,
    pub kind: ColumnKind,
    pub nullable: bool,
}

const fn required(name: &'static str, kind: ColumnKind) -> (&'static str, ColumnKind, bool) {
    (name, kind, false)
}

const fn optional(name: &'static str, kind: ColumnKind) -> (&'static str, ColumnKind, bool) {
    (name, kind, true)
}

fn columns(list: &[(&str, ColumnKind, bool)]) -> Vec<TableColumn> {
    let column = |(name, kind, nullable): &(&str, ColumnKind, bool)| TableColumn {
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

pub(in crate::lake) fn ticks_columns(partition_by: PartitionBy, extras: &[(String, ExtraSpec)]) -> Vec<TableColumn> {
    let mut all = columns(&[
        required("symbol", ColumnKind::String),
        required("ts", ColumnKind::Timestamp),
        optional("open", ColumnKind::Double),
        optional("high", ColumnKind::Double),
        optional("low", ColumnKind::Double),
        required("close", ColumnKind::Double),
        optional("volume", ColumnKind::Double),
        optional("trade_id", ColumnKind::String),
        optional(BEFORE_EXTRAS, ColumnKind::String),
        required("kafka_epoch", ColumnKind::Int),
        required("kafka_partition", ColumnKind::Int),
        required("kafka_offset", ColumnKind::Bigint),
        required("kafka_index", ColumnKind::Int),
        optional("kafka_ts", ColumnKind::Timestamp),
        required("ingested_at", ColumnKind::Timestamp),
        required(TRADE_DATE, ColumnKind::Date),
    ]);
    if partition_by.column() != TRADE_DATE {
        all.extend(columns(&[(partition_by.column(), ColumnKind::Date, false)]));
    }
    let at = all.iter().position(|column| column.name == BEFORE_EXTRAS).map_or(all.len(), |at| at + 1);
    all.splice(at..at, extras.iter().map(|(name, spec)| TableColumn::extra(name, spec)));
    all
}

pub(in crate::lake) fn dead_letters_columns() -> Vec<TableColumn> {
    columns(&[
        required("kafka_epoch", ColumnKind::Int),
        required("kafka_partition", ColumnKind::Int),
        required("kafka_offset", ColumnKind::Bigint),
        required("kafka_index", ColumnKind::Int),
        optional("kafka_ts", ColumnKind::Timestamp),
        optional("key", ColumnKind::Binary),
        required("payload", ColumnKind::Binary),
        required("payload_bytes", ColumnKind::Bigint),
        required("payload_sha256", ColumnKind::String),
        optional("headers", ColumnKind::Headers),
        required("reason", ColumnKind::String),
        required("detail", ColumnKind::String),
        required("version", ColumnKind::String),
        required("ingested_at", ColumnKind::Timestamp),
        required(DEAD_DATE, ColumnKind::Date),
    ])
}

pub(in crate::lake) fn signals_columns() -> Vec<TableColumn> {
    columns(&[
        required("symbol", ColumnKind::String),
        required("ts", ColumnKind::Timestamp),
        required("kind", ColumnKind::String),
        required("name", ColumnKind::String),
        optional("side", ColumnKind::String),
        optional("confirmed", ColumnKind::Boolean),
        required("severity", ColumnKind::String),
        required("close", ColumnKind::Double),
        optional("volume", ColumnKind::Double),
        optional("value", ColumnKind::Double),
        required("id", ColumnKind::String),
        required("kafka_epoch", ColumnKind::Int),
        required("kafka_partition", ColumnKind::Int),
        required("kafka_offset", ColumnKind::Bigint),
        required("kafka_index", ColumnKind::Int),
        required("emitted_at", ColumnKind::Timestamp),
        required(TRADE_DATE, ColumnKind::Date),
    ])
}

/// Columns of `ticks` as a query sees them, the partition column last; the files don't contain that one.
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

impl TableColumn {
    pub(in crate::lake) fn extra(name: &str, spec: &ExtraSpec) -> Self {
        let kind = match spec.kind {
            ExtraType::Double => ColumnKind::Double,
            ExtraType::Bigint => ColumnKind::Bigint,
            ExtraType::String => ColumnKind::String,
            ExtraType::Boolean => ColumnKind::Boolean,
        };
        Self { name: name.to_owned(), kind, nullable: true }
    }

    fn of(field: &StructField, table: &str) -> Result<Self, LakeError> {
        let kind = match field.data_type() {
            DataType::Primitive(PrimitiveType::String) => ColumnKind::String,
            DataType::Primitive(PrimitiveType::Double) => ColumnKind::Double,
            DataType::Primitive(PrimitiveType::Integer) => ColumnKind::Int,
            DataType::Primitive(PrimitiveType::Long) => ColumnKind::Bigint,
            DataType::Primitive(PrimitiveType::Boolean) => ColumnKind::Boolean,
            DataType::Primitive(PrimitiveType::Timestamp) => ColumnKind::Timestamp,
            DataType::Primitive(PrimitiveType::Date) => ColumnKind::Date,
            DataType::Primitive(PrimitiveType::Binary) => ColumnKind::Binary,
            other if *other == headers_type() => ColumnKind::Headers,
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
            ColumnKind::String => DataType::STRING,
            ColumnKind::Double => DataType::DOUBLE,
            ColumnKind::Int => DataType::INTEGER,
            ColumnKind::Bigint => DataType::LONG,
            ColumnKind::Boolean => DataType::BOOLEAN,
            ColumnKind::Timestamp => DataType::TIMESTAMP,
            ColumnKind::Date => DataType::DATE,
            ColumnKind::Binary => DataType::BINARY,
            ColumnKind::Headers => headers_type(),
        };
        StructField::new(self.name.clone(), kind, self.nullable)
    }

    fn arrow(&self) -> Field {
        let kind = match self.kind {
            ColumnKind::String => ArrowType::Utf8,
            ColumnKind::Double => ArrowType::Float64,
            ColumnKind::Int => ArrowType::Int32,
            ColumnKind::Bigint => ArrowType::Int64,
            ColumnKind::Boolean => ArrowType::Boolean,
            ColumnKind::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ColumnKind::Date => ArrowType::Date32,
            ColumnKind::Binary => ArrowType::Binary,
            ColumnKind::Headers => {
                let key = Field::new("key", ArrowType::Utf8, false);
                let value = Field::new("value", ArrowType::Binary, true);
                let header = ArrowType::Struct(vec![key, value].into());
                ArrowType::List(Arc::new(Field::new("element", header, false)))
            }
        };
        Field::new(&self.name, kind, self.nullable)
    }
}

impl fmt::Display for TableColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ColumnKind::String => "STRING",
            ColumnKind::Double => "DOUBLE",
            ColumnKind::Int => "INT",
            ColumnKind::Bigint => "BIGINT",
            ColumnKind::Boolean => "BOOLEAN",
            ColumnKind::Timestamp => "TIMESTAMP",
            ColumnKind::Date => "DATE",
            ColumnKind::Binary => "BINARY",
            ColumnKind::Headers => "ARRAY<STRUCT<key STRING, value BINARY>>",
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

pub(in crate::lake) fn delta_schema(columns: &[TableColumn]) -> Result<StructType, deltalake::DeltaTableError> {
    Ok(StructType::try_new(columns.iter().map(TableColumn::delta))?)
}

pub(in crate::lake) fn read_columns(schema: &StructType, table: &str) -> Result<Vec<TableColumn>, LakeError> {
    schema.fields().map(|field| TableColumn::of(field, table)).collect()
}

pub(in crate::lake) fn arrow_schema(columns: &[TableColumn], partition_column: &str) -> SchemaRef {
    let (partition, data): (Vec<&TableColumn>, Vec<&TableColumn>) =
        columns.iter().partition(|column| column.name == partition_column);
    let fields: Vec<Field> = data.into_iter().chain(partition).map(TableColumn::arrow).collect();
    Arc::new(Schema::new(fields))
}

/// Inserts new extra columns after the existing ones.
pub(in crate::lake) fn with_new_extras(present: &[TableColumn], new: &[TableColumn]) -> Vec<TableColumn> {
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

    fn ticks(partition_by: PartitionBy) -> Vec<TableColumn> {
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

//! The tables that statements can read, and the types of their columns as SQL has them.

use arrow::datatypes::{DataType, FieldRef, SchemaRef};

pub const TICKS: &str = "ticks";
pub const DEAD_LETTERS: &str = "dead_letters";

/// A table that statements can read.
#[derive(Debug, Clone)]
pub struct TableInfo {
    pub name: String,
    pub schema: SchemaRef,
    /// `None` if only a scan would find it.
    pub rows: Option<u64>,
    pub files: usize,
    /// Oldest and newest event time in microseconds since the epoch, if the statistics of all files have it.
    pub times: Option<(i64, i64)>,
}

/// The type as SQL has it.
pub fn sql_type(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Float32 => "REAL".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Timestamp(..) => "TIMESTAMP".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BINARY".to_owned(),
        DataType::List(item) => format!("ARRAY<{}>", sql_type(item.data_type())),
        DataType::Struct(fields) => {
            let field = |field: &FieldRef| format!("{} {}", field.name(), sql_type(field.data_type()));
            format!("STRUCT<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string().to_uppercase(),
    }
}

//! The types of whole numbers: their names in SQL, what they hold, and the error of what they don't.

use std::fmt::Display;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, exec_datafusion_err};

/// The name of a type of whole numbers, its least and its greatest number; `None` for another type.
fn limits(kind: &DataType) -> Option<(&'static str, i128, i128)> {
    Some(match kind {
        DataType::Int8 => ("TINYINT", i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => ("SMALLINT", i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => ("INT", i32::MIN.into(), i32::MAX.into()),
        DataType::Int64 => ("BIGINT", i64::MIN.into(), i64::MAX.into()),
        DataType::UInt8 => ("TINYINT UNSIGNED", 0, u8::MAX.into()),
        DataType::UInt16 => ("SMALLINT UNSIGNED", 0, u16::MAX.into()),
        DataType::UInt32 => ("INT UNSIGNED", 0, u32::MAX.into()),
        DataType::UInt64 => ("BIGINT UNSIGNED", 0, u64::MAX.into()),
        _ => return None,
    })
}

pub(in crate::query::corrections) fn holds(kind: &DataType, number: i128) -> bool {
    limits(kind).is_some_and(|(_, least, greatest)| (least..=greatest).contains(&number))
}

/// The error of a number, written as `computed`, that is beyond its type.
pub(in crate::query::corrections) fn overflow(kind: &DataType, computed: impl Display) -> DataFusionError {
    const ROUNDED: &str = "CAST(x AS DOUBLE) where the first 15 digits will do";
    let (name, least, greatest) = match (limits(kind), kind) {
        (Some(limits), _) => limits,
        (None, DataType::Duration(unit)) => {
            return exec_datafusion_err!(
                "INTERVAL overflow: {computed} {unit} is more than 64 bits hold\nwrite date_part('epoch', x) in place \
                 of x"
            );
        }
        (None, _) => {
            return exec_datafusion_err!("DECIMAL overflow: {computed} has more digits than its type\nwrite {ROUNDED}");
        }
    };
    let wider = match kind {
        DataType::Int64 | DataType::UInt64 => "CAST(x AS DECIMAL(38, 0))",
        _ => "CAST(x AS BIGINT)",
    };
    exec_datafusion_err!(
        "{name} overflow: {computed} is not between {least} and {greatest}\nwrite {wider} in place of x, or {ROUNDED}"
    )
}

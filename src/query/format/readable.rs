//! Bytes that are text as text: a dead letter's payload is mostly a message that somebody wants to read.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeStringArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use chrono_tz::Tz;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::formats::OutputFormat;
use super::output::ResultOutput;
use super::write::{write_all, write_stream};
use crate::query::error::QueryError;
use crate::query::session::query_session::run_error;

/// As [`write_all`], with columns of bytes as text; a value that is no UTF-8 is hexadecimal after `0x`. Formats that
/// hold bytes keep them.
///
/// # Errors
/// As [`write_all`].
pub async fn write_readable(
    stream: SendableRecordBatchStream,
    format: OutputFormat,
    zone: Tz,
    output: ResultOutput,
    stop: &CancellationToken,
) -> Result<u64, QueryError> {
    if format.is_binary() {
        return write_all(stream, format, zone, output, stop).await;
    }
    let schema = readable_schema(&stream.schema());
    let to = Arc::clone(&schema);
    let batches = stream.map(move |batch| {
        let batch = batch.map_err(|error| run_error(&error))?;
        readable(&batch, &to).map_err(|error| QueryError::Run(error.to_string()))
    });
    write_stream(&schema, batches, format, zone, output, stop).await
}

fn is_bytes(kind: &DataType) -> bool {
    matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

fn readable_schema(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match is_bytes(field.data_type()) {
        true => Arc::new(Field::clone(field).with_data_type(DataType::LargeUtf8)),
        false => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn readable(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(|column| match is_bytes(column.data_type()) {
        true => text_of(column),
        false => Ok(Arc::clone(column)),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect::<Result<Vec<_>, _>>()?, &options)
}

fn text_of(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let bytes = cast(column, &DataType::LargeBinary)?;
    let texts = bytes.as_binary::<i64>().iter().map(|bytes| {
        bytes.map(|bytes| match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => hexadecimal(bytes),
        })
    });
    Ok(Arc::new(texts.collect::<LargeStringArray>()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    "0x".chars().chain(digits.map(char::from)).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryArray, BinaryViewArray};

    use super::*;

    #[test]
    fn text_is_text_and_the_rest_is_hexadecimal() {
        let values = [Some(&b"{\"a\":1}"[..]), None, Some(b"\x1f\x8b\xff"), Some("é".as_bytes()), Some(b"")];
        for column in [
            Arc::new(BinaryArray::from_iter(values)) as ArrayRef,
            Arc::new(BinaryViewArray::from_iter(values)) as ArrayRef,
        ] {
            let batch = RecordBatch::try_from_iter([("payload", column)]).unwrap();
            let batch = readable(&batch, &readable_schema(&batch.schema())).unwrap();
            let texts: Vec<Option<&str>> = batch.column(0).as_string::<i64>().iter().collect();
            assert_eq!(texts, [Some("{\"a\":1}"), None, Some("0x1f8bff"), Some("é"), Some("")]);
        }
    }
}

//! Encodes dead letters as one Parquet file, partitioned by the UTC date of ingest.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BinaryBuilder, Int32Array, Int64Array, ListBuilder, StringArray, StringBuilder,
    StructBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::record_batch::RecordBatch;
use chrono::Utc;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use serde_json::json;

use crate::ingest::batching::batch::DeadLetter;
use crate::ingest::flushing::encode::EncodedFile;
use crate::lake::{DEAD_DATE, NewFile, dead_letters_schema, new_data_path, zstd_properties};
use crate::market::rfc3339;

const DAY_MICROS: i64 = 86_400_000_000;
/// Rows of one record batch, bounded by their number and by the bytes of their payloads: a payload may have 1 MiB.
const SLICE_ROWS: usize = 1_024;
const SLICE_BYTES: usize = 8 << 20;

/// `ingested_at` in microseconds since the epoch.
///
/// # Errors
/// Parquet rejects a value, which no dead letter should cause.
pub(in crate::ingest) fn encode_dead_letters(
    dead_letters: &[&DeadLetter],
    epoch: i32,
    ingested_at: i64,
) -> Result<EncodedFile, ParquetError> {
    let table = dead_letters_schema();
    let fields: Vec<_> = table.fields().iter().filter(|field| field.name() != DEAD_DATE).cloned().collect();
    let schema = Arc::new(Schema::new(fields));
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(zstd_properties()))?;
    for slice in slices(dead_letters) {
        let columns = schema.fields().iter().map(|field| column(field, slice, epoch, ingested_at)).collect();
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns)?)?;
    }
    let bytes = writer.into_inner()?;
    let partition_value = i32::try_from(ingested_at.div_euclid(DAY_MICROS)).unwrap_or(i32::MAX);
    let file = NewFile {
        path: new_data_path(DEAD_DATE, partition_value)?,
        bytes: bytes.len() as i64,
        rows: dead_letters.len() as i64,
        partition_value,
        stats: stats(dead_letters, ingested_at),
        made: Utc::now(),
    };
    Ok(EncodedFile { file, bytes })
}

fn slices<'a, 'b>(mut dead_letters: &'a [&'b DeadLetter]) -> impl Iterator<Item = &'a [&'b DeadLetter]> {
    std::iter::from_fn(move || {
        let (mut count, mut bytes) = (0, 0);
        while count < dead_letters.len().min(SLICE_ROWS) && (count == 0 || bytes < SLICE_BYTES) {
            bytes += dead_letters[count].payload.len();
            count += 1;
        }
        let slice;
        (slice, dead_letters) = dead_letters.split_at(count);
        (count > 0).then_some(slice)
    })
}

fn column(field: &Field, dead_letters: &[&DeadLetter], epoch: i32, ingested_at: i64) -> ArrayRef {
    let times = |value: &dyn Fn(&DeadLetter) -> Option<i64>| -> ArrayRef {
        let values: TimestampMicrosecondArray = dead_letters.iter().map(|dead_letter| value(dead_letter)).collect();
        Arc::new(values.with_timezone("UTC"))
    };
    match field.name().as_str() {
        "kafka_epoch" => Arc::new(Int32Array::from_value(epoch, dead_letters.len())),
        "kafka_partition" => {
            Arc::new(Int32Array::from_iter_values(dead_letters.iter().map(|dead_letter| dead_letter.partition)))
        }
        "kafka_offset" => {
            Arc::new(Int64Array::from_iter_values(dead_letters.iter().map(|dead_letter| dead_letter.offset)))
        }
        "kafka_index" => Arc::new(Int32Array::from_value(0, dead_letters.len())),
        "kafka_ts" => times(&|dead_letter| dead_letter.kafka_ts.map(|millis| millis.saturating_mul(1_000))),
        "key" => Arc::new(BinaryArray::from_iter(dead_letters.iter().map(|dead_letter| dead_letter.key.as_deref()))),
        "payload" => {
            Arc::new(BinaryArray::from_iter_values(dead_letters.iter().map(|dead_letter| &dead_letter.payload)))
        }
        "payload_bytes" => {
            Arc::new(Int64Array::from_iter_values(dead_letters.iter().map(|dead_letter| dead_letter.payload_bytes)))
        }
        "payload_sha256" => {
            Arc::new(StringArray::from_iter_values(dead_letters.iter().map(|dead_letter| hex(&dead_letter.sha256))))
        }
        "headers" => headers(field, dead_letters),
        "reason" => Arc::new(StringArray::from_iter_values(
            dead_letters.iter().map(|dead_letter| dead_letter.rejection.reason.as_str()),
        )),
        "detail" => Arc::new(StringArray::from_iter_values(
            dead_letters.iter().map(|dead_letter| dead_letter.rejection.detail.as_ref()),
        )),
        "version" => Arc::new(StringArray::from_iter_values(dead_letters.iter().map(|_| env!("CARGO_PKG_VERSION")))),
        "ingested_at" => times(&|_| Some(ingested_at)),
        other => unreachable!("dead_letters has no column {other}"),
    }
}

/// The column is a list of (name, value) pairs, NULL if the message has no headers.
fn headers(field: &Field, dead_letters: &[&DeadLetter]) -> ArrayRef {
    let DataType::List(item) = field.data_type() else { unreachable!("headers are a list") };
    let DataType::Struct(pair) = item.data_type() else { unreachable!("a header is a struct") };
    let builder =
        StructBuilder::new(Fields::clone(pair), vec![Box::new(StringBuilder::new()), Box::new(BinaryBuilder::new())]);
    let mut lists = ListBuilder::new(builder).with_field(Arc::clone(item));
    for dead_letter in dead_letters {
        for (name, value) in &dead_letter.headers {
            let pair = lists.values();
            pair.field_builder::<StringBuilder>(0).expect("the name is text").append_value(name);
            pair.field_builder::<BinaryBuilder>(1).expect("the value is binary").append_option(value.as_deref());
            pair.append(true);
        }
        lists.append(!dead_letter.headers.is_empty());
    }
    Arc::new(lists.finish())
}

fn stats(dead_letters: &[&DeadLetter], ingested_at: i64) -> String {
    let extremes = |value: fn(&DeadLetter) -> i64| {
        let values = || dead_letters.iter().map(|dead_letter| value(dead_letter));
        (values().min(), values().max())
    };
    let partition = extremes(|dead_letter| i64::from(dead_letter.partition));
    let offset = extremes(|dead_letter| dead_letter.offset);
    let time = rfc3339(ingested_at);
    json!({
        "numRecords": dead_letters.len(),
        "minValues": { "kafka_partition": partition.0, "kafka_offset": offset.0, "ingested_at": time },
        "maxValues": { "kafka_partition": partition.1, "kafka_offset": offset.1, "ingested_at": time },
        "nullCount": { "kafka_partition": 0, "kafka_offset": 0, "ingested_at": 0 },
    })
    .to_string()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes all text");
    }
    text
}

//! Dead letters -> one Parquet file, partitioned by the UTC date of ingest.

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
/// Gathered at once, by count and by their payloads' bytes: a payload may have 1 MiB.
const SLICE_LETTERS: usize = 1_024;
const SLICE_BYTES: usize = 8 << 20;

/// `ingested_at` in microseconds since the epoch.
///
/// # Errors
/// Parquet refuses a value; nothing in a letter should make it do so.
pub(in crate::ingest) fn encode_letters(
    letters: &[&DeadLetter],
    epoch: i32,
    ingested_at: i64,
) -> Result<EncodedFile, ParquetError> {
    let table = dead_letters_schema();
    let fields: Vec<_> = table.fields().iter().filter(|field| field.name() != DEAD_DATE).cloned().collect();
    let schema = Arc::new(Schema::new(fields));
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(zstd_properties()))?;
    for slice in slices(letters) {
        let columns = schema.fields().iter().map(|field| column(field, slice, epoch, ingested_at)).collect();
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns)?)?;
    }
    let bytes = writer.into_inner()?;
    let partition_value = i32::try_from(ingested_at.div_euclid(DAY_MICROS)).unwrap_or(i32::MAX);
    let file = NewFile {
        path: new_data_path(DEAD_DATE, partition_value)?,
        bytes: bytes.len() as i64,
        rows: letters.len() as i64,
        partition_value,
        stats: stats(letters, ingested_at),
        made: Utc::now(),
    };
    Ok(EncodedFile { file, bytes })
}

fn slices<'a, 'b>(mut letters: &'a [&'b DeadLetter]) -> impl Iterator<Item = &'a [&'b DeadLetter]> {
    std::iter::from_fn(move || {
        let (mut count, mut bytes) = (0, 0);
        while count < letters.len().min(SLICE_LETTERS) && (count == 0 || bytes < SLICE_BYTES) {
            bytes += letters[count].payload.len();
            count += 1;
        }
        let slice;
        (slice, letters) = letters.split_at(count);
        (count > 0).then_some(slice)
    })
}

fn column(field: &Field, letters: &[&DeadLetter], epoch: i32, ingested_at: i64) -> ArrayRef {
    let times = |value: &dyn Fn(&DeadLetter) -> Option<i64>| -> ArrayRef {
        let values: TimestampMicrosecondArray = letters.iter().map(|letter| value(letter)).collect();
        Arc::new(values.with_timezone("UTC"))
    };
    match field.name().as_str() {
        "kafka_epoch" => Arc::new(Int32Array::from_value(epoch, letters.len())),
        "kafka_partition" => Arc::new(Int32Array::from_iter_values(letters.iter().map(|letter| letter.partition))),
        "kafka_offset" => Arc::new(Int64Array::from_iter_values(letters.iter().map(|letter| letter.offset))),
        "kafka_index" => Arc::new(Int32Array::from_value(0, letters.len())),
        "kafka_ts" => times(&|letter| letter.kafka_ts.map(|millis| millis.saturating_mul(1_000))),
        "key" => Arc::new(BinaryArray::from_iter(letters.iter().map(|letter| letter.key.as_deref()))),
        "payload" => Arc::new(BinaryArray::from_iter_values(letters.iter().map(|letter| &letter.payload))),
        "payload_bytes" => Arc::new(Int64Array::from_iter_values(letters.iter().map(|letter| letter.payload_bytes))),
        "payload_sha256" => Arc::new(StringArray::from_iter_values(letters.iter().map(|letter| hex(&letter.sha256)))),
        "headers" => headers(field, letters),
        "reason" => {
            Arc::new(StringArray::from_iter_values(letters.iter().map(|letter| letter.rejection.reason.as_str())))
        }
        "detail" => {
            Arc::new(StringArray::from_iter_values(letters.iter().map(|letter| letter.rejection.detail.as_ref())))
        }
        "version" => Arc::new(StringArray::from_iter_values(letters.iter().map(|_| env!("CARGO_PKG_VERSION")))),
        "ingested_at" => times(&|_| Some(ingested_at)),
        other => unreachable!("dead_letters has no column {other}"),
    }
}

/// A list of (name, value) pairs; NULL where a message has none.
fn headers(field: &Field, letters: &[&DeadLetter]) -> ArrayRef {
    let DataType::List(item) = field.data_type() else { unreachable!("headers are a list") };
    let DataType::Struct(pair) = item.data_type() else { unreachable!("a header is a struct") };
    let builder =
        StructBuilder::new(Fields::clone(pair), vec![Box::new(StringBuilder::new()), Box::new(BinaryBuilder::new())]);
    let mut lists = ListBuilder::new(builder).with_field(Arc::clone(item));
    for letter in letters {
        for (name, value) in &letter.headers {
            let pair = lists.values();
            pair.field_builder::<StringBuilder>(0).expect("the name is text").append_value(name);
            pair.field_builder::<BinaryBuilder>(1).expect("the value is binary").append_option(value.as_deref());
            pair.append(true);
        }
        lists.append(!letter.headers.is_empty());
    }
    Arc::new(lists.finish())
}

fn stats(letters: &[&DeadLetter], ingested_at: i64) -> String {
    let extremes = |value: fn(&DeadLetter) -> i64| {
        let values = || letters.iter().map(|letter| value(letter));
        (values().min(), values().max())
    };
    let partition = extremes(|letter| i64::from(letter.partition));
    let offset = extremes(|letter| letter.offset);
    let time = rfc3339(ingested_at);
    json!({
        "numRecords": letters.len(),
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

//! Events as they leave: JSON for topics and webhooks, Parquet for the table.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use chrono::Utc;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde::Serialize;
use serde_json::json;

use crate::lake::{NewFile, new_data_path, signals_schema};
use crate::live::event::{Event, EventKind, Severity, TickId};
use crate::market::{date_text, rfc3339};

const TRADE_DATE: &str = "trade_date";

/// An event as JSON; absent is unknown or not of this kind.
#[derive(Serialize)]
pub struct EventJson<'a> {
    id: String,
    kind: EventKind,
    name: &'a str,
    symbol: &'a str,
    /// RFC 3339, UTC, microseconds.
    ts: Option<String>,
    trade_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed: Option<bool>,
    severity: Severity,
    close: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    kafka: TickJson,
}

#[derive(Serialize)]
struct TickJson {
    epoch: i32,
    partition: i32,
    offset: i64,
    index: i32,
}

impl<'a> From<&'a Event> for EventJson<'a> {
    fn from(event: &'a Event) -> Self {
        let TickId { epoch, partition, offset, index } = event.tick;
        Self {
            id: event.id().to_string(),
            kind: event.kind,
            name: &event.name,
            symbol: &event.symbol,
            ts: rfc3339(event.ts),
            trade_date: date_text(event.trade_date),
            side: event.side,
            confirmed: event.confirmed,
            severity: event.severity,
            close: event.close,
            volume: known(event.volume),
            value: known(event.value),
            kafka: TickJson { epoch, partition, offset, index },
        }
    }
}

fn known(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// A file that is ready for the store.
pub(in crate::live) struct EncodedFile {
    pub file: NewFile,
    pub bytes: Vec<u8>,
}

/// One file per trade date, sorted by (symbol, ts, partition, offset, index).
///
/// # Errors
/// Parquet refuses a value; nothing in an event should make it do so.
pub(in crate::live) fn encode(events: &[Arc<Event>], emitted_at: i64) -> Result<Vec<EncodedFile>, ParquetError> {
    let mut by_date: BTreeMap<i32, Vec<&Event>> = BTreeMap::new();
    for event in events {
        by_date.entry(event.trade_date).or_default().push(event);
    }
    by_date.into_iter().map(|(date, events)| encode_file(date, events, emitted_at)).collect()
}

fn encode_file(trade_date: i32, mut events: Vec<&Event>, emitted_at: i64) -> Result<EncodedFile, ParquetError> {
    events.sort_by(|one, other| {
        let key = |event: &Event| (event.ts, event.tick, event.kind);
        (&one.symbol, key(one), &one.name).cmp(&(&other.symbol, key(other), &other.name))
    });
    let fields =
        signals_schema().fields().iter().filter(|field| field.name() != TRADE_DATE).cloned().collect::<Vec<FieldRef>>();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&schema), options)?;
    writer.write(&record_batch(schema, &events, emitted_at)?)?;
    let bytes = writer.into_inner()?;
    let file = NewFile {
        path: new_data_path(TRADE_DATE, trade_date)?,
        bytes: bytes.len() as i64,
        rows: events.len() as i64,
        partition_value: trade_date,
        stats: stats(&events),
        made: Utc::now(),
    };
    Ok(EncodedFile { file, bytes })
}

fn record_batch(schema: SchemaRef, events: &[&Event], emitted_at: i64) -> Result<RecordBatch, ParquetError> {
    fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
        Arc::new(values.collect::<StringArray>())
    }
    let all = || events.iter();
    let ints =
        |of: fn(&TickId) -> i32| -> ArrayRef { Arc::new(all().map(|event| of(&event.tick)).collect::<Int32Array>()) };
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            "symbol" => texts(all().map(|event| Some(&*event.symbol))),
            "ts" => times(all().map(|event| event.ts)),
            "kind" => texts(all().map(|event| Some(event.kind.name()))),
            "name" => texts(all().map(|event| Some(&*event.name))),
            "side" => texts(all().map(|event| event.side)),
            "confirmed" => Arc::new(all().map(|event| event.confirmed).collect::<BooleanArray>()),
            "severity" => texts(all().map(|event| Some(event.severity.name()))),
            "close" => Arc::new(all().map(|event| Some(event.close)).collect::<Float64Array>()),
            "volume" => Arc::new(all().map(|event| known(event.volume)).collect::<Float64Array>()),
            "value" => Arc::new(all().map(|event| known(event.value)).collect::<Float64Array>()),
            "id" => Arc::new(StringArray::from_iter_values(all().map(|event| event.id().to_string()))),
            "kafka_epoch" => ints(|tick| tick.epoch),
            "kafka_partition" => ints(|tick| tick.partition),
            "kafka_offset" => Arc::new(all().map(|event| event.tick.offset).collect::<Int64Array>()),
            "kafka_index" => ints(|tick| tick.index),
            _ => times(all().map(|_| emitted_at)),
        }
    });
    Ok(RecordBatch::try_new(Arc::clone(&schema), columns.collect())?)
}

fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
}

/// The `stats` of an Add action; the events are sorted by symbol.
fn stats(events: &[&Event]) -> String {
    let range = |of: fn(&Event) -> i64| {
        let values = || events.iter().map(|event| of(event));
        (values().min(), values().max())
    };
    let (ts, offset) = (range(|event| event.ts), range(|event| event.tick.offset));
    let kinds = || events.iter().map(|event| event.kind.name());
    let side = |symbol: Option<&&Event>, ts: Option<i64>, kind: Option<&str>, offset: Option<i64>| {
        json!({
            "symbol": symbol.map(|event| &*event.symbol),
            "ts": ts.and_then(rfc3339),
            "kind": kind,
            "kafka_offset": offset,
        })
    };
    json!({
        "numRecords": events.len(),
        "minValues": side(events.first(), ts.0, kinds().min(), offset.0),
        "maxValues": side(events.last(), ts.1, kinds().max(), offset.1),
        "nullCount": { "symbol": 0, "ts": 0, "kind": 0, "kafka_offset": 0 },
    })
    .to_string()
}

//! Queries over real Parquet files in memory, against plain loops over the same rows.

mod case_literals;
mod clauses;
mod conclusions;
mod corrections;
mod formats;
mod goldens;
mod indicators;
mod integers;
mod joins_and_groups;
pub(crate) mod lake;
mod last;
mod named;
mod problems;
mod rolling;
mod table;
mod union;
mod warm_up;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use url::Url;

use crate::lake::{DataFile, SORT_ORDER, SORTED_BY, TableView, ticks_schema};
use crate::market::PartitionBy;
use crate::query::*;

pub(crate) const DAY_MICROS: i64 = 86_400_000_000;
/// 2026-01-05 00:00 UTC, a Monday.
pub(crate) const START: i64 = 20_458 * DAY_MICROS;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Row {
    pub symbol: String,
    pub ts: i64,
    pub open: Option<f64>,
    pub high: Option<f64>,
    pub low: Option<f64>,
    pub close: f64,
    pub volume: Option<f64>,
    pub partition: i32,
    pub offset: i64,
    pub index: i32,
}

impl Row {
    pub(crate) fn new(symbol: &str, ts: i64, close: f64, volume: Option<f64>, offset: i64) -> Self {
        Self { symbol: symbol.to_owned(), ts, close, volume, offset, ..Self::default() }
    }

    pub(crate) fn date(&self) -> i32 {
        self.ts.div_euclid(DAY_MICROS) as i32
    }

    /// The order of windows.
    fn place(&self) -> (i64, i32, i64, i32) {
        (self.ts, self.partition, self.offset, self.index)
    }
}

/// A table in memory, one file for each slice of rows and partition value.
pub(crate) async fn table_of(by: PartitionBy, slices: &[Vec<Row>]) -> TableView {
    let day_schema = ticks_schema(PartitionBy::Day, &[]);
    let mut fields: Vec<_> = day_schema.fields().iter().cloned().collect();
    if by != PartitionBy::Day {
        fields.push(Arc::new(Field::new(by.column(), DataType::Date32, false)));
    }
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut files = Vec::new();
    for (number, slice) in slices.iter().enumerate() {
        let mut by_value: BTreeMap<i32, Vec<&Row>> = BTreeMap::new();
        for row in slice {
            by_value.entry(by.value(row.date())).or_default().push(row);
        }
        for (value, rows) in by_value {
            let in_file = fields.iter().filter(|field| field.name() != by.column()).cloned().collect::<Vec<_>>();
            let bytes = encode(&Schema::new(in_file), &rows);
            let path = Path::from(format!("{}={value}/part-{number}.parquet", by.column()));
            let size = bytes.len() as u64;
            store.put(&path, bytes.into()).await.unwrap();
            files.push(DataFile {
                path,
                bytes: size,
                rows: Some(rows.len() as u64),
                partition_value: value,
                stats: Some(stats(&rows)),
                modified_ms: 0,
            });
        }
    }
    TableView {
        schema: Arc::new(Schema::new(fields)),
        partition_column: by.column().to_owned(),
        files,
        store,
        table_url: Url::parse("memory:///ticks/").unwrap(),
    }
}

/// A file that says it is sorted where it is.
fn encode(schema: &Schema, rows: &[&Row]) -> Vec<u8> {
    encode_as(schema, rows, rows.is_sorted_by_key(|row| (&row.symbol, row.place())))
}

fn batch_of(schema: &Schema, rows: &[&Row]) -> RecordBatch {
    let doubles = |value: fn(&Row) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| value(row)).collect::<Float64Array>())
    };
    let times =
        || Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.ts)).with_timezone("UTC"));
    let columns = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "symbol" => Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.symbol))) as ArrayRef,
            "ts" | "kafka_ts" | "ingested_at" => times(),
            "open" => doubles(|row| row.open),
            "high" => doubles(|row| row.high),
            "low" => doubles(|row| row.low),
            "close" => doubles(|row| Some(row.close)),
            "volume" => doubles(|row| row.volume),
            "kafka_epoch" => Arc::new(Int32Array::from(vec![0; rows.len()])),
            "kafka_partition" => Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.partition))),
            "kafka_offset" => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.offset))),
            "kafka_index" => Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.index))),
            "trade_date" => Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| row.date()))),
            "trade_month" => {
                Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| PartitionBy::Month.value(row.date()))))
            }
            _ => new_null_array(field.data_type(), rows.len()),
        })
        .collect();
    RecordBatch::try_new(Arc::new(schema.clone()), columns).unwrap()
}

fn encode_as(schema: &Schema, rows: &[&Row], sorted: bool) -> Vec<u8> {
    let batch = batch_of(schema, rows);
    let schema = batch.schema();
    let key = sorted.then(|| vec![KeyValue::new(SORTED_BY.to_owned(), SORT_ORDER.to_owned())]);
    let properties = WriterProperties::builder().set_key_value_metadata(key).set_max_row_group_row_count(Some(64));
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn stats(rows: &[&Row]) -> String {
    let time = |ts: i64| chrono::DateTime::from_timestamp_micros(ts).unwrap().to_rfc3339();
    let closes = || rows.iter().map(|row| row.close);
    let side = |pick: fn(&[&Row]) -> (String, i64, i64), close: f64| {
        let (symbol, ts, offset) = pick(rows);
        serde_json::json!({ "symbol": symbol, "ts": time(ts), "close": close, "kafka_offset": offset })
    };
    let low = |rows: &[&Row]| {
        (
            rows.iter().map(|row| row.symbol.clone()).min().unwrap(),
            rows.iter().map(|row| row.ts).min().unwrap(),
            rows.iter().map(|row| row.offset).min().unwrap(),
        )
    };
    let high = |rows: &[&Row]| {
        (
            rows.iter().map(|row| row.symbol.clone()).max().unwrap(),
            rows.iter().map(|row| row.ts).max().unwrap(),
            rows.iter().map(|row| row.offset).max().unwrap(),
        )
    };
    serde_json::json!({
        "numRecords": rows.len(),
        "minValues": side(low, closes().fold(f64::MAX, f64::min)),
        "maxValues": side(high, closes().fold(f64::MIN, f64::max)),
        "nullCount": { "symbol": 0, "ts": 0, "close": 0, "kafka_offset": 0 },
    })
    .to_string()
}

fn session(view: &TableView) -> QuerySession {
    let mut session = QuerySession::new(DEFAULT_MEMORY_BYTES).unwrap();
    session.register(TICKS, view.clone()).unwrap();
    session
}

/// All rows of a statement as one batch.
pub(crate) async fn rows_of(view: &TableView, parsed: &ParsedStatement) -> RecordBatch {
    let planned = session(view).plan(parsed).await.unwrap();
    let schema = planned.schema();
    let batches: Vec<RecordBatch> = planned.run().unwrap().try_collect().await.unwrap();
    concat_batches(&schema, &batches).unwrap()
}

async fn select(view: &TableView, sql: &str) -> RecordBatch {
    rows_of(view, &ParsedStatement::parse(sql).unwrap()).await
}

pub(crate) fn named(name: &str, params: &[(&str, &str)]) -> ParsedStatement {
    let catalog = NamedQueries::load(None).unwrap();
    let mut parsed = ParsedStatement::parse(catalog.get(name).unwrap().text_for(Dialect::Tickhouse)).unwrap();
    let params: Vec<_> = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    parsed.bind(&params).unwrap();
    parsed
}

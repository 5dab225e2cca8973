//! What is in a lake, read from its Parquet files without any code of the writer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tickhouse::lake::{Lake, PartitionCounters, TableView};

use super::Place;
use super::topic::Sent;

#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub epoch: i32,
    pub partition: i32,
    pub offset: i64,
    pub index: i32,
    pub symbol: String,
    /// Microseconds since the epoch.
    pub ts: i64,
    pub close: f64,
    pub volume: Option<f64>,
    /// Value of the partition column, as the log has it.
    pub date: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub partition: i32,
    pub offset: i64,
    pub reason: String,
    pub detail: String,
    pub key: Option<Vec<u8>>,
    pub payload: Vec<u8>,
    pub payload_bytes: i64,
    pub sha256: String,
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Both tables at their newest versions, and the counters.
pub struct Contents {
    pub lake: Lake,
    /// Sorted by identity.
    pub rows: Vec<Row>,
    pub letters: Vec<Letter>,
    pub counters: BTreeMap<i32, PartitionCounters>,
}

async fn batches(view: &TableView) -> Vec<(i32, RecordBatch)> {
    let mut all = Vec::new();
    for file in &view.files {
        let bytes = view.store.get(&file.path).await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes.len() as u64, file.bytes, "{}", file.path);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
        let mut rows = 0;
        for batch in reader {
            let batch = batch.unwrap();
            rows += batch.num_rows() as u64;
            all.push((file.partition_value, batch));
        }
        assert_eq!(Some(rows), file.rows, "{}", file.path);
    }
    all
}

fn rows_of((date, batch): &(i32, RecordBatch)) -> Vec<Row> {
    let column = |name: &str| Arc::clone(batch.column_by_name(name).unwrap());
    let int = |name: &str| column(name).as_primitive::<Int32Type>().clone();
    let double = |name: &str| column(name).as_primitive::<Float64Type>().clone();
    let (epochs, partitions, indexes) = (int("kafka_epoch"), int("kafka_partition"), int("kafka_index"));
    let (closes, volumes) = (double("close"), double("volume"));
    let offsets = column("kafka_offset").as_primitive::<Int64Type>().clone();
    let times = column("ts").as_primitive::<TimestampMicrosecondType>().clone();
    let symbols = texts(&column("symbol"));
    let row = |at: usize| Row {
        epoch: epochs.value(at),
        partition: partitions.value(at),
        offset: offsets.value(at),
        index: indexes.value(at),
        symbol: symbols[at].clone(),
        ts: times.value(at),
        close: closes.value(at),
        volume: volumes.is_valid(at).then(|| volumes.value(at)),
        date: *date,
    };
    (0..batch.num_rows()).map(row).collect()
}

fn texts(column: &dyn Array) -> Vec<String> {
    let plain = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8).unwrap();
    plain.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()).collect()
}

fn letters_of((_, batch): &(i32, RecordBatch)) -> Vec<Letter> {
    let column = |name: &str| Arc::clone(batch.column_by_name(name).unwrap());
    let text = |name: &str| texts(&column(name));
    let (reasons, details, hashes) = (text("reason"), text("detail"), text("payload_sha256"));
    let (keys, payloads) = (column("key").as_binary::<i32>().clone(), column("payload").as_binary::<i32>().clone());
    let partitions = column("kafka_partition").as_primitive::<Int32Type>().clone();
    let offsets = column("kafka_offset").as_primitive::<Int64Type>().clone();
    let sizes = column("payload_bytes").as_primitive::<Int64Type>().clone();
    let headers = column("headers");
    let headers = headers.as_list::<i32>();
    let headers_at = |at: usize| {
        let pairs = headers.value(at);
        let pairs = pairs.as_struct();
        let values = pairs.column(1).as_binary::<i32>().clone();
        let names = texts(pairs.column(0)).into_iter().enumerate();
        names.map(|(index, name)| (name, values.value(index).to_vec())).collect()
    };
    let letter = |at: usize| Letter {
        partition: partitions.value(at),
        offset: offsets.value(at),
        reason: reasons[at].clone(),
        detail: details[at].clone(),
        key: keys.is_valid(at).then(|| keys.value(at).to_vec()),
        payload: payloads.value(at).to_vec(),
        payload_bytes: sizes.value(at),
        sha256: hashes[at].clone(),
        headers: if headers.is_valid(at) { headers_at(at) } else { Vec::new() },
    };
    (0..batch.num_rows()).map(letter).collect()
}

impl Contents {
    pub async fn of(place: &Place) -> Self {
        let lake = place.lake().await;
        let mut rows: Vec<Row> = batches(&lake.ticks().unwrap()).await.iter().flat_map(rows_of).collect();
        rows.sort_by_key(|row| (row.epoch, row.partition, row.offset, row.index));
        let mut letters: Vec<Letter> =
            batches(&lake.dead_letters().unwrap()).await.iter().flat_map(letters_of).collect();
        letters.sort_by_key(|letter| (letter.partition, letter.offset));
        let counters = lake.counters().await.unwrap();
        Self { lake, rows, letters, counters }
    }

    /// Number of rows of an epoch.
    pub fn rows_of(&self, epoch: i32) -> usize {
        self.rows.iter().filter(|row| row.epoch == epoch).count()
    }

    /// Columns of the ticks table, the partition column last.
    pub fn columns(&self) -> Vec<String> {
        self.lake.ticks().unwrap().schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// As [`Self::assert_exactly`], of what one place holds now.
    pub async fn exactly(place: &Place, sent: &[Sent]) -> Self {
        let contents = Self::of(place).await;
        contents.assert_exactly(sent).await;
        contents
    }

    /// Every message is there once, as the row that its canonical payload says or as a dead letter, nothing else
    /// is, and the counters and transactions agree.
    pub async fn assert_exactly(&self, sent: &[Sent]) {
        let identities: BTreeSet<(i32, i64, i32)> =
            self.rows.iter().map(|row| (row.partition, row.offset, row.index)).collect();
        assert_eq!(identities.len(), self.rows.len(), "an identity is there twice");
        let dead: BTreeMap<(i32, i64), &Letter> =
            self.letters.iter().map(|letter| ((letter.partition, letter.offset), letter)).collect();
        assert_eq!(dead.len(), self.letters.len(), "a dead letter is there twice");
        let rows: BTreeMap<(i32, i64), &Row> = self.rows.iter().map(|row| ((row.partition, row.offset), row)).collect();
        for message in sent {
            let identity = (message.partition, message.offset);
            match (rows.get(&identity), dead.get(&identity), &message.payload) {
                (Some(row), None, Some(payload)) => assert_same(row, payload),
                (None, Some(letter), Some(payload)) => {
                    assert_eq!(letter.payload_bytes, payload.len() as i64, "{identity:?}");
                    let cut = letter.reason == "too_large" && payload.starts_with(&letter.payload);
                    assert!(cut || letter.payload == *payload, "{identity:?}: not the payload");
                }
                (None, None, None) => {}
                (row, letter, _) => panic!("{identity:?} is row {row:?} and letter {letter:?}"),
            }
        }
        let known: BTreeSet<(i32, i64)> = sent.iter().map(|message| (message.partition, message.offset)).collect();
        assert!(rows.keys().chain(dead.keys()).all(|identity| known.contains(identity)), "an offset nobody sent");
        self.assert_balanced().await;
    }

    /// Counters, transactions and tables agree in the newest epoch.
    pub async fn assert_balanced(&self) {
        let epoch = self.lake.epoch();
        for (partition, counters) in &self.counters {
            assert_eq!(counters.offsets(), counters.next - counters.first, "partition {partition}: {counters:?}");
            assert_eq!(self.lake.next_offset(*partition).await.unwrap(), Some(counters.next), "partition {partition}");
            let letters = self.letters.iter().filter(|letter| epoch == 0 && letter.partition == *partition);
            let letters: BTreeSet<i64> = letters.map(|letter| letter.offset).collect();
            let rows = self.rows.iter().filter(|row| row.epoch == epoch && row.partition == *partition);
            let (replayed, rows): (Vec<&Row>, Vec<&Row>) = rows.partition(|row| letters.contains(&row.offset));
            let offsets = |rows: &[&Row]| rows.iter().map(|row| row.offset).collect::<BTreeSet<i64>>().len() as i64;
            assert_eq!(counters.rows, rows.len() as i64, "partition {partition}");
            assert_eq!(counters.stored_offsets, offsets(&rows), "partition {partition}");
            assert_eq!(counters.replayed_rows, replayed.len() as i64, "partition {partition}");
            assert_eq!(counters.replayed_offsets, offsets(&replayed), "partition {partition}");
            if epoch == 0 {
                assert_eq!(counters.dead, letters.len() as i64, "partition {partition}");
            }
        }
    }
}

fn assert_same(row: &Row, payload: &[u8]) {
    let message: serde_json::Value = serde_json::from_slice(payload).unwrap();
    let ts = chrono::DateTime::parse_from_rfc3339(message["ts"].as_str().unwrap()).unwrap();
    assert_eq!(row.symbol, message["symbol"].as_str().unwrap());
    assert_eq!(row.ts, ts.timestamp_micros());
    assert_eq!(Some(row.close), message["close"].as_f64());
    assert_eq!(row.volume, message["volume"].as_f64());
}

//! One suite over every store, with real Parquet files, and on stores that fail.

mod commit;
mod create;
mod log;
mod offsets;
mod refusals;
mod test_lake;
mod unavailable_store;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::datatypes::{DataType, Schema};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use uuid::Uuid;

use self::test_lake::{TestLake, folder, s3, s3_settings, test_lakes};
use crate::lake::store::faulty::{FaultyStore, StoreFault};
use crate::lake::store::root::prefixed;
use crate::lake::*;
use crate::market::{Counts, ExtraSpec, ExtraType, OffsetRange, PartitionBy, TopicIdentity};

const DAY: i32 = 20_412;

fn spec() -> LakeSpec {
    LakeSpec {
        topic: "ticks".to_owned(),
        identity: TopicIdentity { cluster_id: "cluster-1".to_owned(), topic_id: None },
        market_zone: "America/New_York".to_owned(),
        partition_by: PartitionBy::Day,
        input: r#"{"preset":"canonical"}"#.to_owned(),
        extras: Vec::new(),
        accept_input_change: false,
        must_exist: false,
    }
}

/// Writes one file with a row for each offset of the range.
async fn write(lake: &Lake, partition: i32, range: OffsetRange) -> NewFile {
    let full = lake.ticks().unwrap().schema;
    let fields: Vec<_> = full.fields().iter().filter(|field| field.name() != "trade_date").cloned().collect();
    let schema = Arc::new(Schema::new(fields));
    let offsets: Vec<i64> = (range.start()..range.next()).collect();
    let rows = offsets.len();
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| match (field.name().as_str(), field.data_type()) {
            ("symbol", _) => Arc::new(StringArray::from(vec!["AAPL"; rows])) as ArrayRef,
            ("close", _) => Arc::new(Float64Array::from(vec![101.5; rows])),
            ("kafka_offset", _) => Arc::new(Int64Array::from(offsets.clone())),
            ("kafka_partition", _) => Arc::new(Int32Array::from(vec![partition; rows])),
            ("ts" | "ingested_at", _) => {
                Arc::new(TimestampMicrosecondArray::from(vec![1_763_600_000_000_000; rows]).with_timezone("UTC"))
            }
            (_, DataType::Int32) => Arc::new(Int32Array::from(vec![0; rows])),
            (_, DataType::Date32) => Arc::new(Date32Array::from(vec![DAY; rows])),
            (_, other) => new_null_array(other, rows),
        })
        .collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    let bytes = writer.into_inner().unwrap();
    let size = bytes.len() as i64;
    let path = format!("trade_date=2025-11-20/part-{}.zstd.parquet", Uuid::new_v4());
    lake.ticks_store().put(&Path::from(path.as_str()), bytes.into()).await.unwrap();
    let stats = format!(r#"{{"numRecords":{rows},"minValues":{{"symbol":"AAPL"}},"maxValues":{{"symbol":"AAPL"}}}}"#);
    NewFile { path, bytes: size, rows: rows as i64, partition_value: DAY, stats, made: chrono::Utc::now() }
}

fn advance(partition: i32, base: Option<i64>, start: i64, next: i64) -> Advance {
    let counts = Counts { stored_offsets: next - start, rows: next - start, ..Counts::default() };
    Advance { partition, base, range: OffsetRange::new(start, next).unwrap(), counts, leader_epoch: None }
}

async fn append(lake: &mut Lake, advance: Advance) -> Result<CommitOutcome, LakeError> {
    let file = write(lake, advance.partition, advance.range).await;
    lake.commit_ticks(&[file], &[advance], &CommitNote::default()).await
}

async fn rows(lake: &mut Lake) -> u64 {
    lake.refresh().await.unwrap();
    lake.ticks().unwrap().files.iter().map(|file| file.rows.unwrap()).sum()
}

impl CommitOutcome {
    fn committed(self) -> u64 {
        match self {
            Self::Committed { version } => version,
            other => panic!("{other:?}"),
        }
    }
}

fn log_path(version: u64) -> Path {
    Path::from(format!("_delta_log/{version:020}.json"))
}

async fn log_entry(store: &Arc<dyn ObjectStore>, version: u64) -> String {
    let bytes = store.get(&log_path(version)).await.unwrap().bytes().await.unwrap();
    String::from_utf8(bytes.into()).unwrap()
}

/// As the clean-up of the log does after a week.
async fn forget_log(store: &Arc<dyn ObjectStore>, versions: Range<u64>) {
    for version in versions {
        store.delete(&log_path(version)).await.unwrap();
    }
}

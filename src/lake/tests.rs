//! The lake on a real disk with real Parquet files, and on stores that fail.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::array::{TimestampMicrosecondArray, new_null_array};
use arrow::datatypes::{DataType, Schema};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use uuid::Uuid;

use super::faulty::{Fault, FaultyStore};
use super::*;
use crate::market::{Counts, ExtraSpec, ExtraType, OffsetRange, PartitionBy};

const DAY: i32 = 20_412;

fn spec() -> LakeSpec {
    LakeSpec {
        topic: "ticks".to_owned(),
        cluster_id: "cluster-1".to_owned(),
        market_zone: "America/New_York".to_owned(),
        partition_by: PartitionBy::Day,
        input: r#"{"preset":"canonical"}"#.to_owned(),
        extras: Vec::new(),
        accept_input_change: false,
    }
}

async fn lake_in(folder: &tempfile::TempDir) -> Lake {
    let location = Location::parse(folder.path().to_str().unwrap()).unwrap();
    Lake::open_or_create(&location, &StoreSettings::default(), &spec()).await.unwrap()
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
    NewFile { path, bytes: size, rows: rows as i64, partition_value: DAY, stats }
}

fn advance(partition: i32, base: Option<i64>, start: i64, next: i64) -> Advance {
    let counts = Counts { stored_offsets: next - start, rows: next - start, ..Counts::default() };
    Advance { partition, base, range: OffsetRange::new(start, next).unwrap(), counts }
}

async fn append(lake: &mut Lake, advance: Advance) -> Result<CommitOutcome, LakeError> {
    let file = write(lake, advance.partition, advance.range).await;
    lake.commit_ticks(&[file], &[advance], &CommitNote::default()).await
}

fn rows(lake: &Lake) -> u64 {
    lake.ticks().unwrap().files.iter().map(|file| file.rows.unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_offsets_land_in_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = lake_in(&folder).await;
    assert_eq!((lake.version(), lake.epoch()), (0, 0));
    assert_eq!(lake.next_offset(0).await.unwrap(), None);
    assert!(lake.counters().await.unwrap().is_empty());
    let both = [write(&lake, 0, OffsetRange::new(5, 8).unwrap()).await];
    let mut second = advance(3, None, 0, 4);
    second.counts = Counts { dead: 1, skipped: 2, holes: 1, ..Counts::default() };
    let advances = [advance(0, None, 5, 8), second];
    let note = CommitNote { min_event_ts: Some(1), max_event_ts: Some(2), reason: None };
    let outcome = lake.commit_ticks(&both, &advances, &note).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { version: 1 });
    assert_eq!(lake.next_offset(0).await.unwrap(), Some(8));

    let again = lake.commit_ticks(&both, &advances, &note).await.unwrap();
    assert_eq!(again, CommitOutcome::AlreadyApplied { version: 1 });
    let moved = append(&mut lake, advance(0, Some(8), 8, 20)).await.unwrap();
    assert_eq!(moved, CommitOutcome::Committed { version: 2 });

    let mut reader = Lake::open(lake.location(), &StoreSettings::default()).await.unwrap();
    reader.refresh().await.unwrap();
    assert_eq!(reader.table_id(), lake.table_id());
    assert_eq!(reader.next_offset(0).await.unwrap(), Some(20));
    assert_eq!(reader.next_offset(3).await.unwrap(), Some(4));
    assert_eq!(reader.dead_next_offset(3).await.unwrap(), None);
    let counters = reader.counters().await.unwrap();
    assert_eq!((counters[&0].first, counters[&0].next, counters[&0].rows), (5, 20, 15));
    assert_eq!((counters[&3].dead, counters[&3].skipped, counters[&3].holes), (1, 2, 1));
    assert_eq!(rows(&reader), 15);
    let view = reader.ticks().unwrap();
    assert_eq!(view.partition_column, "trade_date");
    assert_eq!(view.schema.fields().last().unwrap().name(), "trade_date");
    assert_eq!(view.schema, ticks_schema(PartitionBy::Day, &[]));
    assert!(view.files.iter().all(|file| file.partition_value == DAY && file.stats.is_some()));
    let size = view.store.head(&view.files[0].path).await.unwrap().size;
    assert_eq!(size, view.files[0].bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_protocol_stays_readable_for_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = lake_in(&folder).await;
    append(&mut lake, advance(0, None, 0, 3)).await.unwrap().committed();
    for table in ["ticks", "dead_letters"] {
        let first = folder.path().join(table).join("_delta_log/00000000000000000000.json");
        let log = std::fs::read_to_string(first).unwrap();
        assert!(log.contains(r#""minReaderVersion":1,"minWriterVersion":2"#), "{log}");
        assert!(!log.contains("readerFeatures") && !log.contains("timestamp_ntz"), "{log}");
    }
    let log = folder.path().join("ticks/_delta_log/00000000000000000001.json");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains(r#""txn":{"appId":"tickhouse/0/0","version":3}"#), "{log}");
}

impl CommitOutcome {
    fn committed(self) -> u64 {
        match self {
            Self::Committed { version } => version,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_writer_is_fenced() {
    let folder = tempfile::tempdir().unwrap();
    let mut zombie = lake_in(&folder).await;
    append(&mut zombie, advance(0, None, 0, 10)).await.unwrap().committed();
    let mut owner = lake_in(&folder).await;
    append(&mut owner, advance(0, Some(10), 10, 25)).await.unwrap().committed();

    let fenced = append(&mut zombie, advance(0, Some(10), 10, 20)).await.unwrap();
    assert_eq!(fenced, CommitOutcome::Fenced { partitions: vec![0] });
    let mut two = advance(1, None, 0, 5);
    two.counts = Counts { skipped: 5, ..Counts::default() };
    let mut stale = advance(0, Some(10), 10, 20);
    stale.counts = Counts { skipped: 10, ..Counts::default() };
    let fenced = zombie.commit_ticks(&[], &[stale, two], &CommitNote::default()).await.unwrap();
    assert_eq!(fenced, CommitOutcome::Fenced { partitions: vec![0] });
    assert_eq!(zombie.next_offset(1).await.unwrap(), None);
    zombie.refresh().await.unwrap();
    assert_eq!((zombie.next_offset(0).await.unwrap(), rows(&zombie)), (Some(25), 25));
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_different_partitions_all_get_through() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = lake_in(&folder).await;
    let mut tasks = tokio::task::JoinSet::new();
    for partition in 0..4 {
        let mut lake = lake_in(&folder).await;
        tasks.spawn(async move {
            let mut base = None;
            for start in (0..30).step_by(5) {
                append(&mut lake, advance(partition, base, start, start + 5)).await.unwrap().committed();
                base = Some(start + 5);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    lake.refresh().await.unwrap();
    assert_eq!((lake.version(), rows(&lake)), (24, 120));
    let counters = lake.counters().await.unwrap();
    assert_eq!(counters.len(), 4);
    assert!(counters.values().all(|one| (one.first, one.next, one.rows) == (0, 30, 30)), "{counters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_writers_of_the_same_offsets_wins() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = lake_in(&folder).await;
    let mut tasks = tokio::task::JoinSet::new();
    for next in [7, 9, 11, 13] {
        let mut lake = lake_in(&folder).await;
        tasks.spawn(async move { append(&mut lake, advance(0, None, 0, next)).await.unwrap() });
    }
    let mut winners = 0;
    while let Some(outcome) = tasks.join_next().await {
        match outcome.unwrap() {
            CommitOutcome::Committed { .. } => winners += 1,
            CommitOutcome::Fenced { partitions } => assert_eq!(partitions, [0]),
            CommitOutcome::AlreadyApplied { .. } => panic!("no two ranges are equal"),
        }
    }
    lake.refresh().await.unwrap();
    assert_eq!(winners, 1);
    assert_eq!(lake.next_offset(0).await.unwrap(), Some(rows(&lake) as i64));
}

async fn faulty_lake(folder: &tempfile::TempDir, fault: Fault) -> (Lake, Arc<FaultyStore>) {
    let location = Location::parse(folder.path().to_str().unwrap()).unwrap();
    let store = Arc::new(FaultyStore::new(DurableLocal::new(), fault));
    let root: Arc<dyn ObjectStore> = Arc::clone(&store) as _;
    (Lake::open_or_create_on(&root, &location, &spec()).await.unwrap(), store)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_after_a_durable_write_is_one_commit() {
    for fault in [Fault::FailAfterStoring, Fault::SpuriousExists, Fault::FailBeforeStoring] {
        let folder = tempfile::tempdir().unwrap();
        let (mut lake, store) = faulty_lake(&folder, fault).await;
        append(&mut lake, advance(0, None, 0, 5)).await.unwrap().committed();
        store.left.store(1, Ordering::SeqCst);
        let outcome = append(&mut lake, advance(0, Some(5), 5, 9)).await.unwrap();
        assert_eq!(outcome, CommitOutcome::Committed { version: 2 }, "{fault:?}");
        assert_eq!(store.left.load(Ordering::SeqCst), 0, "{fault:?} never fired");
        append(&mut lake, advance(0, Some(9), 9, 12)).await.unwrap().committed();
        let reader = Lake::open(lake.location(), &StoreSettings::default()).await.unwrap();
        assert_eq!((reader.version(), rows(&reader)), (3, 12), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_stays_away_ends_with_an_open_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let (mut lake, store) = faulty_lake(&folder, Fault::FailBeforeStoring).await;
    store.left.store(usize::MAX, Ordering::SeqCst);
    let retry = RetryPolicy { deadline: Some(Duration::ZERO), ..RetryPolicy::default() };
    lake = lake.with_retry(retry);
    let failed = append(&mut lake, advance(0, None, 0, 5)).await;
    assert!(matches!(failed, Err(LakeError::Unresolved { .. })), "{failed:?}");
    let stopped = RetryPolicy::default();
    stopped.cancel.cancel();
    lake = lake.with_retry(stopped);
    let failed = append(&mut lake, advance(0, None, 0, 5)).await;
    assert!(matches!(failed, Err(LakeError::Stopped { .. })), "{failed:?}");
    store.left.store(0, Ordering::SeqCst);
    append(&mut lake, advance(0, None, 0, 5)).await.unwrap().committed();
    assert_eq!(rows(&lake), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_does_not_add_up_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = lake_in(&folder).await;
    let mut short = advance(0, None, 0, 5);
    short.counts.stored_offsets = 4;
    let twice = [advance(0, None, 0, 0), advance(0, None, 0, 0)];
    for advances in [&[short][..], &[advance(0, Some(3), 4, 5)], &[advance(0, None, 0, 5)], &twice] {
        let refused = lake.commit_ticks(&[], advances, &CommitNote::default()).await;
        assert!(matches!(refused, Err(LakeError::Unbalanced(_))), "{advances:?}: {refused:?}");
    }
    assert_eq!(lake.version(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_have_a_transaction_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = lake_in(&folder).await;
    let letter = advance(0, None, 0, 5);
    lake.commit_dead_letters(&[], &[letter]).await.unwrap().committed();
    assert_eq!(lake.dead_next_offset(0).await.unwrap(), Some(5));
    assert_eq!(lake.next_offset(0).await.unwrap(), None);
    let again = lake.commit_dead_letters(&[], &[letter]).await.unwrap();
    assert_eq!(again, CommitOutcome::AlreadyApplied { version: 1 });
    let longer = lake.commit_dead_letters(&[], &[advance(0, None, 0, 7)]).await.unwrap();
    assert_eq!(longer, CommitOutcome::Fenced { partitions: vec![0] });
    lake.commit_dead_letters(&[], &[advance(0, Some(5), 5, 7)]).await.unwrap().committed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_of_something_else_is_refused_with_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_in(&folder).await;
    let open = async |spec: LakeSpec| Lake::open_or_create(lake.location(), &StoreSettings::default(), &spec).await;
    let extra = |kind| vec![("bid".to_owned(), ExtraSpec { path: "/b".to_owned(), kind })];

    let other = LakeSpec {
        topic: "trades".to_owned(),
        market_zone: "UTC".to_owned(),
        partition_by: PartitionBy::Year,
        input: "{}".to_owned(),
        ..spec()
    };
    let refused = open(other).await.unwrap_err().to_string();
    for part in
        ["tickhouse.topic", "'ticks'", "'trades'", "'America/New_York'", "'UTC'", "'day'", "'year'", "canonical"]
    {
        assert!(refused.contains(part), "{part} is not in {refused}");
    }

    let spaced = LakeSpec { input: r#"{ "preset" : "canonical" }"#.to_owned(), ..spec() };
    assert_eq!(open(spaced).await.unwrap().version(), 0);
    let changed = LakeSpec { input: "{}".to_owned(), accept_input_change: true, ..spec() };
    let accepted = open(changed.clone()).await.unwrap();
    assert_eq!((accepted.version(), accepted.property("tickhouse.input").unwrap()), (1, Some("{}")));

    let wider = LakeSpec { extras: extra(ExtraType::Double), ..changed.clone() };
    let wider = open(wider).await.unwrap();
    assert_eq!((wider.version(), wider.table_id()), (2, lake.table_id()));
    assert_eq!(wider.ticks().unwrap().schema, ticks_schema(PartitionBy::Day, &extra(ExtraType::Double)));
    let retyped = LakeSpec { extras: extra(ExtraType::String), ..changed.clone() };
    let refused = open(retyped).await.unwrap_err().to_string();
    assert!(refused.contains("ticks.bid: the lake has DOUBLE, the configuration STRING"), "{refused}");
    let refused = open(changed).await.unwrap_err().to_string();
    assert!(refused.contains("ticks.bid: the lake has DOUBLE, the configuration no such column"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metadata_change_of_another_worker_does_not_stop_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = lake_in(&folder).await;
    append(&mut lake, advance(0, None, 0, 5)).await.unwrap().committed();
    let bid = ("bid".to_owned(), ExtraSpec { path: "/b".to_owned(), kind: ExtraType::Double });
    let wider = LakeSpec { extras: vec![bid], ..spec() };
    let wider = Lake::open_or_create(lake.location(), &StoreSettings::default(), &wider).await.unwrap();
    assert_eq!(wider.counters().await.unwrap(), lake.counters().await.unwrap());
    append(&mut lake, advance(0, Some(5), 5, 9)).await.unwrap().committed();
    assert_eq!((lake.version(), rows(&lake)), (3, 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_nothing_is_told_what_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::parse(folder.path().join("a b#1 é").to_str().unwrap()).unwrap();
    let missing = Lake::open(&location, &StoreSettings::default()).await.unwrap_err();
    assert!(missing.to_string().contains("tickhouse ingest --table"), "{missing}");
    assert!(!folder.path().join("a b#1 é").exists());
    let mut lake = Lake::open_or_create(&location, &StoreSettings::default(), &spec()).await.unwrap();
    append(&mut lake, advance(0, None, 0, 5)).await.unwrap().committed();
    assert_eq!(rows(&Lake::open(&location, &StoreSettings::default()).await.unwrap()), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_create_one_lake() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::parse(folder.path().to_str().unwrap()).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let location = location.clone();
        tasks.spawn(async move { Lake::open_or_create(&location, &StoreSettings::default(), &spec()).await });
    }
    let mut ids = std::collections::BTreeSet::new();
    while let Some(lake) = tasks.join_next().await {
        let lake = lake.unwrap().unwrap();
        assert_eq!(lake.version(), 0);
        ids.insert(lake.table_id().to_owned());
    }
    assert_eq!(ids.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_and_counters_outlive_checkpoint_and_log_clean_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = lake_in(&folder).await;
    let mut base = None;
    for start in (0..30).step_by(3) {
        append(&mut lake, advance(0, base, start, start + 3)).await.unwrap().committed();
        base = Some(start + 3);
    }
    let mut maintenance = lake.maintenance();
    assert_eq!(maintenance.checkpoint_and_clean(100).await.unwrap(), Maintained::default());
    let mut others: Vec<Maintenance> = (0..3).map(|_| lake.maintenance()).collect();
    let runs = others.iter_mut().map(|other| other.checkpoint_and_clean(5));
    for run in futures::future::join_all(runs).await {
        assert!(run.unwrap().checkpoints <= 1);
    }
    assert_eq!(maintenance.checkpoint_and_clean(5).await.unwrap(), Maintained::default());

    let log = folder.path().join("ticks/_delta_log");
    for version in 0..10 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    let mut reader = Lake::open(lake.location(), &StoreSettings::default()).await.unwrap();
    assert_eq!((reader.version(), rows(&reader)), (10, 30));
    assert_eq!(reader.next_offset(0).await.unwrap(), Some(30));
    assert_eq!(reader.counters().await.unwrap()[&0].rows, 30);
    append(&mut reader, advance(0, base, 30, 31)).await.unwrap().committed();
    append(&mut lake, advance(1, None, 0, 2)).await.unwrap().committed();
    assert_eq!((lake.counters().await.unwrap()[&0].rows, rows(&lake)), (31, 33));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_counts_anew_and_fences_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut zombie = lake_in(&folder).await;
    append(&mut zombie, advance(0, None, 0, 10)).await.unwrap().committed();
    let mut operator = Lake::open(zombie.location(), &StoreSettings::default()).await.unwrap();
    assert_eq!(operator.begin_epoch("cluster-2", "topic recreated").await.unwrap(), 1);
    assert_eq!((operator.epoch(), operator.next_offset(0).await.unwrap()), (1, None));
    assert!(operator.counters().await.unwrap().is_empty());

    let fenced = append(&mut zombie, advance(0, Some(10), 10, 12)).await.unwrap();
    assert_eq!(fenced, CommitOutcome::Fenced { partitions: vec![0] });
    append(&mut operator, advance(0, None, 0, 4)).await.unwrap().committed();
    assert_eq!(operator.counters().await.unwrap()[&0].next, 4);
    let old = Lake::open_or_create(zombie.location(), &StoreSettings::default(), &spec()).await.unwrap_err();
    assert!(old.to_string().contains("'cluster-2'"), "{old}");
}

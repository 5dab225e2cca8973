//! The union of table and topic while both grow: no gap, nothing twice, and in the end what the table has.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt;
use tickhouse::kafka::KafkaSettings;
use tickhouse::market::{ExtraSpec, ExtraType, PartitionBy};
use tickhouse::query::{DEFAULT_MEMORY_BYTES, ParsedStatement, UnionSessions};
use tickhouse::tail::{TableUnion, UnionError, UnionMode, UnionSettings, UnionView};
use tokio::time::timeout;

use crate::support::{Contents, PATIENCE, Place, Tickhouse, Topic, ingest, over_stores, spec, tick, until_latest};

const PARTITIONS: i32 = 3;
/// Every so many messages one is no tick.
const BROKEN: i64 = 50;

/// Message at an offset of a partition: which one it is of all, and whether it is a tick.
fn is_tick(partition: i32, offset: i64) -> bool {
    (offset * i64::from(PARTITIONS) + i64::from(partition)) % BROKEN != 0
}

fn payloads(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| if number as i64 % BROKEN == 0 { "{".to_owned() } else { tick(number) }).collect()
}

async fn rows(sessions: &UnionSessions, view: &UnionView, sql: &str) -> Vec<RecordBatch> {
    let planned = sessions.over(view).unwrap().plan(&ParsedStatement::parse(sql).unwrap()).await.unwrap();
    planned.run().unwrap().try_collect().await.unwrap()
}

/// By partition: rows, distinct offsets, the lowest and the highest.
async fn counted(sessions: &UnionSessions, view: &UnionView) -> BTreeMap<i32, [i64; 4]> {
    let sql = "SELECT kafka_partition, count(*), count(DISTINCT kafka_offset), min(kafka_offset), max(kafka_offset) \
               FROM ticks GROUP BY kafka_partition";
    let mut counted = BTreeMap::new();
    for batch in rows(sessions, view, sql).await {
        let partitions = batch.column(0).as_primitive::<Int32Type>();
        for row in 0..batch.num_rows() {
            let values = [1, 2, 3, 4].map(|at| batch.column(at).as_primitive::<Int64Type>().value(row));
            counted.insert(partitions.value(row), values);
        }
    }
    counted
}

/// Each partition has all of its ticks below an offset, each once, and nothing beyond it.
async fn assert_prefix(sessions: &UnionSessions, view: &UnionView) -> i64 {
    let mut all = 0;
    for (partition, [count, distinct, low, high]) in counted(sessions, view).await {
        let covered = view.covered[&partition];
        let expected = (0..covered).filter(|offset| is_tick(partition, *offset)).count() as i64;
        let what = format!("partition {partition} at version {} below {covered}", view.version());
        assert_eq!((count, distinct), (expected, expected), "{what}: [{low}, {high}]");
        assert!(high < covered && low <= 1, "{what}: [{low}, {high}]");
        all += count;
    }
    all
}

async fn union(place: &Place, kafka: Option<KafkaSettings>) -> TableUnion {
    TableUnion::open(place.lake().await, UnionSettings::of(kafka)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_a_prefix_while_commits_go_on() {
    over_stores(async |place: Place| {
        let topic = Arc::new(Topic::new(PARTITIONS));
        topic.send(&payloads(0..300));
        let mut running = ingest(spec(&topic, &place)).await;
        running.committed(300).await;
        let union = union(&place, Some(topic.kafka.clone())).await;
        let sessions = UnionSessions::new(DEFAULT_MEMORY_BYTES).unwrap();
        let (go, gone) = std::sync::mpsc::sync_channel(1);
        let sender = Arc::clone(&topic);
        let sending = tokio::task::spawn_blocking(move || {
            for at in 1..60 {
                gone.recv().unwrap();
                sender.send(&payloads(at * 300..(at + 1) * 300));
            }
        });
        let mut views = union.views();
        let (mut versions, mut largest_tail, mut before, mut asked) = (Vec::new(), 0, 0, 0);
        let growing = async {
            loop {
                let view = Arc::clone(&views.borrow_and_update());
                let count = assert_prefix(&sessions, &view).await;
                assert!(count >= before, "{count} rows after {before}");
                assert_eq!((view.mode, &view.stale_reason), (UnionMode::Live, &None));
                before = count;
                largest_tail = largest_tail.max(view.tail_rows);
                versions.push(view.version());
                asked += usize::from(asked < 59 && go.try_send(()).is_ok());
                union.commit_notifier().committed();
                if view.covered.values().sum::<i64>() == 18_000 {
                    break;
                }
                views.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, growing).await.unwrap();
        sending.await.unwrap();
        versions.dedup();
        assert!(versions.len() > 3 && versions.is_sorted() && largest_tail > 0, "{versions:?}, {largest_tail}");
        running.committed(18_000).await;
        running.stop().await;

        let mut views = union.views();
        let whole = timeout(PATIENCE, views.wait_for(|view| view.tail_rows == 0)).await.unwrap().unwrap().clone();
        assert_eq!(assert_prefix(&sessions, &whole).await, before);
        assert_eq!(Contents::of(&place).await.rows.len() as i64, before);
        timeout(PATIENCE, union.stop()).await.unwrap();
    })
    .await;
}

/// Texts as they are told.
async fn all_columns(sessions: &UnionSessions, view: &UnionView) -> RecordBatch {
    let columns = view.lake.ticks.schema.fields().iter().map(|field| field.name().as_str());
    let columns: Vec<&str> = columns.filter(|name| *name != "ingested_at").collect();
    let sql = format!("SELECT {} FROM ticks ORDER BY kafka_partition, kafka_offset", columns.join(", "));
    let batches = rows(sessions, view, &sql).await;
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_is_the_same_before_its_commit_and_after() {
    for by in [PartitionBy::Day, PartitionBy::Month] {
        let (topic, place) = (Topic::new(PARTITIONS), Place::folder());
        let mut spec = spec(&topic, &place);
        spec.settings.partition_by = by;
        let extras = [("bid", ExtraType::Double), ("lot", ExtraType::Bigint), ("open_now", ExtraType::Boolean)];
        for (name, kind) in extras.into_iter().chain([("venue", ExtraType::String)]) {
            spec.input.columns.insert(name.to_owned(), ExtraSpec { path: format!("/{name}"), kind });
        }
        until_latest(spec.clone()).await.unwrap();
        let whole = r#""open":1.5,"high":3,"low":0.5,"volume":7,"trade_id":"t-1","source":"a source with a long name""#;
        let more = r#""bid":0.25,"lot":-9,"open_now":true,"venue":"XNAS \u00e9""#;
        let payloads: Vec<String> = (0..60)
            .map(|number| {
                let fields = match number % 4 {
                    0 => format!(", {whole}, {more}"),
                    1 => format!(", {whole}"),
                    2 => format!(", {more}"),
                    _ => String::new(),
                };
                let day = 1 + number % 28;
                format!(
                    r#"{{"symbol":"S{}","ts":"2026-0{}-{day:02}T23:59:59.5Z","close":2{fields}}}"#,
                    number % 5,
                    1 + number % 2
                )
            })
            .collect();
        topic.send(&payloads);
        let sessions = UnionSessions::new(DEFAULT_MEMORY_BYTES).unwrap();
        let mut before = union(&place, Some(topic.kafka.clone())).await;
        let in_tail = timeout(PATIENCE, before.caught_up()).await.unwrap().unwrap();
        assert_eq!((in_tail.tail_rows, in_tail.lake.ticks.files.len()), (60, 0), "{by}");
        until_latest(spec).await.unwrap();
        let mut after = union(&place, None).await;
        let in_files = after.caught_up().await.unwrap();
        assert!(in_files.tail_rows == 0 && !in_files.lake.ticks.files.is_empty());
        assert_eq!(all_columns(&sessions, &in_tail).await, all_columns(&sessions, &in_files).await, "{by}");
        before.stop().await;
        after.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_brokers_it_is_the_table_alone() {
    let (topic, place) = (Topic::new(PARTITIONS), Place::folder());
    topic.send(&payloads(0..300));
    until_latest(spec(&topic, &place)).await.unwrap();
    topic.send(&payloads(300..600));
    let mut alone = union(&place, None).await;
    let view = alone.caught_up().await.unwrap();
    assert_eq!((view.mode, view.tail_rows, view.version()), (UnionMode::Snapshot, 0, place.lake().await.version()));
    let sessions = UnionSessions::new(DEFAULT_MEMORY_BYTES).unwrap();
    assert_eq!(assert_prefix(&sessions, &view).await, 294);
    let mut both = union(&place, Some(topic.kafka.clone())).await;
    let view = timeout(PATIENCE, both.caught_up()).await.unwrap().unwrap();
    assert_eq!(assert_prefix(&sessions, &view).await, 588);
    alone.stop().await;
    both.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_tail_waits_for_ingest() {
    let (topic, place) = (Topic::new(PARTITIONS), Place::folder());
    topic.send(&payloads(0..300));
    until_latest(spec(&topic, &place)).await.unwrap();
    for at in 1..40 {
        topic.send(&payloads(at * 300..(at + 1) * 300));
    }
    let settings = UnionSettings { tail_bytes: 100_000, ..UnionSettings::of(Some(topic.kafka.clone())) };
    let mut union = TableUnion::open(place.lake().await, settings).await.unwrap();
    let error = timeout(PATIENCE, union.caught_up()).await.unwrap().unwrap_err();
    assert!(matches!(error, UnionError::Full { limit_bytes: 100_000, lag } if lag > 0), "{error}");
    let sessions = UnionSessions::new(DEFAULT_MEMORY_BYTES).unwrap();
    let full = union.view();
    assert!(full.mode == UnionMode::Full && full.stale_reason.is_some() && full.tail_rows > 0, "{full:?}");
    assert!(assert_prefix(&sessions, &full).await < 11_760);
    until_latest(spec(&topic, &place)).await.unwrap();
    union.commit_notifier().committed();
    let mut views = union.views();
    let whole = timeout(PATIENCE, views.wait_for(|view| view.covered.values().sum::<i64>() == 12_000));
    let whole = whole.await.unwrap().unwrap().clone();
    assert_eq!(assert_prefix(&sessions, &whole).await, 11_760);
    union.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_is_refused() {
    let (topic, place) = (Topic::new(PARTITIONS), Place::folder());
    topic.send(&payloads(0..30));
    until_latest(spec(&topic, &place)).await.unwrap();
    let other = match Topic::is_embedded() {
        // While the first is there, so that it is another one.
        true => Topic::named(&topic.kafka.topic, PARTITIONS),
        false => topic.recreate().await,
    };
    let settings = UnionSettings::of(Some(other.kafka.clone()));
    let error = TableUnion::open(place.lake().await, settings).await.unwrap_err();
    // An empty topic doesn't hold the offsets either; what is said first is that it is another one.
    assert!(matches!(error, UnionError::TopicMismatch(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_begins_at_the_first_offset() {
    let (topic, place) = (Topic::new(PARTITIONS), Place::folder());
    topic.send(&payloads(0..300));
    until_latest(spec(&topic, &place)).await.unwrap();
    let union = union(&place, Some(topic.kafka.clone())).await;
    let mut lake = place.lake().await;
    lake.begin_epoch(&topic.identity(), "test").await.unwrap();
    union.commit_notifier().committed();
    let mut views = union.views();
    let whole = timeout(PATIENCE, views.wait_for(|view| view.lake.epoch == 1 && view.tail_rows == 294));
    let whole = whole.await.unwrap().unwrap().clone();
    let sessions = UnionSessions::new(DEFAULT_MEMORY_BYTES).unwrap();
    let sql = "SELECT kafka_epoch, count(*) FROM ticks GROUP BY kafka_epoch ORDER BY 1";
    let batches = rows(&sessions, &whole, sql).await;
    let counts: Vec<(i32, i64)> = batches
        .iter()
        .flat_map(|batch| {
            let (epochs, counts) = (batch.column(0).as_primitive::<Int32Type>(), batch.column(1));
            let counts = counts.as_primitive::<Int64Type>();
            (0..batch.num_rows()).map(|row| (epochs.value(row), counts.value(row))).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(counts, [(0, 294), (1, 294)]);
    union.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_reads_what_kafka_holds() {
    let (topic, place) = (Topic::new(PARTITIONS), Place::folder());
    topic.send(&payloads(0..300));
    until_latest(spec(&topic, &place)).await.unwrap();
    topic.send(&payloads(300..900));
    let query = |flags: &[&str], sql: &str| {
        let mut words = vec!["query".to_owned()];
        words.extend(place.flags());
        words.extend(flags.iter().map(|flag| (*flag).to_owned()));
        words.push(sql.to_owned());
        Tickhouse::new(&words).run()
    };
    let count = "SELECT count(*) AS n FROM ticks";
    assert_eq!(query(&[], count).stdout, "n\n294\n");
    let brokers = topic.kafka.brokers.clone();
    let live = query(&["--live", "--brokers", &brokers], count);
    assert_eq!((live.stdout.as_str(), live.code), ("n\n882\n", Some(0)), "{}", live.stderr);
    let symbols = query(&["--live", "--brokers", &brokers, "--param", "since=2026-01-01"], "latest");
    assert_eq!(symbols.stdout.lines().count(), 5, "{}", symbols.stderr);
    for (flags, told) in [
        (&["--live"][..], "set --brokers host:9092"),
        (&["--brokers", &brokers], "are for --live"),
        (&["--live", "--brokers", &brokers, "--topic", "other"], "leave out --topic"),
        (&["--live", "--brokers", &brokers, "--engine", "trino"], "--live is for --engine local"),
    ] {
        let wrong = query(flags, count);
        assert!(wrong.stderr.contains(told) && wrong.code == Some(2), "{flags:?}: {}", wrong.stderr);
    }
    let other = Topic::named(&topic.kafka.topic, PARTITIONS);
    if Topic::is_embedded() {
        let refused = query(&["--live", "--brokers", &other.kafka.brokers], count);
        assert!(refused.stderr.contains("cluster") && refused.code == Some(2), "{}", refused.stderr);
    }
}

//! The follower on an embedded broker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use object_store::memory::InMemory;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::rows::TailRowBuilder;
use super::store::TailStore;
use super::{FollowError, FollowSettings, TailChunk, TailEvent, TailFollower};
use crate::decode::{InputSettings, Preset};
use crate::kafka::{EmbeddedBroker, Producer, ProducerRecord, SendOutcome};
use crate::lake::{TableView, ticks_schema};
use crate::market::{MarketZone, OffsetRange, PartitionBy, Tick, TickColumns};

const PATIENCE: Duration = Duration::from_secs(20);

fn settings(broker: &EmbeddedBroker) -> FollowSettings {
    FollowSettings {
        kafka: broker.settings("ticks"),
        input: InputSettings { preset: Some(Preset::Canonical), ..InputSettings::default() },
        zone: MarketZone::new(chrono_tz::UTC),
        patience: PATIENCE,
    }
}

fn tick(number: usize) -> String {
    format!(r#"{{"symbol":"S{}","ts":"2026-01-05T14:30:00.{number:06}Z","close":{number}.5}}"#, number % 3)
}

async fn send(settings: &FollowSettings, payloads: Vec<String>) {
    let kafka = settings.kafka.clone();
    let sending = tokio::task::spawn_blocking(move || {
        let mut producer = Producer::new(&kafka).unwrap();
        for payload in &payloads {
            let record = ProducerRecord { key: Some(b"one"), payload: payload.as_bytes(), timestamp: None };
            assert_eq!(producer.send(record, &CancellationToken::new()).unwrap(), SendOutcome::Queued);
        }
        assert!(producer.flush(PATIENCE));
    });
    sending.await.unwrap();
}

/// Chunks until all partitions are at their end.
async fn until_the_end(follower: &mut TailFollower) -> Vec<TailChunk> {
    let mut chunks = Vec::new();
    loop {
        match timeout(PATIENCE, follower.tails.recv()).await.unwrap().unwrap() {
            TailEvent::Rows(more) => chunks.extend(more),
            TailEvent::Ends { lag_messages: 0 } => return chunks,
            TailEvent::Ends { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_follow_one_another_and_count_what_is_no_row() {
    let broker = EmbeddedBroker::start(1, "ticks").unwrap();
    let settings = settings(&broker);
    let mut payloads: Vec<String> = (0..2_000).map(tick).collect();
    payloads[7] = "{".to_owned();
    send(&settings, payloads).await;
    let mut follower = TailFollower::start(settings.clone(), vec![(0, 5)]).await.unwrap();
    assert_eq!((follower.opened()[0].low, follower.opened()[0].high), (0, 2_000));
    assert!(!follower.identity().cluster_id.is_empty());
    let mut chunks = until_the_end(&mut follower).await;
    send(&settings, (2_000..2_100).map(tick).collect()).await;
    while chunks.last().is_none_or(|chunk| chunk.range.next() < 2_100) {
        chunks.extend(until_the_end(&mut follower).await);
    }
    let mut range = chunks[0].range;
    chunks[1..].iter().for_each(|chunk| range.extend(chunk.range).unwrap());
    assert_eq!((range.start(), range.next()), (5, 2_100));
    assert_eq!(chunks.iter().map(|chunk| chunk.dead).sum::<u64>(), 1);
    let offsets: Vec<i64> = chunks.iter().flat_map(|chunk| chunk.rows.offset.clone()).collect();
    assert_eq!(offsets, (5..2_100).filter(|offset| *offset != 7).collect::<Vec<_>>());
    assert!(chunks.iter().all(|chunk| chunk.received_at > 1_700_000_000_000_000));
    timeout(PATIENCE, follower.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_and_partitions_that_kafka_does_not_have_are_told() {
    let broker = EmbeddedBroker::start(2, "ticks").unwrap();
    let settings = settings(&broker);
    let error = TailFollower::start(settings.clone(), vec![(0, 0), (2, 9)]).await.unwrap_err();
    assert!(matches!(error, FollowError::NoPartition { partition: 2, offset: 9, .. }), "{error}");
    let mut follower = TailFollower::start(settings, vec![(1, 9)]).await.unwrap();
    let first = timeout(PATIENCE, follower.tails.recv()).await.unwrap().unwrap();
    assert!(matches!(first, TailEvent::Gap { partition: 1, asked: 9, low: 0, high: 0 }), "{first:?}");
    assert!(until_the_end(&mut follower).await.is_empty());
    timeout(PATIENCE, follower.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_while_nobody_takes_what_it_brings() {
    let broker = EmbeddedBroker::start(1, "ticks").unwrap();
    let settings = settings(&broker);
    let follower = TailFollower::start(settings.clone(), vec![(0, 0)]).await.unwrap();
    let mut number = 0;
    while follower.tails.len() < follower.tails.max_capacity() {
        send(&settings, vec![tick(number)]).await;
        number += 1;
    }
    timeout(PATIENCE, follower.stop()).await.unwrap();
}

/// Two rows for each offset that is a tick.
fn chunk(partition: i32, range: std::ops::Range<i64>) -> TailChunk {
    let mut rows = TickColumns::default();
    for offset in range.clone().filter(|offset| offset % 7 != 0) {
        for index in 0..2 {
            let close = offset as f64;
            let tick = Tick {
                symbol: ["A", "B", "a symbol with a long name"][(offset % 3) as usize],
                ts: 1_767_000_000_000_000 + offset,
                open: None,
                high: None,
                low: None,
                close,
                volume: None,
                trade_id: None,
                source: None,
            };
            rows.push(&tick, 20_458, offset, index, None);
        }
    }
    let range = OffsetRange::new(range.start, range.end).unwrap();
    TailChunk { partition, range, rows, dead: 0, received_at: 1 }
}

#[test]
fn the_tail_has_what_the_table_lacks_and_nothing_else() {
    let view = TableView {
        schema: ticks_schema(PartitionBy::Day, &[]),
        partition_column: "trade_date".to_owned(),
        files: Vec::new(),
        store: Arc::new(InMemory::new()),
        table_url: url::Url::parse("memory:///ticks/").unwrap(),
    };
    let mut random = StdRng::seed_from_u64(41);
    for _ in 0..20 {
        let mut store = TailStore::new(TailRowBuilder::new(&view, 3, Vec::new())).unwrap();
        let mut covered: BTreeMap<i32, i64> = BTreeMap::from([(0, 40), (1, 0)]);
        let mut read: BTreeMap<i32, i64> = BTreeMap::from([(0, 40), (1, 0)]);
        store.drop_committed(&covered);
        for _ in 0..600 {
            let partition = random.random_range(0..2);
            let next = read[&partition];
            if random.random_bool(0.95) {
                let end = next + random.random_range(1..60);
                store.push(chunk(partition, next..end)).unwrap();
                read.insert(partition, end);
            } else {
                // Ingest may be ahead of the tail.
                let start = random.random_range(covered[&partition]..=next + 30);
                covered.insert(partition, start);
                store.drop_committed(&covered);
            }
        }
        let mut found: BTreeMap<i32, Vec<i64>> = BTreeMap::from([(0, Vec::new()), (1, Vec::new())]);
        for batch in store.batches() {
            let offsets = batch.rows.column_by_name("kafka_offset").unwrap().as_primitive::<Int64Type>().values();
            assert_eq!(batch.offsets, (offsets[0], offsets[offsets.len() - 1]));
            found.get_mut(&batch.partition).unwrap().extend(offsets);
        }
        let mut rows = 0;
        for (partition, offsets) in found {
            let all = covered[&partition]..read[&partition].max(covered[&partition]);
            let expected: Vec<i64> = all.filter(|offset| offset % 7 != 0).flat_map(|offset| [offset, offset]).collect();
            assert_eq!(offsets, expected, "partition {partition}");
            assert_eq!(store.covered()[&partition], read[&partition].max(covered[&partition]));
            rows += offsets.len();
        }
        assert_eq!(store.rows(), rows);
        assert!(store.bytes() > rows * 50 && store.bytes() < rows * 1_000 + 100_000, "{} for {rows}", store.bytes());
        assert!(store.batches().len() < 2 * (32 + rows / 8_000), "{} for {rows} rows", store.batches().len());
        store.clear();
        assert_eq!((store.rows(), store.bytes(), store.batches().len()), (0, 0, 0));
    }
}

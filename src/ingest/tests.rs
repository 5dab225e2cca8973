//! What the loop decides when somebody else moved the table meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::decode::{InputSettings, Preset, Reason, Rejection};
use crate::ingest::batching::batch::{Batch, Chunk, DeadLetter};
use crate::ingest::batching::column_pool::spare_columns;
use crate::ingest::daemon::{Daemon, IngestSpec};
use crate::ingest::error::IngestError;
use crate::ingest::event_loop::policy::DataLoss;
use crate::ingest::flushing::encode::TickEncoder;
use crate::ingest::flushing::flush::{Flush, Flushed, Outcome, flush};
use crate::ingest::settings::IngestSettings;
use crate::kafka::{Assigned, EmbeddedBroker, KafkaSettings, Producer, ProducerRecord, Queued, topic_info};
use crate::lake::{Advance, Lake, Location, StoreSettings};
use crate::market::{OffsetRange, PartitionBy, TickColumns};

const TOPIC: &str = "ticks";

pub(in crate::ingest) struct Place {
    pub(in crate::ingest) broker: EmbeddedBroker,
    _folder: TempDir,
    pub(in crate::ingest) spec: IngestSpec,
}

impl Place {
    fn with_messages(count: usize) -> Self {
        Self::with_partitions(1, count)
    }

    /// Keys of all kinds spread the messages over the partitions.
    pub(in crate::ingest) fn with_partitions(partitions: i32, count: usize) -> Self {
        let broker = EmbeddedBroker::start(partitions, TOPIC).unwrap();
        let brokers = broker.bootstrap_servers().to_owned();
        let kafka = KafkaSettings { brokers, topic: TOPIC.to_owned(), ..KafkaSettings::default() };
        let mut producer = Producer::new(&kafka).unwrap();
        for number in 0..count {
            let payload = format!(r#"{{"symbol":"A","ts":{},"close":1.5,"volume":1}}"#, 1_767_700_000_000 + number);
            let key = number.to_string();
            let record = ProducerRecord { key: Some(key.as_bytes()), payload: payload.as_bytes(), timestamp: None };
            assert_eq!(producer.send(record, &CancellationToken::new()), Ok(Queued::Yes));
        }
        assert!(producer.flush(Duration::from_secs(20)));
        let folder = tempfile::tempdir().unwrap();
        let spec = IngestSpec {
            location: Location::Folder(folder.path().join("lake")),
            store: StoreSettings::default(),
            kafka,
            input: InputSettings { preset: Some(Preset::Canonical), ..InputSettings::default() },
            settings: IngestSettings { market_zone: "UTC".to_owned(), ..IngestSettings::default() },
            until_latest: true,
            accept_input_change: false,
        };
        Self { broker, _folder: folder, spec }
    }

    pub(in crate::ingest) async fn daemon(&self) -> Daemon {
        Daemon::open(self.spec.clone(), &CancellationToken::new()).await.unwrap().unwrap()
    }

    pub(in crate::ingest) async fn lake(&self) -> Lake {
        Lake::open(&self.spec.location, &self.spec.store).await.unwrap()
    }
}

/// A watermark that was asked before another worker went on says nothing about a log that lost its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_ahead_of_an_old_watermark_is_asked_about_again() {
    let place = Place::with_messages(10);
    let stop = CancellationToken::new();
    place.daemon().await.run(stop.clone()).await.unwrap();
    let identity = topic_info(&place.spec.kafka, Duration::from_secs(20)).unwrap().identity;
    let outdated = [Assigned { partition: 0, low: 0, high: 4 }];

    let mut daemon = place.daemon().await;
    daemon.pipeline.take_up(&identity, &outdated, &stop).await.unwrap();
    assert_eq!(daemon.pipeline.partitions.iter().count(), 0);
    let status = daemon.run(stop.clone()).await.unwrap();
    assert_eq!((status.commits, status.next), (0, BTreeMap::from([(0, 10)])));

    let mut daemon = place.daemon().await;
    daemon.pipeline.take_up(&identity, &outdated, &stop).await.unwrap();
    let asked_again = daemon.pipeline.take_up(&identity, &outdated, &stop).await;
    let expected = DataLoss::Shrunk { partition: 0, next: 10, high: 4 };
    assert!(matches!(&asked_again, Err(IngestError::DataLoss(loss)) if *loss == expected), "{asked_again:?}");
}

fn letter(offset: i64) -> DeadLetter {
    DeadLetter {
        partition: 0,
        offset,
        kafka_ts: Some(1_767_700_000_000),
        key: None,
        payload: b"x".to_vec(),
        payload_bytes: 1,
        sha256: [0; 32],
        headers: Vec::new(),
        rejection: Rejection::new(Reason::Empty, "x"),
    }
}

/// Writes `[start, next)` as dead letters, as a worker that believes that dead letters end at `dead_base`.
async fn bury(lake: &mut Lake, (start, next): (i64, i64), dead_base: Option<i64>) -> Flushed {
    let range = OffsetRange::new(start, next).unwrap();
    let mut chunk = Chunk::empty(0, start, TickColumns::default(), 0);
    chunk.range = range;
    chunk.dead = (start..next).map(letter).collect();
    chunk.counts.dead = range.len();
    let counts = chunk.counts;
    let mut batch = Batch::default();
    batch.push(chunk).unwrap();
    let base = (start > 0).then_some(start);
    let (answer, topic_id) = oneshot::channel();
    answer.send(Ok(None)).unwrap();
    let advances = vec![Advance { partition: 0, base, range, counts, leader_epoch: None }];
    let work = Flush { batch, advances, dead_bases: [(0, dead_base)].into(), topic_id };
    let encoder = Arc::new(TickEncoder::new(0, PartitionBy::Day, &[]));
    flush(lake, encoder, spare_columns().0, work).await.unwrap()
}

/// Another worker may have another verdict, so its letters are read before anything is committed over them.
#[tokio::test(flavor = "multi_thread")]
async fn letters_that_another_worker_buried_meanwhile_fence_the_batch() {
    let place = Place::with_messages(0);
    place.daemon().await.run(CancellationToken::new()).await.unwrap();
    let mut zombie = place.lake().await;
    let mut lake = place.lake().await;
    let version = zombie.version();

    let first = bury(&mut lake, (0, 5), None).await;
    assert!(matches!(first.outcome, Outcome::Committed { .. }));
    assert_eq!(first.dead_next, BTreeMap::from([(0, 5)]));
    for range in [(0, 3), (0, 5), (0, 8)] {
        let late = bury(&mut zombie, range, None).await;
        assert!(matches!(&late.outcome, Outcome::Fenced { partitions } if *partitions == [0]));
    }
    lake.refresh().await.unwrap();
    assert_eq!((lake.version(), lake.dead_letters().unwrap().files.len()), (version + 1, 1));
    let second = bury(&mut lake, (5, 9), Some(5)).await;
    assert!(matches!(second.outcome, Outcome::Committed { .. }));
    assert_eq!(lake.dead_next_offset(0).await.unwrap(), Some(9));
}

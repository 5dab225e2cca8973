//! What the loop decides after another writer has changed the table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::decode::{InputSettings, Preset, Rejection, RejectionReason};
use crate::ingest::batching::batch::{DeadLetter, IngestBatch, IngestChunk};
use crate::ingest::batching::column_pool::column_pool;
use crate::ingest::daemon::{IngestDaemon, IngestSpec};
use crate::ingest::error::IngestError;
use crate::ingest::event_loop::policy::DataLoss;
use crate::ingest::flushing::encode::TickEncoder;
use crate::ingest::flushing::flush::{FlushOutcome, FlushReport, FlushRequest, flush};
use crate::ingest::settings::IngestSettings;
use crate::kafka::{EmbeddedBroker, PartitionWatermarks, Producer, ProducerRecord, SendOutcome, topic_info};
use crate::lake::{Advance, Lake, Location, StoreSettings};
use crate::market::{OffsetRange, PartitionBy, TickColumns};

const TOPIC: &str = "ticks";

pub(in crate::ingest) struct IngestFixture {
    pub(in crate::ingest) broker: EmbeddedBroker,
    _folder: TempDir,
    pub(in crate::ingest) spec: IngestSpec,
}

impl IngestFixture {
    fn with_messages(count: usize) -> Self {
        Self::with_partitions(1, count)
    }

    /// Distinct keys spread the messages over the partitions.
    pub(in crate::ingest) fn with_partitions(partitions: i32, count: usize) -> Self {
        let broker = EmbeddedBroker::start(partitions, TOPIC).unwrap();
        let kafka = broker.settings(TOPIC);
        let mut producer = Producer::new(&kafka).unwrap();
        for number in 0..count {
            let payload = format!(r#"{{"symbol":"A","ts":{},"close":1.5,"volume":1}}"#, 1_767_700_000_000 + number);
            let key = number.to_string();
            let record = ProducerRecord { key: Some(key.as_bytes()), payload: payload.as_bytes(), timestamp: None };
            assert_eq!(producer.send(record, &CancellationToken::new()), Ok(SendOutcome::Queued));
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

    pub(in crate::ingest) async fn daemon(&self) -> IngestDaemon {
        IngestDaemon::open(self.spec.clone(), &CancellationToken::new()).await.unwrap().unwrap()
    }

    pub(in crate::ingest) async fn lake(&self) -> Lake {
        Lake::open(&self.spec.location, &self.spec.store).await.unwrap()
    }
}

/// A watermark that is older than another worker's commit doesn't prove that the log lost its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_ahead_of_a_stale_watermark_asks_for_new_watermarks() {
    let fixture = IngestFixture::with_messages(10);
    let stop = CancellationToken::new();
    fixture.daemon().await.run(stop.clone()).await.unwrap();
    let identity = topic_info(&fixture.spec.kafka, Duration::from_secs(20)).unwrap().identity;
    let outdated = [PartitionWatermarks { partition: 0, low: 0, high: 4 }];

    let mut daemon = fixture.daemon().await;
    daemon.pipeline.accept_assignment(&identity, &outdated, &stop).await.unwrap();
    assert_eq!(daemon.pipeline.partitions.iter().count(), 0);
    let status = daemon.run(stop.clone()).await.unwrap();
    assert_eq!((status.commits, status.next), (0, BTreeMap::from([(0, 10)])));

    let mut daemon = fixture.daemon().await;
    daemon.pipeline.accept_assignment(&identity, &outdated, &stop).await.unwrap();
    let second_attempt = daemon.pipeline.accept_assignment(&identity, &outdated, &stop).await;
    let expected = DataLoss::Shrunk { partition: 0, next: 10, high: 4 };
    assert!(matches!(&second_attempt, Err(IngestError::DataLoss(loss)) if *loss == expected), "{second_attempt:?}");
}

fn dead_letter(offset: i64) -> DeadLetter {
    DeadLetter {
        partition: 0,
        offset,
        kafka_ts: Some(1_767_700_000_000),
        key: None,
        payload: b"x".to_vec(),
        payload_bytes: 1,
        sha256: [0; 32],
        headers: Vec::new(),
        rejection: Rejection::new(RejectionReason::Empty, "x"),
    }
}

/// Flushes `[start, next)` as dead letters, as a worker that expects the table's dead letters to end at `dead_base`.
async fn flush_dead_letters(lake: &mut Lake, (start, next): (i64, i64), dead_base: Option<i64>) -> FlushReport {
    let range = OffsetRange::new(start, next).unwrap();
    let mut chunk = IngestChunk::empty(0, start, TickColumns::default(), 0);
    chunk.range = range;
    chunk.dead = (start..next).map(dead_letter).collect();
    chunk.counts.dead = range.len();
    let counts = chunk.counts;
    let mut batch = IngestBatch::default();
    batch.push(chunk).unwrap();
    let base = (start > 0).then_some(start);
    let (answer, topic_id) = oneshot::channel();
    answer.send(Ok(None)).unwrap();
    let advances = vec![Advance { partition: 0, base, range, counts, leader_epoch: None }];
    let work = FlushRequest { batch, advances, dead_bases: [(0, dead_base)].into(), topic_id };
    let encoder = Arc::new(TickEncoder::new(0, PartitionBy::Day, &[]));
    flush(lake, encoder, column_pool().0, work).await.unwrap()
}

/// Another worker may have reached another verdict, so its dead letters are read before their offsets are committed.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_another_worker_fence_the_batch() {
    let fixture = IngestFixture::with_messages(0);
    fixture.daemon().await.run(CancellationToken::new()).await.unwrap();
    let mut zombie = fixture.lake().await;
    let mut lake = fixture.lake().await;
    let version = zombie.version();

    let first = flush_dead_letters(&mut lake, (0, 5), None).await;
    assert!(matches!(first.outcome, FlushOutcome::Committed { .. }));
    assert_eq!(first.dead_next, BTreeMap::from([(0, 5)]));
    for range in [(0, 3), (0, 5), (0, 8)] {
        let late = flush_dead_letters(&mut zombie, range, None).await;
        assert!(matches!(&late.outcome, FlushOutcome::Fenced { partitions } if *partitions == [0]));
    }
    lake.refresh().await.unwrap();
    assert_eq!((lake.version(), lake.dead_letters().unwrap().files.len()), (version + 1, 1));
    let second = flush_dead_letters(&mut lake, (5, 9), Some(5)).await;
    assert!(matches!(second.outcome, FlushOutcome::Committed { .. }));
    assert_eq!(lake.dead_next_offset(0).await.unwrap(), Some(9));
}

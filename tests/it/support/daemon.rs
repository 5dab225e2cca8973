//! An ingest in this process.

use std::time::Duration;

use tickhouse::decode::{InputSettings, Preset};
use tickhouse::ingest::{DeadLetterShare, IngestDaemon, IngestError, IngestSettings, IngestSpec, IngestStatus};
use tickhouse::lake::PartitionCounters;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::log::Log;
use super::{PATIENCE, Place, Topic};

pub struct Running {
    pub status: watch::Receiver<IngestStatus>,
    stop: CancellationToken,
    task: JoinHandle<Result<IngestStatus, IngestError>>,
    log: Log,
}

/// Canonical messages, a commit ten times a second.
pub fn spec(topic: &Topic, place: &Place) -> IngestSpec {
    IngestSpec {
        location: place.location(),
        store: place.store(),
        kafka: topic.kafka.clone(),
        input: InputSettings { preset: Some(Preset::Canonical), ..InputSettings::default() },
        settings: IngestSettings {
            market_zone: "UTC".to_owned(),
            flush_interval: Duration::from_millis(100),
            idle_commit_interval: Duration::from_millis(100),
            // Most topics of these tests are small, and some hold nothing but poison.
            max_dead_share: Some(DeadLetterShare::new(1.0).unwrap()),
            ..IngestSettings::default()
        },
        until_latest: false,
        accept_input_change: false,
    }
}

/// Starts an ingest that runs until it is stopped.
pub async fn ingest(spec: IngestSpec) -> Running {
    let stop = CancellationToken::new();
    let log = Log::new(&[]);
    let daemon = IngestDaemon::open(spec, &stop).instrument(log.span.clone()).await.unwrap().unwrap();
    let status = daemon.status();
    let task = tokio::spawn(daemon.run(stop.clone()).instrument(log.span.clone()));
    Running { status, stop, task, log }
}

/// Runs to the end of the topic.
pub async fn until_latest(spec: IngestSpec) -> Result<IngestStatus, IngestError> {
    until_latest_warning(spec, &[]).await
}

/// The same; WARN and ERROR lines with one of these texts are all right.
pub async fn until_latest_warning(
    spec: IngestSpec,
    expected: &'static [&'static str],
) -> Result<IngestStatus, IngestError> {
    let log = Log::new(expected);
    let ingesting = async {
        let stop = CancellationToken::new();
        let daemon = IngestDaemon::open(IngestSpec { until_latest: true, ..spec }, &stop).await?.unwrap();
        tokio::time::timeout(PATIENCE, daemon.run(stop)).await.expect("the end of the topic is reached")
    };
    ingesting.instrument(log.span.clone()).await
}

impl Running {
    /// WARN and ERROR lines with one of these texts are all right.
    pub fn expect_warnings(mut self, expected: &'static [&'static str]) -> Self {
        self.log.expect(expected);
        self
    }

    /// Waits until the status is so.
    pub async fn until(&mut self, what: &str, is_so: impl FnMut(&IngestStatus) -> bool) {
        let reached = tokio::time::timeout(PATIENCE, self.status.wait_for(is_so)).await;
        let ended = reached.map(|status| status.is_err());
        match ended {
            Ok(false) => {}
            Ok(true) => panic!("{what}: the ingest ended: {:?}", (&mut self.task).await),
            Err(_) => panic!("{what}: not within {PATIENCE:?}: {:?}", self.status.borrow()),
        }
    }

    /// Waits until this worker has committed so many messages itself.
    pub async fn committed(&mut self, messages: usize) {
        self.until(&format!("{messages} messages"), |status| status.committed.offsets() >= messages as i64).await;
    }

    pub async fn stop(self) -> IngestStatus {
        self.stop.cancel();
        self.end().await.unwrap()
    }

    /// How it ends by itself.
    pub async fn end(self) -> Result<IngestStatus, IngestError> {
        tokio::time::timeout(PATIENCE, self.task).await.expect("the ingest ends").unwrap()
    }
}

/// Waits until the table has so many messages, whoever of them commits.
pub async fn landed(workers: &mut [&mut Running], place: &Place, messages: usize) {
    let mut lake = place.lake().await;
    let waiting = async {
        loop {
            lake.refresh().await.unwrap();
            let counters = lake.counters().await.unwrap();
            if counters.values().map(PartitionCounters::offsets).sum::<i64>() >= messages as i64 {
                break;
            }
            // A worker tells its status at least once a second, when it hears of the ends.
            let changes = workers.iter_mut().map(|worker| Box::pin(worker.status.changed()));
            futures::future::select_all(changes).await.0.expect("no worker ends");
        }
    };
    let reached = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(reached.is_ok(), "{messages} messages: not within {PATIENCE:?}");
}

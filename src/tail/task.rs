//! The task that owns the union's state. One event at a time: a batch of Kafka's, a newer version, a start of the
//! follower. What takes long (the log, brokers) runs beside it and is joined.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::beginning::{follow, knows_all, store_of};
use super::chunk::{Chunk, Tail};
use super::error::UnionError;
use super::follower::Follower;
use super::store::Store;
use super::union_settings::UnionSettings;
use super::view::{Mode, UnionView};
use crate::kafka::KafkaSettings;
use crate::lake::{Lake, LakeError, LakeVersion};
use crate::util::throttle::Throttle;

/// Between two looks for a newer version.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many looks are followed by one that goes by all of the log: the next version may have been cleaned up already.
const LOOKS_TO_READ_ALL: u32 = 60;
/// Before the follower is started again; twice as long after each attempt.
const START_AGAIN: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(32);
/// Batches that go into one view when they wait already.
const BATCHES_A_VIEW: usize = 16;

/// A look at the log, and the lake that it borrowed.
type Looked = (Lake, Result<Option<LakeVersion>, LakeError>);
type Started = Result<Follower, UnionError>;

pub(super) struct Task {
    /// Elsewhere while somebody looks.
    lake: Option<Lake>,
    version: Arc<LakeVersion>,
    store: Store,
    settings: UnionSettings,
    follower: Option<Follower>,
    looking: Option<JoinHandle<Looked>>,
    starting: Option<JoinHandle<Started>>,
    /// When the follower is to be started.
    start_at: Option<Instant>,
    pause: Duration,
    /// Partitions of the topic.
    partitions: usize,
    looks: u32,
    lag: Option<i64>,
    /// Of Kafka, and of the lake.
    trouble: [Option<String>; 2],
    throttle: Throttle,
    views: watch::Sender<Arc<UnionView>>,
    hints: mpsc::Receiver<()>,
    stop: CancellationToken,
}

enum Event {
    Stop,
    Look,
    Looked(Result<Looked, JoinError>),
    Started(Result<Started, JoinError>),
    Start,
    Tail(Option<Tail>),
}

const KAFKA: usize = 0;
const LAKE: usize = 1;

impl Task {
    pub(super) fn new(
        lake: Lake,
        version: Arc<LakeVersion>,
        store: Store,
        settings: UnionSettings,
        follower: Option<Follower>,
        trouble: Option<String>,
        hints: mpsc::Receiver<()>,
        stop: CancellationToken,
    ) -> (Self, watch::Receiver<Arc<UnionView>>) {
        let partitions = follower.as_ref().map_or(0, |follower| follower.opened().len());
        let waits = settings.kafka.is_some() && follower.is_none();
        let (views, receiver) = watch::channel(Arc::new(UnionView {
            lake: Arc::clone(&version),
            tail: Vec::new(),
            tail_rows: 0,
            tail_bytes: 0,
            covered: version.next.clone(),
            mode: Mode::Snapshot,
            lag_messages: None,
            trouble: None,
        }));
        let mut task = Self {
            lake: Some(lake),
            version,
            store,
            settings,
            follower,
            looking: None,
            starting: None,
            start_at: waits.then(|| Instant::now() + START_AGAIN),
            pause: START_AGAIN,
            partitions,
            looks: 0,
            lag: None,
            trouble: [trouble, None],
            throttle: Throttle::default(),
            views,
            hints,
            stop,
        };
        task.store.cover(&task.version.next);
        task.publish();
        (task, receiver)
    }

    pub(super) async fn run(mut self) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let has_room = self.store.bytes() < self.settings.tail_bytes;
            let start_at = self.start_at;
            let event = tokio::select! {
                biased;
                () = self.stop.cancelled() => Event::Stop,
                looked = joined(&mut self.looking) => Event::Looked(looked),
                started = joined(&mut self.starting) => Event::Started(started),
                Some(()) = self.hints.recv(), if self.lake.is_some() => Event::Look,
                _ = looks.tick(), if self.lake.is_some() => Event::Look,
                () = due(start_at) => Event::Start,
                tail = next(&mut self.follower), if has_room => Event::Tail(tail),
            };
            match event {
                Event::Stop => break,
                Event::Look => self.look(),
                Event::Looked(looked) => self.looked(looked).await,
                Event::Start => self.start(),
                Event::Started(started) => self.started(started).await,
                Event::Tail(tail) => self.take(tail).await,
            }
        }
        self.leave().await;
    }

    async fn leave(mut self) {
        if let Some(follower) = self.follower.take() {
            follower.stop().await;
        }
        if let Some(starting) = self.starting.take() {
            starting.abort();
            drop(starting.await);
        }
        if let Some(looking) = self.looking.take() {
            looking.abort();
            drop(looking.await);
        }
    }

    fn look(&mut self) {
        let Some(lake) = self.lake.take() else { return };
        self.looks += 1;
        let reads_all = self.looks.is_multiple_of(LOOKS_TO_READ_ALL);
        let known = (self.version.version, self.version.partitions_looked_up);
        self.looking = Some(tokio::spawn(look(lake, known, self.partitions, reads_all)));
    }

    async fn looked(&mut self, looked: Result<Looked, JoinError>) {
        let newest = match looked {
            Ok((lake, newest)) => {
                self.lake = Some(lake);
                newest
            }
            // Without its lake it would stay at one version for ever.
            Err(error) => {
                self.trouble[LAKE] = Some(format!("look for newer versions: {error}"));
                self.stop.cancel();
                return self.publish();
            }
        };
        match newest {
            Ok(None) => self.trouble[LAKE] = None,
            Ok(Some(version)) => {
                self.trouble[LAKE] = None;
                self.swap(Arc::new(version)).await;
            }
            Err(error) => {
                if self.throttle.is_due() {
                    tracing::warn!("{error}; trying again");
                }
                self.trouble[LAKE] = Some(error.to_string());
            }
        }
        self.publish();
    }

    /// The table moved. Rows that it has now leave the tail in the same step.
    async fn swap(&mut self, version: Arc<LakeVersion>) {
        let old = std::mem::replace(&mut self.version, version);
        let new = &self.version;
        let same = old.epoch == new.epoch
            && old.identity.require(&new.identity).is_ok()
            && old.input == new.input
            && old.market_zone == new.market_zone
            && old.ticks.schema == new.ticks.schema;
        if same {
            self.store.cover(&self.version.next);
            if self.start_at.is_some() {
                self.start_at = Some(Instant::now());
            }
            return;
        }
        match store_of(&self.version) {
            Ok(store) => {
                self.store = store;
                self.restart(None).await;
            }
            Err(error) => self.restart(Some(error.to_string())).await,
        }
    }

    /// Forgets the tail, and reads it again from what the version covers on.
    async fn restart(&mut self, trouble: Option<String>) {
        if let Some(follower) = self.follower.take() {
            follower.stop().await;
        }
        if let Some(starting) = self.starting.take() {
            starting.abort();
        }
        self.store.clear();
        self.store.cover(&self.version.next);
        self.lag = None;
        if self.settings.kafka.is_some() {
            let pause = if trouble.is_some() { self.next_pause() } else { Duration::ZERO };
            self.start_at = Some(Instant::now() + pause);
        }
        self.trouble[KAFKA] = trouble;
    }

    fn next_pause(&mut self) -> Duration {
        let longer = (self.pause * 2).min(LONGEST_PAUSE);
        std::mem::replace(&mut self.pause, longer)
    }

    fn start(&mut self) {
        self.start_at = None;
        let Some(kafka) = self.settings.kafka.clone().filter(|_| self.starting.is_none()) else { return };
        self.starting = Some(tokio::spawn(start(kafka, self.settings.patience, Arc::clone(&self.version))));
    }

    async fn started(&mut self, started: Result<Started, JoinError>) {
        match started {
            Ok(Ok(follower)) => {
                self.partitions = self.partitions.max(follower.opened().len());
                if knows_all(&self.version, follower.opened()) {
                    self.store.clear();
                    self.store.cover(&self.version.next);
                    self.follower = Some(follower);
                    self.trouble[KAFKA] = None;
                } else {
                    // The next look asks for all of them.
                    follower.stop().await;
                    self.start_at = Some(Instant::now() + LOOK_EVERY);
                }
            }
            Ok(Err(error)) => self.wait_and_start(error.to_string()),
            Err(error) => self.wait_and_start(error.to_string()),
        }
        self.publish();
    }

    fn wait_and_start(&mut self, problem: String) {
        if self.throttle.is_due() {
            tracing::warn!("{problem}; trying again");
        }
        self.trouble[KAFKA] = Some(problem);
        let pause = self.next_pause();
        self.start_at = Some(Instant::now() + pause);
    }

    async fn take(&mut self, first: Option<Tail>) {
        let mut next = first;
        for _ in 0..BATCHES_A_VIEW {
            match next {
                Some(Tail::Rows(chunks)) => {
                    self.pause = START_AGAIN;
                    if let Err(error) = self.push(chunks) {
                        self.restart(Some(format!("build rows of ticks: {error}"))).await;
                    }
                }
                Some(Tail::Ends { lag_messages }) => self.lag = Some(lag_messages),
                Some(Tail::Trouble(text)) => self.trouble[KAFKA] = Some(text),
                Some(Tail::Recovered) => self.trouble[KAFKA] = None,
                Some(Tail::Gap { partition, asked, low, high }) => {
                    let text = format!(
                        "Kafka has offsets [{low}, {high}) of partition {partition} and not {asked}, which follows what \
                         the table has: they went by retention, or the topic lost them; only the table is shown until \
                         ingest goes on behind them"
                    );
                    self.restart(Some(text)).await;
                }
                Some(Tail::Failed(text)) => self.restart(Some(text)).await,
                None => self.restart(Some("the reader of Kafka has ended".to_owned())).await,
            }
            let has_room = self.store.bytes() < self.settings.tail_bytes;
            let waiting =
                self.follower.as_mut().filter(|_| has_room).and_then(|follower| follower.tails.try_recv().ok());
            match waiting {
                Some(tail) => next = Some(tail),
                None => break,
            }
        }
        self.publish();
    }

    fn push(&mut self, chunks: Vec<Chunk>) -> Result<(), arrow::error::ArrowError> {
        for chunk in chunks {
            self.partitions = self.partitions.max(usize::try_from(chunk.partition).map_or(0, |number| number + 1));
            self.store.push(chunk)?;
        }
        Ok(())
    }

    fn publish(&mut self) {
        let is_full = self.store.bytes() >= self.settings.tail_bytes;
        let mode = match &self.follower {
            None => Mode::Snapshot,
            Some(_) if is_full => Mode::Full,
            Some(_) => Mode::Live,
        };
        let [of_kafka, of_lake] = &self.trouble;
        let of_room = (mode == Mode::Full).then(|| {
            format!(
                "the rows beyond the table fill {} bytes: newer ones are not shown until ingest commits",
                self.settings.tail_bytes
            )
        });
        let trouble = of_kafka.clone().or_else(|| of_lake.clone()).or(of_room);
        self.views.send_replace(Arc::new(UnionView {
            lake: Arc::clone(&self.version),
            tail: self.store.batches(),
            tail_rows: self.store.rows(),
            tail_bytes: self.store.bytes(),
            covered: self.store.covered(),
            mode,
            lag_messages: self.lag,
            trouble,
        }));
    }
}

/// The lake comes back in any case.
async fn look(mut lake: Lake, known: (u64, usize), partitions: usize, reads_all: bool) -> Looked {
    let (version, partitions_looked_up) = known;
    let before = lake.versions();
    let newest = async {
        if !reads_all && partitions <= partitions_looked_up && !lake.has_newer().await? {
            return Ok(None);
        }
        lake.refresh().await?;
        let newest = lake.newest(partitions).await?;
        let is_same = newest.version == version
            && newest.partitions_looked_up == partitions_looked_up
            && lake.versions() == before;
        Ok((!is_same).then_some(newest))
    };
    let newest = newest.await;
    (lake, newest)
}

async fn start(kafka: KafkaSettings, patience: Duration, version: Arc<LakeVersion>) -> Started {
    follow(&kafka, patience, &version).await
}

/// Never, where there is no task.
async fn joined<T>(task: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    let Some(running) = task else { return std::future::pending().await };
    let result = running.await;
    *task = None;
    result
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn next(follower: &mut Option<Follower>) -> Option<Tail> {
    match follower {
        Some(follower) => follower.tails.recv().await,
        None => std::future::pending().await,
    }
}

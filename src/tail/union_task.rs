//! The task that owns the union's state. It handles one event at a time: a batch from Kafka, a newer version, a start
//! of the follower. Slow work (reading the log, connecting to brokers) runs in tasks that it joins.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::error::UnionError;
use super::follower::TailFollower;
use super::start::{follow, knows_all, store_of};
use super::store::TailStore;
use super::tail_event::{TailChunk, TailEvent};
use super::union_settings::UnionSettings;
use super::view::{UnionMode, UnionView};
use crate::kafka::KafkaSettings;
use crate::lake::{Lake, LakeError, LakeVersion};
use crate::util::backoff::Backoff;
use crate::util::throttle::LogThrottle;

/// Interval of checks for a newer version.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);
/// After this many checks, one refreshes the lake unconditionally: the log file of the next version may have been
/// deleted already.
const REFRESHES_PER_FULL_READ: u32 = 60;
/// Pauses before the follower is started again.
const FIRST_RETRY_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_RETRY_PAUSE: Duration = Duration::from_secs(32);
/// Maximum number of waiting batches that go into one view.
const BATCHES_PER_VIEW: usize = 16;

/// The lake that a refresh borrowed, and its newest version if that has changed.
type RefreshResult = (Lake, Result<Option<LakeVersion>, LakeError>);
type FollowerStart = Result<TailFollower, UnionError>;

pub(super) struct UnionTask {
    /// `None` while a refresh has it.
    lake: Option<Lake>,
    version: Arc<LakeVersion>,
    store: TailStore,
    settings: UnionSettings,
    follower: Option<TailFollower>,
    refreshing: Option<JoinHandle<RefreshResult>>,
    starting: Option<JoinHandle<FollowerStart>>,
    /// When to start the follower.
    start_at: Option<Instant>,
    pauses: Backoff,
    /// Partitions of the topic.
    partitions: usize,
    refreshes: u32,
    lag: Option<i64>,
    /// The current problem of Kafka and of the lake.
    problems: [Option<String>; 2],
    throttle: LogThrottle,
    views: watch::Sender<Arc<UnionView>>,
    commit_notifications: mpsc::Receiver<()>,
    stop: CancellationToken,
}

enum UnionEvent {
    Stop,
    Refresh,
    Refreshed(Result<RefreshResult, JoinError>),
    Started(Result<FollowerStart, JoinError>),
    Start,
    Tail(Option<TailEvent>),
}

const KAFKA: usize = 0;
const LAKE: usize = 1;

impl UnionTask {
    pub(super) fn new(
        lake: Lake,
        version: Arc<LakeVersion>,
        store: TailStore,
        settings: UnionSettings,
        follower: Option<TailFollower>,
        problem: Option<String>,
        commit_notifications: mpsc::Receiver<()>,
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
            mode: UnionMode::Snapshot,
            lag_messages: None,
            stale_reason: None,
        }));
        let mut pauses = Backoff::new(FIRST_RETRY_PAUSE, LONGEST_RETRY_PAUSE);
        let mut task = Self {
            lake: Some(lake),
            version,
            store,
            settings,
            follower,
            refreshing: None,
            starting: None,
            start_at: waits.then(|| Instant::now() + pauses.next_pause()),
            pauses,
            partitions,
            refreshes: 0,
            lag: None,
            problems: [problem, None],
            throttle: LogThrottle::default(),
            views,
            commit_notifications,
            stop,
        };
        task.store.drop_committed(&task.version.next);
        task.publish();
        (task, receiver)
    }

    pub(super) async fn run(mut self) {
        let mut refreshes = interval(REFRESH_INTERVAL);
        refreshes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let has_room = self.store.bytes() < self.settings.tail_bytes;
            let start_at = self.start_at;
            let event = tokio::select! {
                biased;
                () = self.stop.cancelled() => UnionEvent::Stop,
                on_refreshed = joined(&mut self.refreshing) => UnionEvent::Refreshed(on_refreshed),
                started = joined(&mut self.starting) => UnionEvent::Started(started),
                Some(()) = self.commit_notifications.recv(), if self.lake.is_some() => UnionEvent::Refresh,
                _ = refreshes.tick(), if self.lake.is_some() => UnionEvent::Refresh,
                () = due(start_at) => UnionEvent::Start,
                tail = next(&mut self.follower), if has_room => UnionEvent::Tail(tail),
            };
            match event {
                UnionEvent::Stop => break,
                UnionEvent::Refresh => self.start_refresh(),
                UnionEvent::Refreshed(on_refreshed) => self.on_refreshed(on_refreshed).await,
                UnionEvent::Start => self.start(),
                UnionEvent::Started(started) => self.started(started).await,
                UnionEvent::Tail(tail) => self.take(tail).await,
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
        if let Some(refreshing) = self.refreshing.take() {
            refreshing.abort();
            drop(refreshing.await);
        }
    }

    fn start_refresh(&mut self) {
        let Some(lake) = self.lake.take() else { return };
        self.refreshes += 1;
        let is_full_read = self.refreshes.is_multiple_of(REFRESHES_PER_FULL_READ);
        let known = (self.version.version, self.version.partitions_looked_up);
        self.refreshing = Some(tokio::spawn(refresh_lake(lake, known, self.partitions, is_full_read)));
    }

    async fn on_refreshed(&mut self, on_refreshed: Result<RefreshResult, JoinError>) {
        let newest = match on_refreshed {
            Ok((lake, newest)) => {
                self.lake = Some(lake);
                newest
            }
            // Without its lake the task would stay at one version forever.
            Err(error) => {
                self.problems[LAKE] = Some(format!("check for a newer version: {error}"));
                self.stop.cancel();
                return self.publish();
            }
        };
        match newest {
            Ok(None) => self.problems[LAKE] = None,
            Ok(Some(version)) => {
                self.problems[LAKE] = None;
                self.swap(Arc::new(version)).await;
            }
            Err(error) => {
                if self.throttle.is_due() {
                    tracing::warn!("{error}; trying again");
                }
                self.problems[LAKE] = Some(error.to_string());
            }
        }
        self.publish();
    }

    /// Switches to a newer version of the table. Rows that it covers leave the tail in the same step.
    async fn swap(&mut self, version: Arc<LakeVersion>) {
        let old = std::mem::replace(&mut self.version, version);
        let new = &self.version;
        let same = old.epoch == new.epoch
            && old.identity.require(&new.identity).is_ok()
            && old.input == new.input
            && old.market_zone == new.market_zone
            && old.ticks.schema == new.ticks.schema;
        if same {
            self.store.drop_committed(&self.version.next);
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

    /// Drops the tail, and reads it again from the offsets that the version covers.
    async fn restart(&mut self, problem: Option<String>) {
        if let Some(follower) = self.follower.take() {
            follower.stop().await;
        }
        if let Some(starting) = self.starting.take() {
            starting.abort();
        }
        self.store.clear();
        self.store.drop_committed(&self.version.next);
        self.lag = None;
        if self.settings.kafka.is_some() {
            let pause = if problem.is_some() { self.pauses.next_pause() } else { Duration::ZERO };
            self.start_at = Some(Instant::now() + pause);
        }
        self.problems[KAFKA] = problem;
    }

    fn start(&mut self) {
        self.start_at = None;
        let Some(kafka) = self.settings.kafka.clone().filter(|_| self.starting.is_none()) else { return };
        self.starting = Some(tokio::spawn(start(kafka, self.settings.patience, Arc::clone(&self.version))));
    }

    async fn started(&mut self, started: Result<FollowerStart, JoinError>) {
        match started {
            Ok(Ok(follower)) => {
                self.partitions = self.partitions.max(follower.opened().len());
                if knows_all(&self.version, follower.opened()) {
                    self.store.clear();
                    self.store.drop_committed(&self.version.next);
                    self.follower = Some(follower);
                    self.problems[KAFKA] = None;
                } else {
                    // The next refresh looks up the offsets of all of them.
                    follower.stop().await;
                    self.start_at = Some(Instant::now() + REFRESH_INTERVAL);
                }
            }
            Ok(Err(error)) => self.retry_start(error.to_string()),
            Err(error) => self.retry_start(error.to_string()),
        }
        self.publish();
    }

    fn retry_start(&mut self, problem: String) {
        if self.throttle.is_due() {
            tracing::warn!("{problem}; trying again");
        }
        self.problems[KAFKA] = Some(problem);
        self.start_at = Some(Instant::now() + self.pauses.next_pause());
    }

    async fn take(&mut self, first: Option<TailEvent>) {
        let mut next = first;
        for _ in 0..BATCHES_PER_VIEW {
            match next {
                Some(TailEvent::Rows(chunks)) => {
                    self.pauses.reset();
                    if let Err(error) = self.push(chunks) {
                        self.restart(Some(format!("build rows of ticks: {error}"))).await;
                    }
                }
                Some(TailEvent::Ends { lag_messages }) => self.lag = Some(lag_messages),
                Some(TailEvent::BrokerError(text)) => self.problems[KAFKA] = Some(text),
                Some(TailEvent::Recovered) => self.problems[KAFKA] = None,
                Some(TailEvent::Gap { partition, asked, low, high }) => {
                    let text = format!(
                        "Kafka has offsets [{low}, {high}) of partition {partition} and not {asked}, which comes next \
                         for the table: retention deleted them, or the topic lost them; only the table is shown until \
                         ingest continues after them"
                    );
                    self.restart(Some(text)).await;
                }
                Some(TailEvent::Failed(text)) => self.restart(Some(text)).await,
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

    fn push(&mut self, chunks: Vec<TailChunk>) -> Result<(), arrow::error::ArrowError> {
        for chunk in chunks {
            self.partitions = self.partitions.max(usize::try_from(chunk.partition).map_or(0, |number| number + 1));
            self.store.push(chunk)?;
        }
        Ok(())
    }

    fn publish(&mut self) {
        let is_full = self.store.bytes() >= self.settings.tail_bytes;
        let mode = match &self.follower {
            None => UnionMode::Snapshot,
            Some(_) if is_full => UnionMode::Full,
            Some(_) => UnionMode::Live,
        };
        let [kafka_problem, lake_problem] = &self.problems;
        let full_problem = (mode == UnionMode::Full).then(|| {
            format!(
                "the rows beyond the table fill {} bytes: newer ones are not shown until ingest commits",
                self.settings.tail_bytes
            )
        });
        let stale_reason = kafka_problem.clone().or_else(|| lake_problem.clone()).or(full_problem);
        self.views.send_replace(Arc::new(UnionView {
            lake: Arc::clone(&self.version),
            tail: self.store.batches(),
            tail_rows: self.store.rows(),
            tail_bytes: self.store.bytes(),
            covered: self.store.covered(),
            mode,
            lag_messages: self.lag,
            stale_reason,
        }));
    }
}

/// Returns the lake in any case.
async fn refresh_lake(mut lake: Lake, known: (u64, usize), partitions: usize, is_full_read: bool) -> RefreshResult {
    let (version, partitions_looked_up) = known;
    let before = lake.versions();
    let newest = async {
        if !is_full_read && partitions <= partitions_looked_up && !lake.has_newer().await? {
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

async fn start(kafka: KafkaSettings, patience: Duration, version: Arc<LakeVersion>) -> FollowerStart {
    follow(&kafka, patience, &version).await
}

/// Pending forever if there is no task.
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

async fn next(follower: &mut Option<TailFollower>) -> Option<TailEvent> {
    match follower {
        Some(follower) => follower.tails.recv().await,
        None => std::future::pending().await,
    }
}

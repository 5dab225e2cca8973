//! The newest view of the lake, refreshed by one task for all clients.
//!
//! Nothing is read while there are no requests, and after a minute without requests, Kafka is no longer followed. A
//! request gets a view that was the newest at most a second ago. Concurrent requests wait for the same refresh.

use std::sync::Arc;
use std::time::Duration;

use chrono::{NaiveDate, TimeZone};
use chrono_tz::Tz;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::lake::{Lake, LakeError, SIGNALS};
use crate::query::{DEAD_LETTERS, QueryError, QuerySession, TICKS};
use crate::serve::dashboard::live_union::LiveUnion;
use crate::serve::dashboard::mode::Mode;
use crate::serve::dashboard::source_spec::SourceSpec;
use crate::serve::http::Problem;
use crate::tail::{self, UnionView};

/// Maximum age of a view that is returned to a request.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Time without requests after which Kafka is no longer followed.
const IDLE: Duration = Duration::from_secs(60);

/// One version of the lake, ready to be queried.
pub(in crate::serve::dashboard) struct View {
    /// Incremented with every change, including when the lake is recreated.
    pub(in crate::serve::dashboard) number: u64,
    /// Incremented when the lake is recreated.
    pub(in crate::serve::dashboard) generation: u64,
    pub(in crate::serve::dashboard) table_version: u64,
    pub(in crate::serve::dashboard) mode: Mode,
    /// Why the view isn't the newest, if so.
    pub(in crate::serve::dashboard) trouble: Option<String>,
    pub(in crate::serve::dashboard) session: QuerySession,
    pub(in crate::serve::dashboard) rows: Option<u64>,
    pub(in crate::serve::dashboard) files: usize,
    pub(in crate::serve::dashboard) dead_letters: Option<u64>,
    /// Oldest and newest event time, in microseconds since the epoch.
    pub(in crate::serve::dashboard) times: Option<(i64, i64)>,
    pub(in crate::serve::dashboard) topic: Option<String>,
    pub(in crate::serve::dashboard) market_zone: Tz,
    /// Time of the last commit, in milliseconds since the epoch.
    pub(in crate::serve::dashboard) last_commit: Option<i64>,
}

impl View {
    /// Trade date of an event time.
    pub(in crate::serve::dashboard) fn date_of(&self, micros: i64) -> Option<NaiveDate> {
        self.market_zone.timestamp_micros(micros).single().map(|time| time.date_naive())
    }
}

/// The state of the lake after the last refresh.
#[derive(Clone)]
pub(in crate::serve::dashboard) enum CachedState {
    There(Arc<View>),
    /// The lake doesn't exist yet.
    Missing(String),
    /// The lake can't be read, with the reason.
    Unreachable(String),
}

#[derive(Clone)]
struct CachedVersion {
    known: CachedState,
    /// Time of the refresh; `None` before the first one.
    at: Option<Instant>,
}

impl CachedVersion {
    fn is_fresh(&self) -> bool {
        self.at.is_some_and(|at| at.elapsed() < MAX_AGE)
    }
}

/// The handle of the clients.
#[derive(Clone)]
pub(in crate::serve::dashboard) struct Source {
    asks: mpsc::Sender<()>,
    seen: watch::Receiver<CachedVersion>,
}

impl Source {
    /// The state of the lake, at most a second old.
    ///
    /// # Errors
    /// The server is stopping.
    pub(in crate::serve::dashboard) async fn newest(&self) -> Result<CachedState, Problem> {
        let mut seen = self.seen.clone();
        loop {
            let newest = seen.borrow_and_update().clone();
            if newest.is_fresh() {
                return Ok(newest.known);
            }
            self.ask();
            seen.changed().await.map_err(|_| Problem::stopping())?;
        }
    }

    /// The newest view, for a query.
    ///
    /// # Errors
    /// There is no lake, it can't be read, or the server is stopping.
    pub(in crate::serve::dashboard) async fn view(&self) -> Result<Arc<View>, Problem> {
        match self.newest().await? {
            CachedState::There(view) => Ok(view),
            CachedState::Missing(message) => Err(Problem::unavailable(message)),
            CachedState::Unreachable(message) => Err(Problem::unavailable(message)),
        }
    }

    /// The current view, without waiting. An outdated one is refreshed in the background.
    pub(in crate::serve::dashboard) fn latest(&self) -> CachedState {
        let newest = self.seen.borrow().clone();
        if !newest.is_fresh() {
            self.ask();
        }
        newest.known
    }

    fn ask(&self) {
        // One pending request for a refresh is enough for all clients.
        let (Ok(()) | Err(_)) = self.asks.try_send(());
    }
}

/// Refreshes the view of the lake on request.
pub(in crate::serve::dashboard) struct LakeWatcher {
    spec: SourceSpec,
    asks: mpsc::Receiver<()>,
    seen: watch::Sender<CachedVersion>,
    lake: Option<Lake>,
    beyond: LiveUnion,
    view: Option<Arc<View>>,
    /// The view of the union from which the current view was made.
    union: Option<Arc<UnionView>>,
    versions: [Option<u64>; 3],
    number: u64,
    generation: u64,
}

pub(in crate::serve::dashboard) fn source(spec: SourceSpec) -> (Source, LakeWatcher) {
    let (sender, asks) = mpsc::channel(1);
    let nothing = CachedState::Missing(String::new());
    let (seen, receiver) = watch::channel(CachedVersion { known: nothing, at: None });
    let watcher = LakeWatcher {
        beyond: LiveUnion::new(spec.beyond.clone()),
        spec,
        asks,
        seen,
        lake: None,
        view: None,
        union: None,
        versions: [None; 3],
        number: 0,
        generation: 0,
    };
    (Source { asks: sender, seen: receiver }, watcher)
}

#[derive(Debug, thiserror::Error)]
enum RefreshError {
    #[error("{0}")]
    Lake(#[from] LakeError),
    #[error("{0}")]
    Session(#[from] QueryError),
}

impl LakeWatcher {
    pub(in crate::serve::dashboard) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                asked = self.asks.recv() => if asked.is_none() { break },
                () = tokio::time::sleep(IDLE), if self.beyond.is_open() => {
                    self.beyond.close().await;
                    continue;
                }
            }
            if self.seen.borrow().is_fresh() {
                continue;
            }
            let known = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                known = self.refresh() => known,
            };
            self.seen.send_replace(CachedVersion { known, at: Some(Instant::now()) });
        }
        self.beyond.close().await;
    }

    async fn refresh(&mut self) -> CachedState {
        let refreshed = match self.renew().await {
            Err(RefreshError::Lake(LakeError::Replaced { .. })) => {
                self.forget().await;
                self.renew().await
            }
            refreshed => refreshed,
        };
        match refreshed {
            Ok(view) => CachedState::There(view),
            Err(RefreshError::Lake(LakeError::NoTable { location })) => {
                self.forget().await;
                CachedState::Missing(format!("there is no lake in {location} yet"))
            }
            Err(error) => {
                if !matches!(self.seen.borrow().known, CachedState::Unreachable(_)) {
                    tracing::warn!(error = %error, "the dashboard can't read the lake");
                }
                CachedState::Unreachable(error.to_string())
            }
        }
    }

    /// Discards everything that was read, because the lake was recreated.
    async fn forget(&mut self) {
        if self.lake.take().is_some() {
            self.generation += 1;
        }
        (self.view, self.union) = (None, None);
        self.beyond.close().await;
    }

    async fn renew(&mut self) -> Result<Arc<View>, RefreshError> {
        let lake = match &mut self.lake {
            Some(lake) => {
                lake.refresh().await?;
                lake
            }
            None => self.lake.insert(Lake::open(&self.spec.location, &self.spec.store).await?),
        };
        let union = self.beyond.newest(&self.spec).await;
        let is_same = self.versions == lake.versions()
            && self.union.as_ref().map(Arc::as_ptr) == union.as_ref().map(Arc::as_ptr)
            && self
                .view
                .as_ref()
                .is_some_and(|view| union.is_some() || view.trouble == self.beyond.unavailable_reason());
        if let Some(view) = self.view.as_ref().filter(|_| is_same) {
            return Ok(Arc::clone(view));
        }
        let beyond = union.as_ref().map(|union| self.beyond.session(union)).transpose()?.flatten();
        let session = match beyond {
            Some(session) => session,
            None => {
                let mut session = match &self.view {
                    Some(view) => view.session.fork(),
                    None => QuerySession::new(self.spec.memory_bytes)?,
                };
                session.register(TICKS, lake.ticks()?)?;
                session.register(DEAD_LETTERS, lake.dead_letters()?)?;
                if let Some(signals) = lake.signals()? {
                    session.register(SIGNALS, signals)?;
                }
                session
            }
        };
        let last_commit = match self.view.as_ref().filter(|_| self.versions == lake.versions()) {
            Some(view) => view.last_commit,
            None => {
                let commit = lake.ticks_history(1).await?.pop();
                commit.and_then(|commit| commit.time).map(|time| time.timestamp_millis())
            }
        };
        let ticks = session.table(TICKS)?.clone();
        let view = Arc::new(View {
            number: self.number + 1,
            generation: self.generation,
            table_version: union.as_ref().map_or(lake.version(), |union| union.version()),
            mode: match &union {
                Some(union) if union.mode != tail::UnionMode::Snapshot => Mode::Live,
                _ => Mode::Snapshot,
            },
            trouble: union
                .as_ref()
                .map_or_else(|| self.beyond.unavailable_reason(), |union| union.stale_reason.clone()),
            rows: ticks.rows,
            files: ticks.files,
            dead_letters: session.table(DEAD_LETTERS)?.rows,
            times: union.iter().flat_map(|union| &union.tail).map(|batch| batch.ts).chain(ticks.times).reduce(spanning),
            topic: lake.topic().map(str::to_owned).or_else(|| self.spec.topic.clone()),
            market_zone: lake.market_zone().and_then(|zone| zone.parse().ok()).unwrap_or(Tz::UTC),
            last_commit,
            session,
        });
        self.number += 1;
        self.versions = lake.versions();
        self.view = Some(Arc::clone(&view));
        self.union = union;
        Ok(view)
    }
}

fn spanning(one: (i64, i64), other: (i64, i64)) -> (i64, i64) {
    (one.0.min(other.0), one.1.max(other.1))
}

//! The union: a task that keeps a table's newest version and what Kafka holds beyond it, and hands out views of both.
//!
//! ```text
//!  Lake ── once a second: is there a newer version? ──> LakeVersion: files, and the offsets they cover
//!                                                           │ rows below these are dropped
//!  Follower ── chunks, bounded queue ──> Store (256 MiB) ───┤
//!                                                           ▼
//!                                        watch: Arc<UnionView>, a new one for each batch that was read
//! ```
//!
//! Invariant: a view is always (files at version v) + (rows with an offset at or beyond what v covers). What the tail
//! can't read leaves rows out at its end, never in between.

use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::beginning::{follow, knows_all, store_of};
use super::error::UnionError;
use super::task::Task;
use super::union_settings::UnionSettings;
use super::view::{Mode, UnionView};
use crate::kafka::Assigned;
use crate::lake::{Lake, LakeVersion};

/// Versions that a writer in the same process may announce before they are looked at; only the newest counts.
const HINTS: usize = 1;

/// Owner's side of the task.
#[derive(Debug)]
pub struct Union {
    views: watch::Receiver<Arc<UnionView>>,
    hints: mpsc::Sender<()>,
    ends: Vec<(i32, i64)>,
    tail_bytes: usize,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

/// Tells the union of commits of the same process.
#[derive(Debug, Clone)]
pub struct Hint(mpsc::Sender<()>);

impl Hint {
    /// There may be a newer version of the table.
    pub fn committed(&self) {
        match self.0.try_send(()) {
            // A full queue says the same.
            Ok(()) | Err(TrySendError::Full(())) => {}
            Err(TrySendError::Closed(())) => tracing::debug!("a commit was told to a union that has ended"),
        }
    }
}

impl Union {
    /// The lake is read at its newest version, and Kafka from what it covers on.
    ///
    /// # Errors
    /// The lake can't be read; the brokers are those of another topic or cluster, or can't be reached and are not
    /// waited for.
    pub async fn open(mut lake: Lake, settings: UnionSettings) -> Result<Self, UnionError> {
        lake.refresh().await?;
        let mut version = Arc::new(lake.newest(0).await?);
        let mut ends = Vec::new();
        let mut follower = None;
        let mut trouble = None;
        if let Some(kafka) = &settings.kafka {
            match follow(kafka, settings.patience, &version).await {
                Ok(mut started) => {
                    if !knows_all(&version, started.opened()) {
                        let full = Arc::new(lake.newest(started.opened().len()).await?);
                        if full.next != version.next {
                            started.stop().await;
                            started = follow(kafka, settings.patience, &full).await?;
                        }
                        version = full;
                    }
                    ends = beyond(&version, started.opened());
                    follower = Some(started);
                }
                Err(UnionError::Follow(error)) if settings.wait_for_brokers => trouble = Some(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        let store = store_of(&version)?;
        let (hints, hint_receiver) = mpsc::channel(HINTS);
        let stop = CancellationToken::new();
        let tail_bytes = settings.tail_bytes;
        let (task, views) = Task::new(lake, version, store, settings, follower, trouble, hint_receiver, stop.clone());
        let task = Some(tokio::spawn(task.run()));
        Ok(Self { views, hints, ends, tail_bytes, stop, task })
    }

    /// The newest.
    pub fn view(&self) -> Arc<UnionView> {
        Arc::clone(&self.views.borrow())
    }

    /// Each new view; those that nobody looked at in time are left out.
    pub fn views(&self) -> watch::Receiver<Arc<UnionView>> {
        self.views.clone()
    }

    /// For a writer in the same process: its commits show at once instead of within a second.
    pub fn hint(&self) -> Hint {
        Hint(self.hints.clone())
    }

    /// The first view that has all that Kafka held when the union was opened.
    ///
    /// # Errors
    /// The tail is full before that, or Kafka can't be read.
    pub async fn caught_up(&mut self) -> Result<Arc<UnionView>, UnionError> {
        let Self { views, ends, tail_bytes, .. } = self;
        let settled = |view: &Arc<UnionView>| {
            view.covers(ends) || view.mode == Mode::Full || (view.mode == Mode::Snapshot && view.trouble.is_some())
        };
        let view = Arc::clone(&*views.wait_for(settled).await.map_err(|_| UnionError::Ended)?);
        match view.mode {
            _ if view.covers(ends) => Ok(view),
            Mode::Full => {
                let missing = |(partition, end): &(i32, i64)| end - view.covered.get(partition).copied().unwrap_or(0);
                let lag = ends.iter().map(|end| missing(end).max(0)).sum();
                Err(UnionError::Full { limit_bytes: *tail_bytes, lag })
            }
            _ => Err(UnionError::Trouble(view.trouble.clone().unwrap_or_default())),
        }
    }

    /// Ends the task and joins it.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take()
            && let Err(error) = task.await
        {
            tracing::error!("the task that follows the table failed: {error}");
        }
    }
}

impl Drop for Union {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Ends of the partitions of which Kafka holds more than the version has.
fn beyond(version: &LakeVersion, opened: &[Assigned]) -> Vec<(i32, i64)> {
    let start = |at: &Assigned| version.next.get(&at.partition).copied().unwrap_or(at.low);
    opened.iter().filter(|at| start(at) < at.high).map(|at| (at.partition, at.high)).collect()
}

//! The union: a task that keeps a table's newest version and what Kafka holds beyond it, and hands out views of both.
//!
//! ```text
//!  Lake ── once a second: is there a newer version? ──> LakeVersion: files, and the offsets they cover
//!                                                           │ rows below these are dropped
//!  Follower ── chunks, bounded queue ──> Store (256 MiB) ───┤
//!                                                           ▼
//!                                        watch: Arc<UnionView>, a new one for each batch
//! ```
//!
//! Invariant: a view is always (files at version v) + (rows with an offset at or beyond what v covers). What the tail
//! can't read leaves rows out at its end, never in between.

use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::error::UnionError;
use super::start::{follow, knows_all, store_of};
use super::union_settings::UnionSettings;
use super::union_task::UnionTask;
use super::view::{UnionMode, UnionView};
use crate::kafka::PartitionWatermarks;
use crate::lake::{Lake, LakeVersion};

/// Pending notifications of commits in the same process; one is enough, as a refresh reads the newest version.
const PENDING_NOTIFICATIONS: usize = 1;

/// The owner's handle of the task.
#[derive(Debug)]
pub struct TableUnion {
    views: watch::Receiver<Arc<UnionView>>,
    commit_notifications: mpsc::Sender<()>,
    ends: Vec<(i32, i64)>,
    tail_bytes: usize,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

/// Notifies the union of commits in the same process.
#[derive(Debug, Clone)]
pub struct CommitNotifier(mpsc::Sender<()>);

impl CommitNotifier {
    /// Notifies the union that the table may have a newer version.
    pub fn committed(&self) {
        match self.0.try_send(()) {
            // A full queue has a pending notification already.
            Ok(()) | Err(TrySendError::Full(())) => {}
            Err(TrySendError::Closed(())) => tracing::debug!("a union that has ended was notified of a commit"),
        }
    }
}

impl TableUnion {
    /// Opens the lake at its newest version, and reads Kafka from the next offsets of that version.
    ///
    /// # Errors
    /// The lake can't be read; the brokers are those of another topic or cluster, or can't be reached and are not
    /// waited for.
    pub async fn open(mut lake: Lake, settings: UnionSettings) -> Result<Self, UnionError> {
        lake.refresh().await?;
        let mut version = Arc::new(lake.newest(0).await?);
        let mut ends = Vec::new();
        let mut follower = None;
        let mut problem = None;
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
                Err(UnionError::Follow(error)) if settings.wait_for_brokers => problem = Some(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        let store = store_of(&version)?;
        let (commit_notifications, notification_receiver) = mpsc::channel(PENDING_NOTIFICATIONS);
        let stop = CancellationToken::new();
        let tail_bytes = settings.tail_bytes;
        let (task, views) =
            UnionTask::new(lake, version, store, settings, follower, problem, notification_receiver, stop.clone());
        let task = Some(tokio::spawn(task.run()));
        Ok(Self { views, commit_notifications, ends, tail_bytes, stop, task })
    }

    /// Returns the newest view.
    pub fn view(&self) -> Arc<UnionView> {
        Arc::clone(&self.views.borrow())
    }

    /// Returns a receiver of new views; it skips views that were replaced before they were read.
    pub fn views(&self) -> watch::Receiver<Arc<UnionView>> {
        self.views.clone()
    }

    /// Returns a notifier for a writer in the same process: its commits are visible at once instead of within a second.
    pub fn commit_notifier(&self) -> CommitNotifier {
        CommitNotifier(self.commit_notifications.clone())
    }

    /// Waits for the first view that has everything that Kafka held when the union was opened.
    ///
    /// # Errors
    /// The tail is full before that, or Kafka can't be read.
    pub async fn caught_up(&mut self) -> Result<Arc<UnionView>, UnionError> {
        let Self { views, ends, tail_bytes, .. } = self;
        let settled = |view: &Arc<UnionView>| {
            view.covers(ends)
                || view.mode == UnionMode::Full
                || (view.mode == UnionMode::Snapshot && view.stale_reason.is_some())
        };
        let view = Arc::clone(&*views.wait_for(settled).await.map_err(|_| UnionError::Ended)?);
        match view.mode {
            _ if view.covers(ends) => Ok(view),
            UnionMode::Full => {
                let missing = |(partition, end): &(i32, i64)| end - view.covered.get(partition).copied().unwrap_or(0);
                let lag = ends.iter().map(|end| missing(end).max(0)).sum();
                Err(UnionError::Full { limit_bytes: *tail_bytes, lag })
            }
            _ => Err(UnionError::Stale(view.stale_reason.clone().unwrap_or_default())),
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

impl Drop for TableUnion {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Returns the ends of the partitions of which Kafka holds more than the version has.
fn beyond(version: &LakeVersion, opened: &[PartitionWatermarks]) -> Vec<(i32, i64)> {
    let start = |at: &PartitionWatermarks| version.next.get(&at.partition).copied().unwrap_or(at.low);
    opened.iter().filter(|at| start(at) < at.high).map(|at| (at.partition, at.high)).collect()
}

//! Work for the tables beside an ingest: checkpoints, compaction, and with `full` what deletes.
//!
//! An ingest that is faster than it flushes less often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::ingest::event_loop::status::{MaintenanceStatus, Ran, Status, Work};
use crate::ingest::settings::Maintain;
use crate::lake::maintenance::{Compaction, CompactionStats, RewriteError, StopReason};
use crate::lake::{LakeMaintenance, Location, LogMaintenance, RetryPolicy, StoreSettings};

/// Commits from one look at the files to the next.
const COMMITS: u64 = 32;
/// The same where no commit comes, as a date may have settled, and for all files of an ingest that catches up.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// From one clean-up of files to the next.
const VACUUM_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Small files of one date at which flushes are stretched.
const BACKLOG_FILES: usize = 1_000;
/// Files of one date that an ingest which catches up leaves as they are: it needs the processors for itself.
const LEFT_FILES: usize = BACKLOG_FILES / 2;

/// What is looked after, and how.
#[derive(Debug, Clone)]
pub(in crate::ingest) struct Looked {
    pub location: Location,
    pub store: StoreSettings,
    pub maintain: Maintain,
    pub upkeep: LogMaintenance,
    /// Bytes that a compaction may take.
    pub memory: u64,
    /// Rows of a full batch; an ingest that has as many messages to read catches up.
    pub batch_rows: usize,
}

/// Does the work.
pub(in crate::ingest) struct Caretaker {
    looked: Looked,
    /// Of this process, for the lease.
    holder: String,
    maintenance: Option<LakeMaintenance>,
    compactions: BTreeMap<&'static str, Compaction>,
    vacuumed: Option<Instant>,
    /// When dates of few files were looked at, too.
    looked_at_all: Instant,
    behind: Arc<AtomicBool>,
    told: watch::Sender<MaintenanceStatus>,
    /// What fails if something does.
    doing: Work,
    over: CancellationToken,
}

impl Caretaker {
    /// `behind` says that small files come faster than they go; `told` what was done.
    pub(in crate::ingest) fn new(
        looked: Looked,
        behind: Arc<AtomicBool>,
        told: watch::Sender<MaintenanceStatus>,
        over: CancellationToken,
    ) -> Self {
        Self {
            looked,
            holder: Uuid::new_v4().to_string(),
            maintenance: None,
            compactions: BTreeMap::new(),
            vacuumed: None,
            looked_at_all: Instant::now(),
            behind,
            told,
            doing: Work::Checkpoint,
            over,
        }
    }

    /// Looks after every so many commits of this worker, until it is over.
    pub(in crate::ingest) async fn run(mut self, mut status: watch::Receiver<Status>) {
        let every = self.looked.upkeep.commits.min(COMMITS);
        let over = self.over.clone();
        let mut done_at = 0;
        loop {
            let (newest, unread) = tokio::select! {
                biased;
                () = over.cancelled() => return,
                status = status.wait_for(|status| status.version >= done_at + every) => match status {
                    Ok(status) => (status.version, status.unread),
                    Err(_) => return,
                },
                () = tokio::time::sleep(IDLE) => (done_at, 0),
            };
            let catches_up = usize::try_from(unread).is_ok_and(|unread| unread >= self.looked.batch_rows)
                && self.looked_at_all.elapsed() < IDLE;
            if !catches_up {
                self.looked_at_all = Instant::now();
            }
            // Not dropped half-way: what the Delta kernel does in threads of its own would outlive it.
            match self.round(catches_up).await {
                // What was under way is an orphan at most.
                Err(error) if over.is_cancelled() => tracing::debug!(%error, "left before the tables were maintained"),
                Err(error) => {
                    tracing::warn!(%error, "the tables were not maintained, trying again later");
                    self.tell(Ran::Failed, 0);
                }
                Ok(()) => {}
            }
            done_at = newest;
        }
    }

    fn tell(&self, outcome: Ran, bytes: u64) {
        self.told.send_modify(|told| told.ran(self.doing, outcome, bytes));
    }

    async fn round(&mut self, catches_up: bool) -> Result<(), RewriteError> {
        self.doing = Work::Checkpoint;
        let maintenance = match &mut self.maintenance {
            Some(maintenance) => {
                maintenance.refresh().await?;
                maintenance
            }
            none => none.insert(LakeMaintenance::open(&self.looked.location, &self.looked.store).await?),
        };
        let done = maintenance.run(self.looked.upkeep, Utc::now()).await?;
        tracing::debug!(?done, "maintained the logs");
        let checkpoint = maintenance.checkpoint().await?;
        self.told.send_modify(|told| {
            let outcome = if done.checkpoints > 0 { Ran::Done } else { Ran::NothingToDo };
            told.ran(Work::Checkpoint, outcome, done.checkpoint_bytes);
            told.checkpoint = Some(checkpoint);
        });
        if self.looked.maintain == Maintain::Checkpoint {
            return Ok(());
        }
        if let Some(until) = maintenance.lease(&self.holder, LakeMaintenance::LEASE).await? {
            tracing::debug!(%until, "another maintainer is at work");
            return Ok(());
        }
        let done = self.change_files(catches_up).await;
        if let Some(maintenance) = &self.maintenance {
            // For `tickhouse maintain` and other workers; one that dies makes them wait.
            maintenance.lease(&self.holder, Duration::ZERO).await?;
        }
        done
    }

    async fn change_files(&mut self, catches_up: bool) -> Result<(), RewriteError> {
        let Some(maintenance) = &mut self.maintenance else { return Ok(()) };
        self.doing = Work::Compaction;
        let retry = RetryPolicy { cancel: self.over.clone(), ..RetryPolicy::default() };
        let mut small = 0;
        for table in maintenance.tables() {
            let compaction = self.compactions.entry(table.name).or_default();
            compaction.limits.memory = self.looked.memory;
            compaction.limits.left_files = if catches_up { LEFT_FILES } else { 0 };
            let mut all = CompactionStats::default();
            let now = || Utc::now().timestamp_millis();
            let ended = compaction.run(table, &retry, &self.over, now, |done| all.add(done)).await?;
            tracing::debug!(table = table.name, ?all, ?ended, "looked for files to compact");
            let outcome = if all.jobs > 0 { Ran::Done } else { Ran::NothingToDo };
            self.told.send_modify(|told| told.ran(Work::Compaction, outcome, all.bytes_after));
            if ended == StopReason::Cancelled {
                return Ok(());
            }
            small = small.max(compaction.small_files);
        }
        let behind = small > BACKLOG_FILES;
        if self.behind.swap(behind, Ordering::Relaxed) != behind {
            tracing::info!(files = small, behind, "small files of one date");
        }
        self.vacuum().await
    }

    async fn vacuum(&mut self) -> Result<(), RewriteError> {
        let is_due = self.vacuumed.is_none_or(|at| at.elapsed() >= VACUUM_EVERY);
        let Some(maintenance) = self.maintenance.as_mut().filter(|_| self.looked.maintain == Maintain::Full && is_due)
        else {
            return Ok(());
        };
        self.doing = Work::Vacuum;
        let now = maintenance.earlier_now().await?;
        let files = maintenance.unreferenced(now - TimeDelta::days(7)).await?;
        maintenance.delete(&files).await?;
        let temporary = maintenance.remove_temporary_files().await?;
        let bytes = files.iter().map(|file| file.bytes).sum::<u64>();
        tracing::info!(files = files.len(), bytes, temporary, "deleted files");
        self.tell(if files.is_empty() { Ran::NothingToDo } else { Ran::Done }, bytes);
        self.vacuumed = Some(Instant::now());
        Ok(())
    }
}

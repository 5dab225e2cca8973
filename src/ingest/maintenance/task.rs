//! The maintenance task in the process of an ingest: checkpoints, compaction and, with `full`, vacuum.
//!
//! If small files are written faster than they are compacted, the ingest flushes less often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::ingest::event_loop::status::{IngestStatus, MaintenanceOutcome, MaintenanceStatus, MaintenanceWork};
use crate::ingest::settings::MaintainMode;
use crate::lake::maintenance::{Compaction, CompactionStats, RewriteError, StopReason};
use crate::lake::{LakeMaintenance, Location, LogMaintenance, RetryPolicy, StoreSettings};

/// Commits from one run to the next.
const COMMITS_PER_RUN: u64 = 32;
/// Interval of runs without commits, because a date may have settled meanwhile, and of runs over all files while the
/// ingest catches up.
const IDLE_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// Interval of vacuums.
const VACUUM_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Small files of one date at which the ingest flushes less often.
const BACKLOG_FILES: usize = 1_000;
/// Files of one date that are not compacted while the ingest catches up, as it needs the processors itself.
const LEFT_FILES: usize = BACKLOG_FILES / 2;

/// The tables to maintain, and how.
#[derive(Debug, Clone)]
pub(in crate::ingest) struct MaintenanceSettings {
    pub location: Location,
    pub store: StoreSettings,
    pub maintain: MaintainMode,
    pub log_maintenance: LogMaintenance,
    /// Bytes of memory that a compaction may use.
    pub memory: u64,
    /// Rows of a full batch; an ingest with at least as many unread messages is catching up.
    pub batch_rows: usize,
}

/// Runs the maintenance.
pub(in crate::ingest) struct MaintenanceTask {
    settings: MaintenanceSettings,
    /// Identifies this process in the lease.
    holder: String,
    maintenance: Option<LakeMaintenance>,
    compactions: BTreeMap<&'static str, Compaction>,
    vacuumed_at: Option<Instant>,
    /// When dates with few files were last included in a run.
    all_dates_at: Instant,
    compaction_behind: Arc<AtomicBool>,
    status_sender: watch::Sender<MaintenanceStatus>,
    /// The work in progress, to which a failure is attributed.
    current_work: MaintenanceWork,
    stop: CancellationToken,
}

impl MaintenanceTask {
    /// The task sets `compaction_behind` while small files are written faster than they are compacted, and publishes
    /// its status through `status_sender`.
    pub(in crate::ingest) fn new(
        settings: MaintenanceSettings,
        compaction_behind: Arc<AtomicBool>,
        status_sender: watch::Sender<MaintenanceStatus>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            settings,
            holder: Uuid::new_v4().to_string(),
            maintenance: None,
            compactions: BTreeMap::new(),
            vacuumed_at: None,
            all_dates_at: Instant::now(),
            compaction_behind,
            status_sender,
            current_work: MaintenanceWork::Checkpoint,
            stop,
        }
    }

    /// Runs the maintenance after a number of commits of this worker, until `stop` is cancelled.
    pub(in crate::ingest) async fn run(mut self, mut status: watch::Receiver<IngestStatus>) {
        let every = self.settings.log_maintenance.commits.min(COMMITS_PER_RUN);
        let stop = self.stop.clone();
        let mut done_at = 0;
        loop {
            let (newest, unread) = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                status = status.wait_for(|status| status.version >= done_at + every) => match status {
                    Ok(status) => (status.version, status.unread),
                    Err(_) => return,
                },
                () = tokio::time::sleep(IDLE_INTERVAL) => (done_at, 0),
            };
            let catches_up = usize::try_from(unread).is_ok_and(|unread| unread >= self.settings.batch_rows)
                && self.all_dates_at.elapsed() < IDLE_INTERVAL;
            if !catches_up {
                self.all_dates_at = Instant::now();
            }
            // The run isn't dropped half-way: threads of the Delta kernel would outlive it.
            match self.run_once(catches_up).await {
                // A file that was being written is an orphan at most.
                Err(error) if stop.is_cancelled() => tracing::debug!(%error, "left before the tables were maintained"),
                Err(error) => {
                    tracing::warn!(%error, "the tables were not maintained, trying again later");
                    self.record(MaintenanceOutcome::Failed, 0);
                }
                Ok(()) => {}
            }
            done_at = newest;
        }
    }

    fn record(&self, outcome: MaintenanceOutcome, bytes: u64) {
        self.status_sender.send_modify(|status| status.record_run(self.current_work, outcome, bytes));
    }

    async fn run_once(&mut self, catches_up: bool) -> Result<(), RewriteError> {
        self.current_work = MaintenanceWork::Checkpoint;
        let maintenance = match &mut self.maintenance {
            Some(maintenance) => {
                maintenance.refresh().await?;
                maintenance
            }
            none => none.insert(LakeMaintenance::open(&self.settings.location, &self.settings.store).await?),
        };
        let done = maintenance.run(self.settings.log_maintenance, Utc::now()).await?;
        tracing::debug!(?done, "maintained the logs");
        let checkpoint = maintenance.checkpoint().await?;
        self.status_sender.send_modify(|status_sender| {
            let outcome = if done.checkpoints > 0 { MaintenanceOutcome::Done } else { MaintenanceOutcome::NothingToDo };
            status_sender.record_run(MaintenanceWork::Checkpoint, outcome, done.checkpoint_bytes);
            status_sender.checkpoint = Some(checkpoint);
        });
        if self.settings.maintain == MaintainMode::Checkpoint {
            return Ok(());
        }
        if let Some(until) = maintenance.lease(&self.holder, LakeMaintenance::LEASE).await? {
            tracing::debug!(%until, "another maintainer is at work");
            return Ok(());
        }
        let done = self.change_files(catches_up).await;
        if let Some(maintenance) = &self.maintenance {
            // The lease is released for `tickhouse maintain` and other workers; they wait for that of a process that
            // has died.
            maintenance.lease(&self.holder, Duration::ZERO).await?;
        }
        done
    }

    async fn change_files(&mut self, catches_up: bool) -> Result<(), RewriteError> {
        let Some(maintenance) = &mut self.maintenance else { return Ok(()) };
        self.current_work = MaintenanceWork::Compaction;
        let retry = RetryPolicy { cancel: self.stop.clone(), ..RetryPolicy::default() };
        let mut small = 0;
        for table in maintenance.tables() {
            let compaction = self.compactions.entry(table.name).or_default();
            compaction.limits.memory = self.settings.memory;
            compaction.limits.left_files = if catches_up { LEFT_FILES } else { 0 };
            let mut all = CompactionStats::default();
            let now = || Utc::now().timestamp_millis();
            let ended = compaction.run(table, &retry, &self.stop, now, |done| all.add(done)).await?;
            tracing::debug!(table = table.name, ?all, ?ended, "checked the files to compact");
            let outcome = if all.jobs > 0 { MaintenanceOutcome::Done } else { MaintenanceOutcome::NothingToDo };
            self.status_sender
                .send_modify(|status| status.record_run(MaintenanceWork::Compaction, outcome, all.bytes_after));
            if ended == StopReason::Cancelled {
                return Ok(());
            }
            small = small.max(compaction.small_files);
        }
        let compaction_behind = small > BACKLOG_FILES;
        if self.compaction_behind.swap(compaction_behind, Ordering::Relaxed) != compaction_behind {
            tracing::info!(files = small, compaction_behind, "small files of one date");
        }
        self.vacuum().await
    }

    async fn vacuum(&mut self) -> Result<(), RewriteError> {
        let is_due = self.vacuumed_at.is_none_or(|at| at.elapsed() >= VACUUM_EVERY);
        let Some(maintenance) =
            self.maintenance.as_mut().filter(|_| self.settings.maintain == MaintainMode::Full && is_due)
        else {
            return Ok(());
        };
        self.current_work = MaintenanceWork::Vacuum;
        let now = maintenance.earlier_now().await?;
        let files = maintenance.unreferenced(now - TimeDelta::days(7)).await?;
        maintenance.delete(&files).await?;
        let temporary = maintenance.remove_temporary_files().await?;
        let bytes = files.iter().map(|file| file.bytes).sum::<u64>();
        tracing::info!(files = files.len(), bytes, temporary, "deleted files");
        self.record(if files.is_empty() { MaintenanceOutcome::NothingToDo } else { MaintenanceOutcome::Done }, bytes);
        self.vacuumed_at = Some(Instant::now());
        Ok(())
    }
}

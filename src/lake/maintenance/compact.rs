//! Compacts a table: runs its jobs one after the other until the plan has none.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Instant;

use object_store::path::Path;
use tokio_util::sync::CancellationToken;

use super::memory::CompactionMemory;
use super::plan::{CompactionCandidate, CompactionJob, CompactionLimits, plan};
use super::rewrite::{Rewrite, RewriteError, RowOrder};
use super::statistics::times_of;
use crate::lake::{DataFile, MaintainedTable, NewFile, ReplaceOutcome, Replacement, RetryPolicy, TableView};
use crate::util::crash::{self, CrashPoint};

/// Conflicts in a row after which the table is left to the other maintainer.
pub(super) const MAX_CONFLICTS: u32 = 3;

/// Maximum rounds of a run. Three rounds turn 17,280 files into one; without a bound a run would follow an ingest
/// forever.
const ROUNDS: u32 = 8;

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactionStats {
    pub jobs: u64,
    pub files_before: u64,
    pub files_after: u64,
    pub rows: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
}

impl CompactionStats {
    fn of_job(job: &CompactionJob, removed: &[DataFile], added: &[NewFile]) -> Self {
        Self {
            jobs: 1,
            files_before: removed.len() as u64,
            files_after: added.len() as u64,
            rows: added.iter().map(|file| file.rows.unsigned_abs()).sum(),
            bytes_before: job.bytes,
            bytes_after: added.iter().map(|file| file.bytes.unsigned_abs()).sum(),
        }
    }
}

/// Why it ended.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Nothing is left to do, except for files that were added meanwhile.
    Done,
    /// Another maintainer replaced files meanwhile.
    Conflict,
    /// It was asked to stop.
    Cancelled,
}

/// A compaction of one table, with the files that it can't rewrite.
#[derive(Debug, Default)]
pub struct Compaction {
    pub limits: CompactionLimits,
    /// Number of small files of the date that has most of them, as of the last plan.
    pub small_files: usize,
    /// Files that stay as they are: other programs wrote them in an unknown order, or a row group is too large.
    foreign: HashSet<Path>,
}

impl Compaction {
    pub fn new(limits: CompactionLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The jobs for the files of the loaded version.
    pub fn plan(&self, name: &str, view: &TableView, now_ms: i64) -> Vec<CompactionJob> {
        self.plan_of(candidates(name, view), view, now_ms)
    }

    fn plan_of(&self, mut files: Vec<CompactionCandidate>, view: &TableView, now_ms: i64) -> Vec<CompactionJob> {
        files.retain(|file| !self.foreign.contains(&view.files[file.file].path));
        plan(&files, &self.limits, now_ms)
    }

    /// Runs all jobs for the existing files. `done` is called after every commit, `now_ms` before each round.
    ///
    /// # Errors
    /// The store can't be read or written, or a file is damaged. Earlier commits stay.
    pub async fn run(
        &mut self,
        table: &mut MaintainedTable,
        retry: &RetryPolicy,
        stop: &CancellationToken,
        now_ms: impl Fn() -> i64,
        mut done: impl FnMut(&CompactionStats),
    ) -> Result<StopReason, RewriteError> {
        let (mut conflicts, mut rounds) = (0, 0);
        while rounds < ROUNDS {
            rounds += 1;
            table.load().await?;
            let mut base = table.maintenance_base().await?;
            let view = table.files()?;
            let files = candidates(table.name, &view);
            self.small_files = most_small_files(&files, &self.limits);
            let mut jobs = VecDeque::from(self.plan_of(files.clone(), &view, now_ms()));
            if jobs.is_empty() {
                return Ok(StopReason::Done);
            }
            while let Some(job) = jobs.pop_front() {
                if stop.is_cancelled() {
                    return Ok(StopReason::Cancelled);
                }
                let (name, started) = (table.name, Instant::now());
                let (job, removed, added) = match self.rewrite(table, &view, &files, job, &mut jobs, stop).await {
                    Ok(rewritten) => rewritten,
                    Err(RewriteError::Foreign(path)) => {
                        tracing::info!(table = name, %path, "file is not compacted: another program wrote it in an \
                            unknown order");
                        self.foreign.insert(path);
                        rounds -= 1;
                        break;
                    }
                    Err(RewriteError::RowGroup { path, bytes, memory }) => {
                        tracing::info!(
                            table = name, %path, bytes, memory,
                            "file is not compacted: a row group is larger than the memory of a compaction"
                        );
                        self.foreign.insert(path);
                        rounds -= 1;
                        break;
                    }
                    Err(RewriteError::Stopped) => return Ok(StopReason::Cancelled),
                    Err(error) => return Err(error),
                };
                crash::at(CrashPoint::Compacted);
                let replacement = Replacement {
                    base,
                    removed: &removed,
                    added: &added,
                    partition_column: &view.partition_column,
                    expired: None,
                    market_zone: None,
                    now_ms: now_ms(),
                };
                let ReplaceOutcome::Committed { version } = table.replace(&replacement, retry).await? else {
                    conflicts += 1;
                    break;
                };
                (base, conflicts) = (base.after(version), 0);
                let of_job = CompactionStats::of_job(&job, &removed, &added);
                tracing::info!(
                    table = name,
                    version,
                    rows = of_job.rows,
                    files = of_job.files_before,
                    into = of_job.files_after,
                    bytes = of_job.bytes_after,
                    ms = started.elapsed().as_millis() as u64,
                    "compacted"
                );
                done(&of_job);
            }
            if conflicts == MAX_CONFLICTS {
                return Ok(StopReason::Conflict);
            }
        }
        Ok(StopReason::Done)
    }

    /// Rewrites the files of a job, or as many as fit into memory; the others are pushed to `jobs` as a job of their
    /// own.
    async fn rewrite(
        &self,
        table: &MaintainedTable,
        view: &TableView,
        candidates: &[CompactionCandidate],
        mut job: CompactionJob,
        jobs: &mut VecDeque<CompactionJob>,
        stop: &CancellationToken,
    ) -> Result<(CompactionJob, Vec<DataFile>, Vec<NewFile>), RewriteError> {
        let mut removed: Vec<DataFile> = job.files.iter().map(|file| view.files[*file].clone()).collect();
        let opened = rewrite_of(table, view, &removed, &job, &self.limits).open().await?;
        if opened.len() < removed.len() {
            let (now, later) = job.files.split_at(opened.len());
            let part = |files: &[usize]| job.of(files, candidates, &self.limits);
            if later.len() > 1 {
                jobs.push_front(part(later));
            }
            job = part(now);
            removed.truncate(opened.len());
        }
        let added = rewrite_of(table, view, &removed, &job, &self.limits).run(opened, stop).await?;
        Ok((job, removed, added))
    }
}

fn rewrite_of<'a>(
    table: &'a MaintainedTable,
    view: &'a TableView,
    files: &'a [DataFile],
    job: &'a CompactionJob,
    limits: &CompactionLimits,
) -> Rewrite<'a> {
    let order = if table.name == "ticks" { RowOrder::Ticks } else { RowOrder::AsStored };
    Rewrite {
        view,
        files,
        partition_value: job.partition_value,
        cuts: if order == RowOrder::Ticks { &job.cuts } else { &[] },
        order,
        statistics: table.property("delta.dataSkippingStatsColumns").unwrap_or_default(),
        memory: CompactionMemory(limits.memory),
    }
}

/// The files that a plan may select: those whose number of rows and times are in the log, and whose path is the same
/// with and without percent-encoding.
fn candidates(name: &str, view: &TableView) -> Vec<CompactionCandidate> {
    let column = if name == "dead_letters" { "ingested_at" } else { "ts" };
    let is_plain = |path: &Path| {
        path.as_ref().chars().all(|one| one.is_ascii_alphanumeric() || matches!(one, '=' | '-' | '_' | '.' | '/'))
    };
    let candidate = |(at, file): (usize, &DataFile)| {
        let times = times_of(file.stats.as_deref(), column)?;
        (file.rows.is_some() && is_plain(&file.path)).then_some(CompactionCandidate {
            file: at,
            partition_value: file.partition_value,
            bytes: file.bytes,
            times,
            modified_ms: file.modified_ms,
        })
    };
    view.files.iter().enumerate().filter_map(candidate).collect()
}

/// Number of small files of the date that has most of them.
fn most_small_files(files: &[CompactionCandidate], limits: &CompactionLimits) -> usize {
    let mut dates: BTreeMap<i32, usize> = BTreeMap::new();
    for file in files.iter().filter(|file| file.bytes < limits.done_bytes) {
        *dates.entry(file.partition_value).or_default() += 1;
    }
    dates.into_values().max().unwrap_or(0)
}

impl CompactionStats {
    pub fn add(&mut self, other: &Self) {
        self.jobs += other.jobs;
        self.files_before += other.files_before;
        self.files_after += other.files_after;
        self.rows += other.rows;
        self.bytes_before += other.bytes_before;
        self.bytes_after += other.bytes_after;
    }
}

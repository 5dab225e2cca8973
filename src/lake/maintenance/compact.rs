//! Jobs of a table, one after the other, until the plan has none.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Instant;

use object_store::path::Path;
use tokio_util::sync::CancellationToken;

use super::memory::Memory;
use super::plan::{Candidate, Job, Limits, plan};
use super::rewrite::{Order, Rewrite, RewriteError};
use super::statistics::times_of;
use crate::lake::{DataFile, MaintainedTable, NewFile, Replaced, Replacement, RetryPolicy, TableView};
use crate::util::crash::{self, CrashPoint};

/// Another maintainer is at work: these times in a row, and it is left to it.
pub(super) const OUTRUN: u32 = 3;

/// Rounds of a run. 17,280 files become one in three; beyond that it would follow an ingest for ever.
const ROUNDS: u32 = 8;

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    pub jobs: u64,
    pub files_before: u64,
    pub files_after: u64,
    pub rows: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
}

/// Why it ended.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing is left to do, but for files that came meanwhile.
    Done,
    /// Another maintainer replaced files meanwhile.
    Outrun,
    /// It was asked to stop.
    Asked,
}

/// A compaction of one table, and what it learned of files.
#[derive(Debug, Default)]
pub struct Compaction {
    pub limits: Limits,
    /// Files that are not done, of the date that has most of them, as of the last plan of a run.
    pub small_files: usize,
    /// Files that stay as they are: of other programs in no known order, or with row groups that are too large.
    foreign: HashSet<Path>,
}

impl Compaction {
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What there is to do, by the files that were loaded last.
    pub fn plan(&self, name: &str, view: &TableView, now_ms: i64) -> Vec<Job> {
        self.plan_of(candidates(name, view), view, now_ms)
    }

    fn plan_of(&self, mut files: Vec<Candidate>, view: &TableView, now_ms: i64) -> Vec<Job> {
        files.retain(|file| !self.foreign.contains(&view.files[file.file].path));
        plan(&files, &self.limits, now_ms)
    }

    /// Does all that there is to do with the files that are there; `done` is told after every commit. `now_ms` is asked before each round.
    ///
    /// # Errors
    /// The store can't be read or written, or a file is damaged. What was committed before stays.
    pub async fn run(
        &mut self,
        table: &mut MaintainedTable,
        retry: &RetryPolicy,
        stop: &CancellationToken,
        now_ms: impl Fn() -> i64,
        mut done: impl FnMut(&Compacted),
    ) -> Result<Stopped, RewriteError> {
        let (mut outrun, mut rounds) = (0, 0);
        while rounds < ROUNDS {
            rounds += 1;
            table.load().await?;
            let mut chosen = table.chosen().await?;
            let view = table.files()?;
            let files = candidates(table.name, &view);
            self.small_files = most_small_files(&files, &self.limits);
            let mut jobs = VecDeque::from(self.plan_of(files.clone(), &view, now_ms()));
            if jobs.is_empty() {
                return Ok(Stopped::Done);
            }
            while let Some(job) = jobs.pop_front() {
                if stop.is_cancelled() {
                    return Ok(Stopped::Asked);
                }
                let (name, started) = (table.name, Instant::now());
                let (job, removed, added) = match self.rewrite(table, &view, &files, job, &mut jobs, stop).await {
                    Ok(rewritten) => rewritten,
                    Err(RewriteError::Foreign(path)) => {
                        tracing::info!(table = name, %path, "left as it is: another program wrote it, in no known order");
                        self.foreign.insert(path);
                        rounds -= 1;
                        break;
                    }
                    Err(RewriteError::RowGroup { path, bytes, memory }) => {
                        tracing::info!(
                            table = name, %path, bytes, memory,
                            "left as it is: a row group is larger than the memory of a compaction"
                        );
                        self.foreign.insert(path);
                        rounds -= 1;
                        break;
                    }
                    Err(RewriteError::Stopped) => return Ok(Stopped::Asked),
                    Err(error) => return Err(error),
                };
                crash::at(CrashPoint::Compacted);
                let replacement = Replacement {
                    chosen,
                    removed: &removed,
                    added: &added,
                    partition_column: &view.partition_column,
                    expired: None,
                    market_zone: None,
                    now_ms: now_ms(),
                };
                let Replaced::Committed { version } = table.replace(&replacement, retry).await? else {
                    outrun += 1;
                    break;
                };
                (chosen, outrun) = (chosen.after(version), 0);
                let sum = |bytes: &mut dyn Iterator<Item = u64>| bytes.sum();
                let of_job = Compacted {
                    jobs: 1,
                    files_before: removed.len() as u64,
                    files_after: added.len() as u64,
                    rows: sum(&mut added.iter().map(|file| file.rows.unsigned_abs())),
                    bytes_before: job.bytes,
                    bytes_after: sum(&mut added.iter().map(|file| file.bytes.unsigned_abs())),
                };
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
            if outrun == OUTRUN {
                return Ok(Stopped::Outrun);
            }
        }
        Ok(Stopped::Done)
    }

    /// Rewrites the files of a job, or those that fit into memory at once; the others become a job of `jobs`.
    async fn rewrite(
        &self,
        table: &MaintainedTable,
        view: &TableView,
        candidates: &[Candidate],
        mut job: Job,
        jobs: &mut VecDeque<Job>,
        stop: &CancellationToken,
    ) -> Result<(Job, Vec<DataFile>, Vec<NewFile>), RewriteError> {
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
    job: &'a Job,
    limits: &Limits,
) -> Rewrite<'a> {
    let order = if table.name == "ticks" { Order::Ticks } else { Order::AsTheyCame };
    Rewrite {
        view,
        files,
        partition_value: job.partition_value,
        cuts: if order == Order::Ticks { &job.cuts } else { &[] },
        order,
        statistics: table.property("delta.dataSkippingStatsColumns").unwrap_or_default(),
        memory: Memory(limits.memory),
    }
}

/// The files that a plan may choose: those whose rows and times the log tells, under a name that no reader spells in
/// another way.
fn candidates(name: &str, view: &TableView) -> Vec<Candidate> {
    let column = if name == "dead_letters" { "ingested_at" } else { "ts" };
    let is_plain = |path: &Path| {
        path.as_ref().chars().all(|one| one.is_ascii_alphanumeric() || matches!(one, '=' | '-' | '_' | '.' | '/'))
    };
    let candidate = |(at, file): (usize, &DataFile)| {
        let times = times_of(file.stats.as_deref(), column)?;
        (file.rows.is_some() && is_plain(&file.path)).then_some(Candidate {
            file: at,
            partition_value: file.partition_value,
            bytes: file.bytes,
            times,
            modified_ms: file.modified_ms,
        })
    };
    view.files.iter().enumerate().filter_map(candidate).collect()
}

/// Of the date that has most.
fn most_small_files(files: &[Candidate], limits: &Limits) -> usize {
    let mut dates: BTreeMap<i32, usize> = BTreeMap::new();
    for file in files.iter().filter(|file| file.bytes < limits.done_bytes) {
        *dates.entry(file.partition_value).or_default() += 1;
    }
    dates.into_values().max().unwrap_or(0)
}

impl Compacted {
    pub fn add(&mut self, other: &Self) {
        self.jobs += other.jobs;
        self.files_before += other.files_before;
        self.files_after += other.files_after;
        self.rows += other.rows;
        self.bytes_before += other.bytes_before;
        self.bytes_after += other.bytes_after;
    }
}

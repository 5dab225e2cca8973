//! Commits the ticks of replayed dead letters: rows of offsets that ingest has passed, under their own transaction.
//!
//! Ingest never adds a row of such an offset again, so an ingest commit in between doesn't invalidate a replay. Another
//! replay does, and changes the transaction, which counts replay commits.

use std::collections::BTreeMap;

use deltalake::kernel::Transaction;
use uuid::Uuid;

use crate::lake::commit::append::{adds, append};
use crate::lake::commit::handle::Lake;
use crate::lake::commit::new_file::{NewFile, require_not_expired};
use crate::lake::commit::put::PutOutcome;
use crate::lake::error::LakeError;
use crate::lake::log::properties::EPOCH;
use crate::lake::log::record::{CommitRecord, ReplayedDeadLetters, with_replayed};
use crate::lake::log::table::Table;
use crate::lake::store::retry::RetryLoop;
use crate::util::crash::{self, CrashPoint};

const APP_ID: &str = "tickhouse/replay";
const REASON: &str = "dead-letters replay";

/// Ticks of some dead letters, in files that are in the store already.
#[derive(Debug)]
pub struct ReplayBatch<'a> {
    /// [`Lake::replays`] at the version that was checked to have none of these ticks.
    pub base: Option<i64>,
    pub files: &'a [NewFile],
    /// By epoch and partition.
    pub replayed: &'a BTreeMap<(i32, i32), ReplayedDeadLetters>,
    /// Event times in microseconds since the epoch, UTC.
    pub min_event_ts: Option<i64>,
    pub max_event_ts: Option<i64>,
}

/// The outcome of committing a batch.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayOutcome {
    Committed {
        version: u64,
    },
    /// Another replay committed first, perhaps of the same dead letters: check again what `ticks` contains.
    Overtaken,
}

impl Lake {
    /// Number of replay commits as of the last refresh; `None` before the first.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn replays(&self) -> Result<Option<i64>, LakeError> {
        // Read from the snapshot, because the head may know of a replay whose files the snapshot doesn't have.
        let read = self.ticks.snapshot()?.transaction_version(self.ticks.log.as_ref(), APP_ID).await;
        read.map_err(|error| self.ticks.error("read the transaction", error))
    }

    /// Adds ticks of dead letters in one commit.
    ///
    /// # Errors
    /// The counts differ from those of the files, or a partition has no counters; the outcome could not be determined
    /// within the retry policy.
    pub async fn commit_replay(&mut self, batch: &ReplayBatch<'_>) -> Result<ReplayOutcome, LakeError> {
        let all = batch.all();
        let files: i64 = batch.files.iter().map(|file| file.rows).sum();
        if files != all.rows {
            return Err(LakeError::Unbalanced(format!("{files} rows in files, {} rows replayed", all.rows)));
        }
        let epoch = self.epoch();
        let known = batch.replayed.keys().filter(|(of, _)| *of == epoch).map(|(_, partition)| *partition);
        self.require_counters(&known.collect::<Vec<_>>()).await?;
        self.ticks.forget_commits();
        let commit_id = Uuid::new_v4().to_string();
        let mut attempts = RetryLoop::new("commit not confirmed", &self.retry, &self.ticks.name);
        loop {
            let result = attempt(&mut self.ticks, &self.partition_column, batch, &commit_id).await;
            if let Some(outcome) = attempts.settle(result).await? {
                return Ok(outcome);
            }
        }
    }
}

impl ReplayBatch<'_> {
    fn all(&self) -> ReplayedDeadLetters {
        let mut all = ReplayedDeadLetters::default();
        self.replayed.values().for_each(|replayed| all.add(*replayed));
        all
    }
}

/// `None` if a writer other than a replay was faster.
async fn attempt(
    ticks: &mut Table,
    partition_column: &str,
    batch: &ReplayBatch<'_>,
    commit_id: &str,
) -> Result<Option<ReplayOutcome>, LakeError> {
    ticks.settle_head().await?;
    if let Some(version) = ticks.landed_as(commit_id) {
        return Ok(Some(ReplayOutcome::Committed { version }));
    }
    if ticks.remember_transaction(APP_ID).await? != batch.base {
        return Ok(Some(ReplayOutcome::Overtaken));
    }
    ticks.require_zone()?;
    let epoch = ticks.epoch_of(EPOCH)?;
    let newest = ticks.remember_record().await?;
    let partitions = with_replayed(newest.as_ref(), epoch, batch.replayed);
    let partitions = partitions.map_err(|partition| LakeError::NoCounters { table: ticks.name.clone(), partition })?;
    let record = CommitRecord {
        commit_id: commit_id.to_owned(),
        epoch,
        min_event_ts: batch.min_event_ts,
        max_event_ts: batch.max_event_ts,
        reason: Some(REASON.to_owned()),
        partitions,
        replay: Some(batch.all()),
        ..CommitRecord::default()
    };
    // `lastUpdated` is not set: with it, a retention setting could expire the transaction, and with it the fence.
    let transaction = Transaction::new(APP_ID, batch.base.unwrap_or(0) + 1);
    require_not_expired(&ticks.name, batch.files)?;
    let actions = adds(partition_column, batch.files);
    let (version, put) = ticks.put_next(actions, append(partition_column), Some(&record), vec![transaction]).await?;
    crash::at(CrashPoint::ReplayCommitted);
    Ok(matches!(put, PutOutcome::Stored).then_some(ReplayOutcome::Committed { version }))
}

//! Ticks of replayed dead letters: rows of offsets that ingest has passed, under a transaction of their own.
//!
//! Ingest never adds a row of such an offset again, so a commit of ingest in between changes nothing that a replay was
//! built on. Another replay does, and the transaction, a counter of replay commits, tells of it.

use std::collections::BTreeMap;

use deltalake::kernel::Transaction;
use uuid::Uuid;

use crate::lake::commit::append::{adds, append};
use crate::lake::commit::handle::Lake;
use crate::lake::commit::new_file::{NewFile, require_young};
use crate::lake::commit::put::Put;
use crate::lake::error::LakeError;
use crate::lake::log::properties::EPOCH;
use crate::lake::log::record::{CommitRecord, Replayed, with_replayed};
use crate::lake::log::table::Table;
use crate::lake::store::retry::Attempts;
use crate::util::crash::{self, CrashPoint};

const APP_ID: &str = "tickhouse/replay";
const REASON: &str = "dead-letters replay";

/// Ticks of some dead letters, in files that are in the store already.
#[derive(Debug)]
pub struct ReplayBatch<'a> {
    /// [`Lake::replays`] of the version that has none of these ticks.
    pub base: Option<i64>,
    pub files: &'a [NewFile],
    /// By epoch and partition.
    pub replayed: &'a BTreeMap<(i32, i32), Replayed>,
    /// Event times in microseconds since the epoch, UTC.
    pub min_event_ts: Option<i64>,
    pub max_event_ts: Option<i64>,
}

/// What became of a batch.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayOutcome {
    Committed {
        version: u64,
    },
    /// There was another replay, perhaps of the same letters: look again at what `ticks` holds.
    Overtaken,
}

impl Lake {
    /// Replay commits so far, as of the files that the last refresh showed; `None` before the first.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn replays(&self) -> Result<Option<i64>, LakeError> {
        // Of the snapshot, not of the head: that one may know of a replay whose files the snapshot doesn't have.
        let read = self.ticks.snapshot()?.transaction_version(self.ticks.log.as_ref(), APP_ID).await;
        read.map_err(|error| self.ticks.error("read the transaction", error))
    }

    /// Adds ticks of dead letters in one commit.
    ///
    /// # Errors
    /// The counts aren't those of the files, or no counters tell of a partition; the outcome could not be found out
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
        let mut attempts = Attempts::new("commit not confirmed", &self.retry, &self.ticks.name);
        loop {
            let result = attempt(&mut self.ticks, &self.partition_column, batch, &commit_id).await;
            if let Some(outcome) = attempts.settle(result).await? {
                return Ok(outcome);
            }
        }
    }
}

impl ReplayBatch<'_> {
    fn all(&self) -> Replayed {
        let mut all = Replayed::default();
        self.replayed.values().for_each(|replayed| all.add(*replayed));
        all
    }
}

/// `None`: a writer that is no replay was faster.
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
    // No lastUpdated: with one, a retention setting could expire the transaction, and with it the fence.
    let transaction = Transaction::new(APP_ID, batch.base.unwrap_or(0) + 1);
    require_young(&ticks.name, batch.files)?;
    let actions = adds(partition_column, batch.files);
    let (version, put) = ticks.put_next(actions, append(partition_column), Some(&record), vec![transaction]).await?;
    crash::at(CrashPoint::ReplayCommitted);
    Ok(matches!(put, Put::Stored).then_some(ReplayOutcome::Committed { version }))
}

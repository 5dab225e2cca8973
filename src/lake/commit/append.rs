//! Appending a batch exactly once: check the fence, put one version, and find out what became of it.
//!
//! After any error the log decides, never the error: every partition at `next` means that the commit is there,
//! every partition at its base means that it isn't and the same files are offered again, anything else means
//! that somebody else owns the partitions. Data files are never deleted here.

use std::collections::{BTreeMap, HashMap, HashSet};

use deltalake::kernel::{Action, Add, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use uuid::Uuid;

use crate::lake::commit::create::InputMapping;
use crate::lake::commit::new_file::{NewFile, require_not_expired};
use crate::lake::commit::put::PutOutcome;
use crate::lake::error::LakeError;
use crate::lake::log::record::{CommitRecord, advanced};
use crate::lake::log::table::Table;
use crate::lake::log::transactions::{Advance, app_id};
use crate::lake::store::metrics::{CommitAttempt, CommittedTable};
use crate::lake::store::retry::{RetryLoop, RetryPolicy};
use crate::market::date_text;
use crate::util::crash::{self, CrashPoint};

/// What the commitInfo contains in addition to the counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitNote {
    /// Event times in microseconds since the epoch, UTC.
    pub min_event_ts: Option<i64>,
    pub max_event_ts: Option<i64>,
    /// Who requested the commit and why; `None` unless an operator did.
    pub reason: Option<String>,
}

/// How far events had reached the other sinks when a commit of `signals` was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventProgress {
    /// Topic of events; `None` if events are not sent to a topic.
    pub topic_name: Option<String>,
    /// Next offset of each of its partitions.
    pub topic: BTreeMap<i32, i64>,
    /// Events emitted at or after this time may not have reached all webhooks; microseconds since the epoch, UTC.
    pub webhooks_since: Option<i64>,
}

/// The outcome of committing a batch.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    Committed {
        version: u64,
    },
    /// Every partition was at its `next` before, because of an earlier attempt or another worker with the same offsets.
    AlreadyApplied {
        version: u64,
    },
    /// These partitions are neither at their base nor at their `next`: drop the batch and re-read the assignment.
    Fenced {
        partitions: Vec<i32>,
    },
}

pub(in crate::lake) struct CommitBatch<'a> {
    /// The table whose attempts are counted; `None` for `signals`, which has no metrics.
    pub table: Option<CommittedTable>,
    pub epoch: i32,
    /// Property that holds the epoch; `None` if the table has none.
    pub epoch_property: Option<&'static str>,
    pub partition_column: &'a str,
    pub files: &'a [NewFile],
    pub advances: &'a [Advance],
    /// `None` for a table without counters.
    pub note: Option<&'a CommitNote>,
    /// How the rows were mapped; `None` for a table of rows that are not mapped from messages.
    pub mapping: Option<&'a InputMapping>,
    /// Only `signals` has this field.
    pub event_progress: Option<&'a EventProgress>,
}

pub(in crate::lake) async fn commit(
    table: &mut Table,
    retry: &RetryPolicy,
    batch: &CommitBatch<'_>,
) -> Result<CommitOutcome, LakeError> {
    batch.check()?;
    table.forget_commits();
    let commit_id = Uuid::new_v4().to_string();
    let mut attempts = RetryLoop::new("commit not confirmed", retry, &table.name);
    loop {
        let result = attempt(table, batch, &commit_id).await;
        if let Some(committed) = batch.table {
            retry.metrics.commit(committed, attempt_of(&result));
        }
        let result = result.map(|ended| ended.map(|(outcome, _)| outcome));
        if let Some(outcome) = attempts.settle(result).await? {
            return Ok(outcome);
        }
    }
}

/// The outcome of an attempt; `None` if another writer was faster and the batch has to be committed again.
type AttemptOutcome = Option<(CommitOutcome, ConfirmedBy)>;

/// What confirmed that a commit exists.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ConfirmedBy {
    /// The response to the put.
    Put,
    /// The log, which was read after a failed or inconclusive put.
    Log,
}

fn attempt_of(result: &Result<AttemptOutcome, LakeError>) -> CommitAttempt {
    match result {
        Ok(Some((CommitOutcome::Fenced { .. }, _))) => CommitAttempt::Fenced,
        Ok(Some((_, ConfirmedBy::Put))) => CommitAttempt::Ok,
        Ok(Some((_, ConfirmedBy::Log))) => CommitAttempt::UnknownResolved,
        Ok(None) => CommitAttempt::Conflict,
        Err(_) => CommitAttempt::Error,
    }
}

async fn attempt(table: &mut Table, batch: &CommitBatch<'_>, commit_id: &str) -> Result<AttemptOutcome, LakeError> {
    let by_log = |outcome| (outcome, ConfirmedBy::Log);
    table.settle_head().await?;
    if let Some(outcome) = settle(table, batch, commit_id).await? {
        return Ok(Some(by_log(outcome)));
    }
    let record = match batch.note {
        Some(note) => {
            let newest = table.remember_record().await?;
            batch.record(commit_id, note, newest.as_ref())
        }
        None => batch.record(commit_id, &CommitNote::default(), None),
    };
    let record = record.map_err(|partition| LakeError::NoCounters { table: table.name.clone(), partition })?;
    let operation = append(batch.partition_column);
    require_not_expired(&table.name, batch.files)?;
    if batch.epoch_property.is_some() {
        crash::at(CrashPoint::TicksCommitting);
    }
    let put = table
        .put_next(adds(batch.partition_column, batch.files), operation, Some(&record), batch.transactions())
        .await?;
    if batch.epoch_property.is_some() {
        crash::at(CrashPoint::TicksCommitted);
    }
    match put {
        (version, PutOutcome::Stored) => Ok(Some((CommitOutcome::Committed { version }, ConfirmedBy::Put))),
        (_, PutOutcome::Exists) => {
            table.catch_up().await?;
            Ok(settle(table, batch, commit_id).await?.map(by_log))
        }
    }
}

/// The outcome of the batch according to the transactions of the head; `None` if it still has to be committed.
async fn settle(
    table: &mut Table,
    batch: &CommitBatch<'_>,
    commit_id: &str,
) -> Result<Option<CommitOutcome>, LakeError> {
    if let Some(property) = batch.epoch_property
        && table.epoch_of(property)? != batch.epoch
    {
        let partitions = batch.advances.iter().map(|advance| advance.partition).collect();
        return Ok(Some(CommitOutcome::Fenced { partitions }));
    }
    let (mut applied, mut moved) = (0, Vec::new());
    for advance in batch.advances {
        let current = table.remember_transaction(&app_id(batch.epoch, advance.partition)).await?;
        if current == Some(advance.range.next()) {
            applied += 1;
        }
        if current != advance.base {
            moved.push(advance.partition);
        }
    }
    if applied == batch.advances.len() {
        return Ok(Some(match table.landed_as(commit_id) {
            Some(version) => CommitOutcome::Committed { version },
            // A commit without advances only records the progress of events in other sinks.
            None if batch.advances.is_empty() && batch.event_progress.is_some() => return Ok(None),
            None => CommitOutcome::AlreadyApplied { version: table.version() },
        }));
    }
    // Rows of the old mapping must not follow a commit that changed it, whoever owns the partitions.
    batch.mapping.map_or(Ok(()), |mapping| mapping.require(table))?;
    table.require_zone()?;
    Ok((!moved.is_empty()).then_some(CommitOutcome::Fenced { partitions: moved }))
}

impl CommitBatch<'_> {
    fn check(&self) -> Result<(), LakeError> {
        let mut seen = HashSet::new();
        for advance in self.advances {
            if !seen.insert(advance.partition) {
                return Err(LakeError::Unbalanced(format!("partition {} is in it twice", advance.partition)));
            }
            if self.note.is_none() {
                continue;
            }
            let Advance { partition, base, range, counts, .. } = advance;
            if base.is_some_and(|base| base != range.start()) {
                let base = base.unwrap_or_default();
                return Err(LakeError::Unbalanced(format!("partition {partition}: {range} does not begin at {base}")));
            }
            if counts.offsets() != range.len() {
                let counted = counts.offsets();
                return Err(LakeError::Unbalanced(format!("partition {partition}: {range} counts {counted} offsets")));
            }
        }
        let files: i64 = self.files.iter().map(|file| file.rows).sum();
        let counted: i64 = self.advances.iter().map(|advance| advance.counts.rows).sum();
        if self.note.is_some() && files != counted {
            return Err(LakeError::Unbalanced(format!("{files} rows in files, {counted} rows counted")));
        }
        Ok(())
    }

    /// The record of the commit. The error is a partition without counters.
    fn record(&self, commit_id: &str, note: &CommitNote, newest: Option<&CommitRecord>) -> Result<CommitRecord, i32> {
        let range = |advance: &Advance| (advance.partition, [advance.range.start(), advance.range.next()]);
        Ok(CommitRecord {
            commit_id: commit_id.to_owned(),
            epoch: self.epoch,
            ranges: self.advances.iter().map(range).collect(),
            min_event_ts: note.min_event_ts,
            max_event_ts: note.max_event_ts,
            reason: note.reason.clone(),
            partitions: match self.note {
                Some(_) => advanced(newest, self.epoch, self.advances)?,
                None => BTreeMap::new(),
            },
            replay: None,
            events_topic_name: self.event_progress.and_then(|event_progress| event_progress.topic_name.clone()),
            events_topic: self.event_progress.map(|event_progress| event_progress.topic.clone()).unwrap_or_default(),
            webhooks_since: self.event_progress.and_then(|event_progress| event_progress.webhooks_since),
        })
    }

    fn transactions(&self) -> Vec<Transaction> {
        // `lastUpdated` is not set: with it, a retention setting could expire the transaction, and with it the fence.
        let next = |advance: &Advance| Transaction::new(app_id(self.epoch, advance.partition), advance.range.next());
        self.advances.iter().map(next).collect()
    }
}

pub(in crate::lake) fn append(partition_column: &str) -> DeltaOperation {
    DeltaOperation::Write {
        mode: SaveMode::Append,
        partition_by: Some(vec![partition_column.to_owned()]),
        predicate: None,
    }
}

/// Actions that add files with new rows.
pub(in crate::lake) fn adds(partition_column: &str, files: &[NewFile]) -> Vec<Action> {
    let now = chrono::Utc::now().timestamp_millis();
    let add = |file| Action::Add(Add { data_change: true, ..add_without_rows(partition_column, file, now) });
    files.iter().map(add).collect()
}

/// Action that adds a file whose rows were in other files of the table before.
pub(in crate::lake) fn add_without_rows(partition_column: &str, file: &NewFile, now_ms: i64) -> Add {
    Add {
        path: file.path.clone(),
        partition_values: partition_values(partition_column, file.partition_value),
        size: file.bytes,
        modification_time: now_ms,
        data_change: false,
        stats: Some(file.stats.clone()),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    }
}

/// Partition values as in Delta actions; `days` since 1970-01-01.
pub(in crate::lake) fn partition_values(partition_column: &str, days: i32) -> HashMap<String, Option<String>> {
    HashMap::from([(partition_column.to_owned(), date_text(days))])
}

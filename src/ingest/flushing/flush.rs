//! Flushes one batch into the lake: encodes it, uploads the files, commits the dead letters and then the ticks.
//!
//! Invariant: dead letters are committed before the ticks commit that moves past them, under a transaction of
//! their own, so a crash between the two repeats a no-op.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::ObjectStore;
use tokio::sync::oneshot;

use crate::decode::{RejectionReason, SkipKind};
use crate::ingest::batching::assemble::now_micros;
use crate::ingest::batching::batch::{DeadLetter, IngestBatch};
use crate::ingest::batching::column_pool::ColumnRecycler;
use crate::ingest::error::IngestError;
use crate::ingest::flushing::dead_letters::encode_dead_letters;
use crate::ingest::flushing::encode::{EncodedFile, TickEncoder};
use crate::kafka::TopicIdAnswer;
use crate::lake::{Advance, CommitAttempt, CommitNote, CommitOutcome, CommittedTable, Lake, LakeError, NewFile};
use crate::util::crash::{self, CrashPoint};

/// A batch, and the state of the table that its commit requires.
pub(in crate::ingest) struct FlushRequest {
    pub batch: IngestBatch,
    pub advances: Vec<Advance>,
    /// Where the table's dead letters of each partition end; dead letters below it are in the table already.
    pub dead_bases: BTreeMap<i32, Option<i64>>,
    /// The answer to a query that was sent after the last record of the batch was delivered.
    pub topic_id: oneshot::Receiver<TopicIdAnswer>,
}

pub(in crate::ingest) enum FlushOutcome {
    Committed {
        version: u64,
        /// The outcome was unknown at first, and was resolved by reading the log.
        resolved: bool,
    },
    /// See [`CommitOutcome::Fenced`].
    Fenced { partitions: Vec<i32> },
    /// Kafka has another topic than the table: records of the batch may belong to either, so nothing was written.
    TopicMismatch { id: String },
}

/// The result of a flush.
pub(in crate::ingest) struct FlushReport {
    pub advances: Vec<Advance>,
    pub outcome: FlushOutcome,
    /// Where the table's dead letters end after the flush, for partitions that had new ones.
    pub dead_next: BTreeMap<i32, i64>,
    pub dead: BTreeMap<RejectionReason, u64>,
    pub skips: BTreeMap<SkipKind, u64>,
    /// Size of each file of ticks.
    pub file_bytes: Vec<u64>,
    pub encoding: Duration,
    pub elapsed: Duration,
}

impl FlushReport {
    pub(in crate::ingest) fn partitions(&self) -> Vec<i32> {
        self.advances.iter().map(|advance| advance.partition).collect()
    }
}

/// A batch whose rows were encoded.
struct EncodedBatch {
    files: Vec<EncodedFile>,
    dead_letters: Vec<DeadLetter>,
    skips: BTreeMap<SkipKind, u64>,
    note: CommitNote,
}

/// Writes the batch; the lake retries and resolves the outcome of each commit by its own policy.
///
/// # Errors
/// The store can't be written within the lake's retry policy, or another tool has changed the table incompatibly.
pub(in crate::ingest) async fn flush(
    lake: &mut Lake,
    encoder: Arc<TickEncoder>,
    column_recycler: ColumnRecycler,
    flush: FlushRequest,
) -> Result<FlushReport, IngestError> {
    let started = Instant::now();
    let FlushRequest { batch, advances, dead_bases, topic_id } = flush;
    let encoded = tokio::task::spawn_blocking(move || encode(&encoder, batch, &column_recycler)).await??;
    let encoding = started.elapsed();
    let EncodedBatch { files, dead_letters, skips, note } = encoded;

    let mut dead = BTreeMap::new();
    for dead_letter in &dead_letters {
        *dead.entry(dead_letter.rejection.reason).or_default() += 1;
    }
    let file_bytes = files.iter().map(|file| u64::try_from(file.file.bytes).unwrap_or(0)).collect();
    let done = |outcome, dead_next| {
        let elapsed = started.elapsed();
        FlushReport { advances: advances.clone(), outcome, dead_next, dead, skips, file_bytes, encoding, elapsed }
    };
    if let Some(id) = other_topic(lake, topic_id).await {
        return Ok(done(FlushOutcome::TopicMismatch { id }, BTreeMap::new()));
    }
    let store = lake.ticks_store();
    let files = upload(lake, &store, files).await?;
    crash::at(CrashPoint::TicksUploaded);
    let dead_next = match commit_dead_letters(lake, &dead_letters, &dead_bases).await? {
        DeadLetterCommit::Committed { dead_next } => dead_next,
        DeadLetterCommit::Fenced { partitions } => {
            return Ok(done(FlushOutcome::Fenced { partitions }, BTreeMap::new()));
        }
    };
    if !dead_next.is_empty() {
        crash::at(CrashPoint::DeadLettersCommitted);
    }
    let resolved =
        |lake: &Lake| lake.retry().metrics.read().commits(CommittedTable::Ticks, CommitAttempt::UnknownResolved);
    let before = resolved(lake);
    let committed = lake.commit_ticks(&files, &advances, &note).await;
    let outcome = match fence_if_files_are_gone(committed, &advances)? {
        CommitOutcome::Committed { version } | CommitOutcome::AlreadyApplied { version } => {
            FlushOutcome::Committed { version, resolved: resolved(lake) > before }
        }
        CommitOutcome::Fenced { partitions } => FlushOutcome::Fenced { partitions },
    };
    Ok(done(outcome, dead_next))
}

/// Treats a batch whose files may be deleted, or whose counters were removed with the log, as fenced: it is read and
/// written again, and the new assignment recounts the tables.
fn fence_if_files_are_gone(
    committed: Result<CommitOutcome, LakeError>,
    advances: &[Advance],
) -> Result<CommitOutcome, LakeError> {
    match committed {
        Err(error) if error.needs_new_files() || matches!(error, LakeError::NoCounters { .. }) => {
            tracing::warn!("reading the batch again: {error}");
            Ok(CommitOutcome::Fenced { partitions: advances.iter().map(|advance| advance.partition).collect() })
        }
        other => other,
    }
}

/// Returns the id of the topic if it is known to be another one than the table's. If the brokers are unreachable, the
/// batch is written, and the next flush and the next assignment query the id again.
async fn other_topic(lake: &Lake, topic_id: oneshot::Receiver<TopicIdAnswer>) -> Option<String> {
    let known = lake.identity().topic_id?;
    match topic_id.await.unwrap_or_else(|_| Err("the consumer has ended".to_owned())) {
        Ok(id) => id.filter(|id| *id != known),
        Err(text) => {
            tracing::warn!(
                "Kafka doesn't report whether it is still the same topic; committing without the check: {text}"
            );
            None
        }
    }
}

fn encode(
    encoder: &TickEncoder,
    mut batch: IngestBatch,
    column_recycler: &ColumnRecycler,
) -> Result<EncodedBatch, IngestError> {
    let files = encoder.encode(&batch)?;
    let times = || batch.chunks().flat_map(|chunk| chunk.rows.ts.iter().copied());
    let note = CommitNote { min_event_ts: times().min(), max_event_ts: times().max(), reason: None };
    let (dead_letters, skips) = batch.take_dead_letters_and_skips(|columns| column_recycler.recycle(columns));
    Ok(EncodedBatch { files, dead_letters, skips, note })
}

async fn upload(
    lake: &Lake,
    store: &Arc<dyn ObjectStore>,
    files: Vec<EncodedFile>,
) -> Result<Vec<NewFile>, IngestError> {
    let files = files.into_iter().map(|EncodedFile { file, bytes }| (file, bytes)).collect();
    Ok(lake.put_all(store, files).await?)
}

enum DeadLetterCommit {
    /// See [`FlushReport::dead_next`].
    Committed { dead_next: BTreeMap<i32, i64> },
    /// Another worker has committed dead letters of these; its verdicts have to be read before more is committed.
    Fenced { partitions: Vec<i32> },
}

/// Commits those dead letters that the table doesn't have yet.
async fn commit_dead_letters(
    lake: &mut Lake,
    dead_letters: &[DeadLetter],
    bases: &BTreeMap<i32, Option<i64>>,
) -> Result<DeadLetterCommit, IngestError> {
    let base = |dead_letter: &DeadLetter| bases.get(&dead_letter.partition).copied().flatten();
    let new: Vec<&DeadLetter> = dead_letters
        .iter()
        .filter(|dead_letter| base(dead_letter).is_none_or(|next| dead_letter.offset >= next))
        .collect();
    if new.is_empty() {
        return Ok(DeadLetterCommit::Committed { dead_next: BTreeMap::new() });
    }
    let mut advances: BTreeMap<i32, Advance> = BTreeMap::new();
    for dead_letter in &new {
        let (first, dead) = match advances.get(&dead_letter.partition) {
            Some(so_far) => (so_far.range.start(), so_far.counts.dead + 1),
            None => (dead_letter.offset, 1),
        };
        let advance = Advance::dead(dead_letter.partition, base(dead_letter), first, dead_letter.offset + 1, dead);
        advances.insert(dead_letter.partition, advance);
    }
    let dead_next = advances.iter().map(|(partition, advance)| (*partition, advance.range.next())).collect();
    let encoded = encode_dead_letters(&new, lake.epoch(), now_micros())?;
    let store = lake.dead_store();
    let files = upload(lake, &store, vec![encoded]).await?;
    let advances: Vec<Advance> = advances.into_values().collect();
    let committed = lake.commit_dead_letters(&files, &advances).await;
    Ok(match fence_if_files_are_gone(committed, &advances)? {
        CommitOutcome::Committed { .. } => DeadLetterCommit::Committed { dead_next },
        CommitOutcome::Fenced { partitions } => DeadLetterCommit::Fenced { partitions },
        CommitOutcome::AlreadyApplied { .. } => {
            DeadLetterCommit::Fenced { partitions: dead_next.into_keys().collect() }
        }
    })
}

//! One batch into the lake: encode, store the files, commit the dead letters, then the ticks.
//!
//! Invariant: dead letters are committed before the ticks commit that moves past them, under a transaction of
//! their own, so a crash between the two repeats a no-op.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::ObjectStore;
use tokio::sync::oneshot;

use crate::decode::{Reason, SkipKind};
use crate::ingest::batching::assemble::now_micros;
use crate::ingest::batching::batch::{Batch, DeadLetter};
use crate::ingest::batching::column_pool::ColumnsReturn;
use crate::ingest::error::IngestError;
use crate::ingest::flushing::dead_letters::encode_letters;
use crate::ingest::flushing::encode::{EncodedFile, TickEncoder};
use crate::kafka::TopicIdAnswer;
use crate::lake::{Advance, CommitAttempt, CommitNote, CommitOutcome, CommittedTable, Lake, LakeError, NewFile};
use crate::util::crash::{self, CrashPoint};

/// A batch and what the table must look like for it to go in.
pub(in crate::ingest) struct Flush {
    pub batch: Batch,
    pub advances: Vec<Advance>,
    /// Where the table's dead letters of each partition end; those below it were checked when they were read again.
    pub dead_bases: BTreeMap<i32, Option<i64>>,
    /// Asked after the last record of the batch was delivered.
    pub topic_id: oneshot::Receiver<TopicIdAnswer>,
}

pub(in crate::ingest) enum Outcome {
    Committed {
        version: u64,
        /// The log had to be asked whether it is there.
        resolved: bool,
    },
    /// See [`CommitOutcome::Fenced`].
    Fenced { partitions: Vec<i32> },
    /// Kafka has another topic than the table: records of the batch may be of either, so nothing was written.
    TopicMismatch { id: String },
}

/// What became of a flush.
pub(in crate::ingest) struct Flushed {
    pub advances: Vec<Advance>,
    pub outcome: Outcome,
    /// Where dead letters end now, in partitions that had new ones.
    pub dead_next: BTreeMap<i32, i64>,
    pub dead: BTreeMap<Reason, u64>,
    pub skips: BTreeMap<SkipKind, u64>,
    /// Of each file of ticks.
    pub file_bytes: Vec<u64>,
    pub encoding: Duration,
    pub elapsed: Duration,
}

impl Flushed {
    pub(in crate::ingest) fn partitions(&self) -> Vec<i32> {
        self.advances.iter().map(|advance| advance.partition).collect()
    }
}

/// What is left of a batch when its rows are in files.
struct Encoded {
    files: Vec<EncodedFile>,
    letters: Vec<DeadLetter>,
    skips: BTreeMap<SkipKind, u64>,
    note: CommitNote,
}

/// Writes the batch; the lake retries and finds out what became of each commit by its own policy.
///
/// # Errors
/// The store can't be written within the lake's retry policy, or the table is not what it was.
pub(in crate::ingest) async fn flush(
    lake: &mut Lake,
    encoder: Arc<TickEncoder>,
    spare: ColumnsReturn,
    flush: Flush,
) -> Result<Flushed, IngestError> {
    let started = Instant::now();
    let Flush { batch, advances, dead_bases, topic_id } = flush;
    let encoded = tokio::task::spawn_blocking(move || encode(&encoder, batch, &spare)).await??;
    let encoding = started.elapsed();
    let Encoded { files, letters, skips, note } = encoded;

    let mut dead = BTreeMap::new();
    for letter in &letters {
        *dead.entry(letter.rejection.reason).or_default() += 1;
    }
    let file_bytes = files.iter().map(|file| u64::try_from(file.file.bytes).unwrap_or(0)).collect();
    let done = |outcome, dead_next| {
        let elapsed = started.elapsed();
        Flushed { advances: advances.clone(), outcome, dead_next, dead, skips, file_bytes, encoding, elapsed }
    };
    if let Some(id) = other_topic(lake, topic_id).await {
        return Ok(done(Outcome::TopicMismatch { id }, BTreeMap::new()));
    }
    let store = lake.ticks_store();
    let files = upload(lake, &store, files).await?;
    crash::at(CrashPoint::TicksUploaded);
    let dead_next = match bury(lake, &letters, &dead_bases).await? {
        Bury::Done { dead_next } => dead_next,
        Bury::Fenced { partitions } => return Ok(done(Outcome::Fenced { partitions }, BTreeMap::new())),
    };
    if !dead_next.is_empty() {
        crash::at(CrashPoint::DeadLettersCommitted);
    }
    let resolved =
        |lake: &Lake| lake.retry().metrics.read().commits(CommittedTable::Ticks, CommitAttempt::UnknownResolved);
    let before = resolved(lake);
    let committed = lake.commit_ticks(&files, &advances, &note).await;
    let outcome = match read_again_if_gone(committed, &advances)? {
        CommitOutcome::Committed { version } | CommitOutcome::AlreadyApplied { version } => {
            Outcome::Committed { version, resolved: resolved(lake) > before }
        }
        CommitOutcome::Fenced { partitions } => Outcome::Fenced { partitions },
    };
    Ok(done(outcome, dead_next))
}

/// A batch whose files may be gone, or whose counters went with the log, is read and written again as one that was
/// fenced: the assignment counts the tables.
fn read_again_if_gone(
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

/// The id of the topic, if it is known to be another than the table's. Brokers that are away show no other one: the
/// batch is written, and the next flush and the next assignment ask again.
async fn other_topic(lake: &Lake, topic_id: oneshot::Receiver<TopicIdAnswer>) -> Option<String> {
    let known = lake.identity().topic_id?;
    match topic_id.await.unwrap_or_else(|_| Err("the consumer has ended".to_owned())) {
        Ok(id) => id.filter(|id| *id != known),
        Err(text) => {
            tracing::warn!("Kafka doesn't tell whether it is still the same topic, committing without: {text}");
            None
        }
    }
}

fn encode(encoder: &TickEncoder, mut batch: Batch, spare: &ColumnsReturn) -> Result<Encoded, IngestError> {
    let files = encoder.encode(&batch)?;
    let times = || batch.chunks().flat_map(|chunk| chunk.rows.ts.iter().copied());
    let note = CommitNote { min_event_ts: times().min(), max_event_ts: times().max(), reason: None };
    let (letters, skips) = batch.take_the_rest(|columns| spare.give(columns));
    Ok(Encoded { files, letters, skips, note })
}

async fn upload(
    lake: &Lake,
    store: &Arc<dyn ObjectStore>,
    files: Vec<EncodedFile>,
) -> Result<Vec<NewFile>, IngestError> {
    let files = files.into_iter().map(|EncodedFile { file, bytes }| (file, bytes)).collect();
    Ok(lake.put_all(store, files).await?)
}

enum Bury {
    /// See [`Flushed::dead_next`].
    Done { dead_next: BTreeMap<i32, i64> },
    /// Another worker wrote dead letters of these meanwhile; its verdicts have to be read before more is committed.
    Fenced { partitions: Vec<i32> },
}

/// Commits those letters that the table doesn't have yet.
async fn bury(
    lake: &mut Lake,
    letters: &[DeadLetter],
    bases: &BTreeMap<i32, Option<i64>>,
) -> Result<Bury, IngestError> {
    let base = |letter: &DeadLetter| bases.get(&letter.partition).copied().flatten();
    let new: Vec<&DeadLetter> =
        letters.iter().filter(|letter| base(letter).is_none_or(|next| letter.offset >= next)).collect();
    if new.is_empty() {
        return Ok(Bury::Done { dead_next: BTreeMap::new() });
    }
    let mut advances: BTreeMap<i32, Advance> = BTreeMap::new();
    for letter in &new {
        let (first, dead) = match advances.get(&letter.partition) {
            Some(so_far) => (so_far.range.start(), so_far.counts.dead + 1),
            None => (letter.offset, 1),
        };
        let advance = Advance::dead(letter.partition, base(letter), first, letter.offset + 1, dead);
        advances.insert(letter.partition, advance);
    }
    let dead_next = advances.iter().map(|(partition, advance)| (*partition, advance.range.next())).collect();
    let encoded = encode_letters(&new, lake.epoch(), now_micros())?;
    let store = lake.dead_store();
    let files = upload(lake, &store, vec![encoded]).await?;
    let advances: Vec<Advance> = advances.into_values().collect();
    let committed = lake.commit_dead_letters(&files, &advances).await;
    Ok(match read_again_if_gone(committed, &advances)? {
        CommitOutcome::Committed { .. } => Bury::Done { dead_next },
        CommitOutcome::Fenced { partitions } => Bury::Fenced { partitions },
        CommitOutcome::AlreadyApplied { .. } => Bury::Fenced { partitions: dead_next.into_keys().collect() },
    })
}

//! One batch into the lake: encode, store the files, commit the dead letters, then the ticks.
//!
//! Invariant: dead letters are committed before the ticks commit that moves past them, under a transaction of
//! their own, so a crash between the two repeats a no-op.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use tokio::sync::oneshot;

use super::assemble::now_micros;
use super::batch::{Batch, DeadLetter};
use super::encode::{EncodedFile, TickEncoder};
use super::error::IngestError;
use super::letters::encode_letters;
use super::spare::ColumnsReturn;
use crate::decode::{Reason, SkipKind};
use crate::kafka::TopicIdAnswer;
use crate::lake::{Advance, CommitNote, CommitOutcome, Lake, NewFile};

/// Files of one flush on their way to the store at the same time.
const PARALLEL_UPLOADS: usize = 4;
/// Another worker can be faster with the same dead letters only as often as there are workers.
const DEAD_LETTER_ATTEMPTS: usize = 100;

/// A batch and what the table must look like for it to go in.
pub(super) struct Flush {
    pub batch: Batch,
    pub advances: Vec<Advance>,
    /// Asked after the last record of the batch was delivered.
    pub topic_id: oneshot::Receiver<TopicIdAnswer>,
}

pub(super) enum Outcome {
    Committed {
        version: u64,
    },
    /// See [`CommitOutcome::Fenced`].
    Fenced {
        partitions: Vec<i32>,
    },
    /// Kafka has another topic than the table: records of the batch may be of either, so nothing was written.
    OtherTopic {
        id: String,
    },
}

/// What became of a flush.
pub(super) struct Flushed {
    pub advances: Vec<Advance>,
    pub outcome: Outcome,
    pub dead: BTreeMap<Reason, u64>,
    pub skips: BTreeMap<SkipKind, u64>,
    pub files: usize,
    pub bytes: i64,
    pub encoding: Duration,
    pub elapsed: Duration,
}

impl Flushed {
    pub(super) fn partitions(&self) -> Vec<i32> {
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
pub(super) async fn flush(
    lake: &mut Lake,
    encoder: Arc<TickEncoder>,
    spare: ColumnsReturn,
    flush: Flush,
) -> Result<Flushed, IngestError> {
    let started = Instant::now();
    let Flush { batch, advances, topic_id } = flush;
    let encoded = tokio::task::spawn_blocking(move || encode(&encoder, batch, &spare)).await??;
    let encoding = started.elapsed();
    let Encoded { files, letters, skips, note } = encoded;

    let mut dead = BTreeMap::new();
    for letter in &letters {
        *dead.entry(letter.rejection.reason).or_default() += 1;
    }
    let elapsed = || started.elapsed();
    if let Some(id) = other_topic(lake, topic_id).await {
        let outcome = Outcome::OtherTopic { id };
        return Ok(Flushed { advances, outcome, dead, skips, files: 0, bytes: 0, encoding, elapsed: elapsed() });
    }
    let store = lake.ticks_store();
    let (count, bytes) = (files.len(), files.iter().map(|file| file.file.bytes).sum());
    let files = upload(lake, &store, files).await?;
    if !letters.is_empty() {
        bury(lake, &letters).await?;
    }
    let outcome = match lake.commit_ticks(&files, &advances, &note).await? {
        CommitOutcome::Committed { version } | CommitOutcome::AlreadyApplied { version } => {
            Outcome::Committed { version }
        }
        CommitOutcome::Fenced { partitions } => Outcome::Fenced { partitions },
    };
    Ok(Flushed { advances, outcome, dead, skips, files: count, bytes, encoding, elapsed: elapsed() })
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
    let put = |EncodedFile { file, bytes }: EncodedFile| async move {
        lake.put(store, &file.path, bytes.into()).await?;
        Ok::<_, IngestError>(file)
    };
    futures::stream::iter(files).map(put).buffered(PARALLEL_UPLOADS).try_collect().await
}

/// Commits those letters that the table doesn't have yet.
async fn bury(lake: &mut Lake, letters: &[DeadLetter]) -> Result<(), IngestError> {
    for _ in 0..DEAD_LETTER_ATTEMPTS {
        let mut bases = BTreeMap::new();
        for letter in letters {
            if let Entry::Vacant(base) = bases.entry(letter.partition) {
                base.insert(lake.dead_next_offset(letter.partition).await?);
            }
        }
        let is_new = |letter: &&DeadLetter| bases[&letter.partition].is_none_or(|next| letter.offset >= next);
        let new: Vec<&DeadLetter> = letters.iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut ends: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
        for letter in &new {
            let (_, dead) = ends.entry(letter.partition).or_insert((letter.offset, 0));
            *dead += 1;
        }
        let advances = ends
            .into_iter()
            .map(|(partition, (first, dead))| {
                let last = new.iter().filter(|letter| letter.partition == partition).map(|letter| letter.offset).max();
                Advance::dead(partition, bases[&partition], first, last.unwrap_or(first) + 1, dead)
            })
            .collect::<Vec<_>>();
        let encoded = encode_letters(&new, lake.epoch(), now_micros())?;
        let store = lake.dead_store();
        let files = upload(lake, &store, vec![encoded]).await?;
        match lake.commit_dead_letters(&files, &advances).await? {
            CommitOutcome::Committed { .. } | CommitOutcome::AlreadyApplied { .. } => return Ok(()),
            CommitOutcome::Fenced { partitions } => {
                tracing::debug!(?partitions, "another worker wrote dead letters of the same offsets");
            }
        }
    }
    Err(IngestError::DeadLetters)
}

//! Gathers the ticks of decoded dead letters for one commit.

use std::collections::BTreeMap;

use super::dead_letter_file::StoredDeadLetter;
use super::error::DeadLetterReplayError;
use crate::decode::Decoder;
use crate::ingest::{IngestBatch, IngestChunk, TickEncoder};
use crate::lake::{NewFile, ReplayedDeadLetters};
use crate::market::{OffsetRange, TickColumns};

/// Rows of one commit: a quarter of the default of `flush_rows`.
const ROWS: usize = 250_000;
/// Bytes of the payloads of one commit. The decoded ticks take about as much memory.
const BYTES: usize = 64 << 20;

/// The ticks that the dead letters of one partition became.
#[derive(Debug)]
struct PartitionTicks {
    rows: TickColumns,
    /// The lowest and the highest offset.
    offsets: (i64, i64),
    replayed: ReplayedDeadLetters,
}

/// Dead letters that became ticks.
#[derive(Debug, Default)]
pub(super) struct DecodedTicks {
    /// By epoch and partition.
    parts: BTreeMap<(i32, i32), PartitionTicks>,
    by_reason: BTreeMap<String, ReplayedDeadLetters>,
    dead_letters: usize,
    rows: usize,
    bytes: usize,
}

/// Encoded files that are ready for the store, with their counts.
pub(super) struct EncodedReplay {
    pub files: Vec<(NewFile, Vec<u8>)>,
    /// By epoch and partition.
    pub replayed: BTreeMap<(i32, i32), ReplayedDeadLetters>,
    pub by_reason: BTreeMap<String, ReplayedDeadLetters>,
    /// The earliest and the latest event time.
    pub event_ts: (i64, i64),
}

impl DecodedTicks {
    /// The columns to which the decoder appends the rows of a dead letter.
    pub(super) fn columns(&mut self, partition: (i32, i32), decoder: &Decoder) -> &mut TickColumns {
        let empty = || PartitionTicks {
            rows: decoder.columns(),
            offsets: (i64::MAX, i64::MIN),
            replayed: ReplayedDeadLetters::default(),
        };
        &mut self.parts.entry(partition).or_insert_with(empty).rows
    }

    /// Counts the dead letter whose rows were appended last.
    pub(super) fn count(&mut self, dead_letter: &StoredDeadLetter<'_>, rows: usize) {
        let (epoch, partition, offset) = dead_letter.identity;
        let replayed = ReplayedDeadLetters { dead_letters: 1, rows: rows as i64 };
        if let Some(part) = self.parts.get_mut(&(epoch, partition)) {
            part.offsets = (offset.min(part.offsets.0), offset.max(part.offsets.1));
            part.replayed.add(replayed);
        }
        match self.by_reason.get_mut(dead_letter.reason) {
            Some(all) => all.add(replayed),
            None => drop(self.by_reason.insert(dead_letter.reason.to_owned(), replayed)),
        }
        self.dead_letters += 1;
        self.rows += rows;
        self.bytes += dead_letter.payload.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.dead_letters == 0
    }

    pub(super) fn is_full(&self, dead_letters: usize) -> bool {
        self.dead_letters >= dead_letters || self.rows >= ROWS || self.bytes >= BYTES
    }

    pub(super) fn by_reason(self) -> BTreeMap<String, ReplayedDeadLetters> {
        self.by_reason
    }

    /// Encodes sorted files, as ingest writes them.
    ///
    /// # Errors
    /// Parquet refuses a value; nothing in a decoded batch should make it do so.
    pub(super) fn encode(self, encoder: &TickEncoder) -> Result<EncodedReplay, DeadLetterReplayError> {
        let received_at = chrono::Utc::now().timestamp_micros();
        let replayed = self.parts.iter().map(|(partition, part)| (*partition, part.replayed)).collect();
        let mut event_ts = (i64::MAX, i64::MIN);
        let mut batches: BTreeMap<i32, IngestBatch> = BTreeMap::new();
        for ((epoch, partition), PartitionTicks { rows, offsets, .. }) in self.parts {
            if rows.is_empty() {
                continue;
            }
            event_ts = rows.ts.iter().fold(event_ts, |(low, high), ts| (low.min(*ts), high.max(*ts)));
            let mut chunk = IngestChunk::empty(partition, offsets.0, rows, received_at);
            chunk.range = OffsetRange::new(offsets.0, offsets.1 + 1).expect("the range has a dead letter");
            batches.entry(epoch).or_default().push(chunk).expect("a partition has one chunk");
        }
        let mut files = Vec::new();
        for (epoch, batch) in batches {
            let encoded = encoder.with_epoch(epoch).encode(&batch)?;
            files.extend(encoded.into_iter().map(|encoded| (encoded.file, encoded.bytes)));
        }
        Ok(EncodedReplay { files, replayed, by_reason: self.by_reason, event_ts })
    }
}

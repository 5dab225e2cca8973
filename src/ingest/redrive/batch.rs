//! Ticks of some letters on their way into one commit.

use std::collections::BTreeMap;

use super::error::ReplayError;
use super::letters::Letter;
use crate::decode::Decoder;
use crate::ingest::{Batch, Chunk, TickEncoder};
use crate::lake::{NewFile, ReplayedDeadLetters};
use crate::market::{OffsetRange, TickColumns};

/// Rows of one commit: a quarter of what ingest flushes at once.
const ROWS: usize = 250_000;
/// Payloads of one commit. Decoded they take about as much.
const BYTES: usize = 64 << 20;

/// What the letters of one partition became.
#[derive(Debug)]
struct Part {
    rows: TickColumns,
    /// The lowest and the highest.
    offsets: (i64, i64),
    replayed: ReplayedDeadLetters,
}

/// Letters that became ticks.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    /// By epoch and partition.
    parts: BTreeMap<(i32, i32), Part>,
    by_reason: BTreeMap<String, ReplayedDeadLetters>,
    letters: usize,
    rows: usize,
    bytes: usize,
}

/// Files for the store, and what they hold.
pub(super) struct Ready {
    pub files: Vec<(NewFile, Vec<u8>)>,
    /// By epoch and partition.
    pub replayed: BTreeMap<(i32, i32), ReplayedDeadLetters>,
    pub by_reason: BTreeMap<String, ReplayedDeadLetters>,
    /// The first and the last event time.
    pub event_ts: (i64, i64),
}

impl Decoded {
    /// Where the decoder puts the rows of a letter.
    pub(super) fn columns(&mut self, partition: (i32, i32), decoder: &Decoder) -> &mut TickColumns {
        let empty = || Part {
            rows: decoder.columns(),
            offsets: (i64::MAX, i64::MIN),
            replayed: ReplayedDeadLetters::default(),
        };
        &mut self.parts.entry(partition).or_insert_with(empty).rows
    }

    /// Says whose rows were put there last.
    pub(super) fn count(&mut self, letter: &Letter<'_>, rows: usize) {
        let (epoch, partition, offset) = letter.identity;
        let replayed = ReplayedDeadLetters { dead_letters: 1, rows: rows as i64 };
        if let Some(part) = self.parts.get_mut(&(epoch, partition)) {
            part.offsets = (offset.min(part.offsets.0), offset.max(part.offsets.1));
            part.replayed.add(replayed);
        }
        match self.by_reason.get_mut(letter.reason) {
            Some(all) => all.add(replayed),
            None => drop(self.by_reason.insert(letter.reason.to_owned(), replayed)),
        }
        self.letters += 1;
        self.rows += rows;
        self.bytes += letter.payload.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.letters == 0
    }

    pub(super) fn is_full(&self, letters: usize) -> bool {
        self.letters >= letters || self.rows >= ROWS || self.bytes >= BYTES
    }

    pub(super) fn by_reason(self) -> BTreeMap<String, ReplayedDeadLetters> {
        self.by_reason
    }

    /// Sorted files, as ingest writes them.
    ///
    /// # Errors
    /// Parquet refuses a value; nothing in a decoded batch should make it do so.
    pub(super) fn encode(self, encoder: &TickEncoder) -> Result<Ready, ReplayError> {
        let received_at = chrono::Utc::now().timestamp_micros();
        let replayed = self.parts.iter().map(|(partition, part)| (*partition, part.replayed)).collect();
        let mut event_ts = (i64::MAX, i64::MIN);
        let mut batches: BTreeMap<i32, Batch> = BTreeMap::new();
        for ((epoch, partition), Part { rows, offsets, .. }) in self.parts {
            if rows.is_empty() {
                continue;
            }
            event_ts = rows.ts.iter().fold(event_ts, |(low, high), ts| (low.min(*ts), high.max(*ts)));
            let mut chunk = Chunk::empty(partition, offsets.0, rows, received_at);
            chunk.range = OffsetRange::new(offsets.0, offsets.1 + 1).expect("a letter is in it");
            batches.entry(epoch).or_default().push(chunk).expect("a partition has one chunk");
        }
        let mut files = Vec::new();
        for (epoch, batch) in batches {
            let encoded = encoder.with_epoch(epoch).encode(&batch)?;
            files.extend(encoded.into_iter().map(|encoded| (encoded.file, encoded.bytes)));
        }
        Ok(Ready { files, replayed, by_reason: self.by_reason, event_ts })
    }
}

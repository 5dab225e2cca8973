//! Batches of decoded rows together with the offset range that they cover, per partition.

use std::collections::BTreeMap;

use crate::decode::{Rejection, SkipKind};
use crate::market::{Counts, InvalidRange, OffsetRange, TickColumns};

/// A message that the decoder rejected.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    pub partition: i32,
    pub offset: i64,
    pub kafka_ts: Option<i64>,
    pub key: Option<Vec<u8>>,
    /// The complete payload; for the reason `too_large`, its first 64 KiB.
    pub payload: Vec<u8>,
    pub payload_bytes: i64,
    pub sha256: [u8; 32],
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub rejection: Rejection,
}

/// Rows of a full chunk. Columns grow by doubling, so a power of two leaves no memory unused.
pub(in crate::ingest) const CHUNK_ROWS: usize = 4_096;

/// Consecutive messages of one partition that the consumer thread has decoded.
///
/// Invariant: `counts.offsets() == range.len()`, and ranges of one assignment follow each other without a gap.
#[derive(Debug)]
pub struct IngestChunk {
    pub partition: i32,
    pub range: OffsetRange,
    pub rows: TickColumns,
    pub dead: Vec<DeadLetter>,
    pub skips: BTreeMap<SkipKind, u64>,
    pub counts: Counts,
    /// Leader epoch of the record before `range.next()`; `None` if Kafka reported none.
    pub leader_epoch: Option<i32>,
    /// Microseconds since the epoch; the `ingested_at` of its rows.
    pub received_at: i64,
}

impl IngestChunk {
    /// Creates a chunk that covers no offsets yet.
    pub fn empty(partition: i32, start: i64, rows: TickColumns, received_at: i64) -> Self {
        Self {
            partition,
            range: OffsetRange::new(start, start).expect("an empty range is a range"),
            rows,
            dead: Vec::new(),
            skips: BTreeMap::new(),
            counts: Counts::default(),
            leader_epoch: None,
            received_at,
        }
    }

    /// Creates a chunk for a range that Kafka no longer holds.
    pub fn lost(partition: i32, range: OffsetRange, rows: TickColumns, received_at: i64) -> Self {
        let counts = Counts { lost: range.len(), ..Counts::default() };
        Self { range, counts, ..Self::empty(partition, range.start(), rows, received_at) }
    }

    /// Kafka timestamp of the last row or dead letter that has one; skipped records don't count.
    fn newest(&self) -> Option<i64> {
        let row = self.rows.kafka_ts.last().copied().filter(|time| *time != i64::MIN);
        row.max(self.dead.last().and_then(|dead_letter| dead_letter.kafka_ts))
    }

    /// Estimated bytes of memory, for the memory limit.
    pub fn memory_bytes(&self) -> usize {
        let header = |(name, value): &(String, Option<Vec<u8>>)| name.len() + value.as_ref().map_or(0, Vec::len) + 48;
        let dead_letter = |dead_letter: &DeadLetter| {
            let headers: usize = dead_letter.headers.iter().map(header).sum();
            dead_letter.payload.len() + dead_letter.key.as_ref().map_or(0, Vec::len) + headers + 256
        };
        self.rows.memory_bytes() + self.dead.iter().map(dead_letter).sum::<usize>()
    }
}

/// The chunks between two commits, by partition and in order.
///
/// Invariant: the chunks of a partition follow each other without a gap.
#[derive(Debug, Default)]
pub struct IngestBatch {
    partitions: BTreeMap<i32, Vec<IngestChunk>>,
    rows: usize,
    bytes: usize,
}

impl IngestBatch {
    /// # Errors
    /// The chunk does not begin where the partition's last one ended.
    pub fn push(&mut self, chunk: IngestChunk) -> Result<(), InvalidRange> {
        let chunks = self.partitions.entry(chunk.partition).or_default();
        if let Some(last) = chunks.last()
            && last.range.next() != chunk.range.start()
        {
            return Err(InvalidRange { start: last.range.next(), next: chunk.range.start() });
        }
        self.rows += chunk.rows.len();
        self.bytes += chunk.memory_bytes();
        chunks.push(chunk);
        Ok(())
    }

    /// Removes the chunks of one partition, which will be read again by its new owner.
    pub fn drop_partition(&mut self, partition: i32) {
        for chunk in self.partitions.remove(&partition).unwrap_or_default() {
            self.rows -= chunk.rows.len();
            self.bytes -= chunk.memory_bytes();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// Returns true if the batch has a start offset of the start policy, which has to be committed at once.
    pub fn has_start_position(&self) -> bool {
        self.chunks().any(|chunk| chunk.range.is_empty())
    }

    /// Returns true if the batch has more than offsets that advanced.
    pub fn has_content(&self) -> bool {
        self.chunks().any(|chunk| !chunk.rows.is_empty() || !chunk.dead.is_empty() || chunk.counts.lost > 0)
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn chunks(&self) -> impl Iterator<Item = &IngestChunk> {
        self.partitions.values().flatten()
    }

    /// Kafka timestamp of the last record of each partition that has one, milliseconds since the epoch.
    pub fn newest(&self) -> impl Iterator<Item = (i32, i64)> {
        self.partitions
            .iter()
            .filter_map(|(partition, chunks)| Some((*partition, chunks.iter().rev().find_map(IngestChunk::newest)?)))
    }

    /// Empties the batch: returns the dead letters in the order of partition and offset, and the skips by kind. The
    /// columns are passed to `done`.
    pub fn take_dead_letters_and_skips(
        &mut self,
        mut done: impl FnMut(TickColumns),
    ) -> (Vec<DeadLetter>, BTreeMap<SkipKind, u64>) {
        let (mut dead_letters, mut skips) = (Vec::new(), BTreeMap::new());
        for chunk in std::mem::take(self).partitions.into_values().flatten() {
            dead_letters.extend(chunk.dead);
            done(chunk.rows);
            for (kind, count) in chunk.skips {
                *skips.entry(kind).or_default() += count;
            }
        }
        (dead_letters, skips)
    }

    /// Range and counts of each partition, and the leader epoch of the record before the range's end.
    pub fn ranges(&self) -> impl Iterator<Item = (i32, OffsetRange, Counts, Option<i32>)> {
        self.partitions.iter().filter_map(|(partition, chunks)| {
            let (first, last) = (chunks.first()?, chunks.last()?);
            let mut counts = Counts::default();
            chunks.iter().for_each(|chunk| counts.add(&chunk.counts));
            let range = OffsetRange::new(first.range.start(), last.range.next()).expect("chunks follow each other");
            Some((*partition, range, counts, last.leader_epoch))
        })
    }
}

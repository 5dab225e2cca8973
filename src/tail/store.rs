//! The rows of the tail by partition: those that were read from Kafka and are not in the table's version yet.
//!
//! Invariant: of a partition it has the rows of all offsets of `[start, next)` and no others, where `start` is what the
//! version of the table covers. Small batches are merged.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow::error::ArrowError;

use super::rows::{TailBatch, TailRowBuilder};
use super::tail_event::TailChunk;

/// This many consecutive batches whose numbers of rows are in the same step are merged into one.
const STEPS: [Range<usize>; 2] = [0..512, 512..8_192];
const MERGED_BATCHES: usize = 16;

/// The rows of one partition.
#[derive(Debug, Default)]
struct PartitionTail {
    start: i64,
    next: i64,
    batches: VecDeque<Arc<TailBatch>>,
}

#[derive(Debug)]
pub(super) struct TailStore {
    maker: TailRowBuilder,
    /// Index of the offset column.
    offset: usize,
    parts: BTreeMap<i32, PartitionTail>,
    rows: usize,
    bytes: usize,
}

impl TailStore {
    /// # Errors
    /// The table has no offsets.
    pub(super) fn new(maker: TailRowBuilder) -> Result<Self, ArrowError> {
        let offset = maker.schema().index_of("kafka_offset")?;
        Ok(Self { maker, offset, parts: BTreeMap::new(), rows: 0, bytes: 0 })
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops all rows; they are read again.
    pub(super) fn clear(&mut self) {
        (self.rows, self.bytes) = (0, 0);
        self.parts.clear();
    }

    /// The table covers the offsets below these.
    pub(super) fn drop_committed(&mut self, next: &BTreeMap<i32, i64>) {
        for (partition, start) in next {
            let part = self
                .parts
                .entry(*partition)
                .or_insert_with(|| PartitionTail { next: *start, ..PartitionTail::default() });
            part.start = *start;
            part.next = part.next.max(*start);
            while let Some(first) = part.batches.front().filter(|first| first.offsets.0 < *start) {
                let (rows, bytes) = (first.rows.num_rows(), first.bytes);
                let kept = first.beginning_at(*start, self.offset).map(Arc::new);
                part.batches.pop_front();
                self.rows -= rows;
                self.bytes -= bytes;
                let Some(kept) = kept else { continue };
                self.rows += kept.rows.num_rows();
                self.bytes += kept.bytes;
                part.batches.push_front(kept);
                break;
            }
        }
    }

    /// # Errors
    /// See [`TailRowBuilder::batch`].
    pub(super) fn push(&mut self, chunk: TailChunk) -> Result<(), ArrowError> {
        let range = chunk.range;
        let Self { maker, offset, parts, rows, bytes } = self;
        let part = parts.entry(chunk.partition).or_insert_with(|| PartitionTail {
            start: range.start(),
            next: range.start(),
            ..PartitionTail::default()
        });
        if range.next() <= part.next {
            return Ok(());
        }
        // Rows below `from` were read already, or are in the table.
        let from = std::mem::replace(&mut part.next, range.next());
        let batch = maker.batch(chunk)?.and_then(|batch| batch.beginning_at(from, *offset));
        let Some(batch) = batch else { return Ok(()) };
        *rows += batch.rows.num_rows();
        *bytes += batch.bytes;
        part.batches.push_back(Arc::new(batch));
        for step in STEPS {
            let small = part.batches.iter().rev().take_while(|batch| step.contains(&batch.rows.num_rows())).count();
            if small >= MERGED_BATCHES {
                let parts: Vec<Arc<TailBatch>> = part.batches.drain(part.batches.len() - small..).collect();
                *bytes -= parts.iter().map(|batch| batch.bytes).sum::<usize>();
                if let Some(together) = TailBatch::together(&parts)? {
                    *bytes += together.bytes;
                    part.batches.push_back(Arc::new(together));
                }
            }
        }
        Ok(())
    }

    /// All batches, by partition.
    pub(super) fn batches(&self) -> Vec<Arc<TailBatch>> {
        self.parts.values().flat_map(|part| part.batches.iter().cloned()).collect()
    }

    /// By partition, the offset below which the table and these rows have everything.
    pub(super) fn covered(&self) -> BTreeMap<i32, i64> {
        self.parts.iter().map(|(partition, part)| (*partition, part.next)).collect()
    }
}

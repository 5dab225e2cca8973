//! The partitions that this worker owns, and the offsets up to which each was read and committed.

use std::collections::BTreeMap;

use crate::ingest::batching::batch::IngestChunk;
use crate::ingest::error::IngestError;
use crate::ingest::flushing::orphaned_dead_letters::OrphanedDeadLetters;

/// Invariant: `base <= next`, and the batch holds exactly `[base, next)` of the partition (`[first, next)` while
/// the table knows nothing of it), except for what a flush in flight took over, which moved `base` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ingest) struct OwnedPartition {
    /// Chunks must carry this generation of the assignment.
    pub generation: u64,
    /// The transaction version that the next flush expects.
    pub base: Option<i64>,
    /// The same for the dead letters.
    pub dead_base: Option<i64>,
    pub next: i64,
    /// Next offset that is known to be committed.
    pub committed: Option<i64>,
    /// Offset at which reading started.
    pub first: i64,
    /// End of the partition that a broker reported last.
    pub end: i64,
    /// Kafka timestamp of the newest record that was committed, milliseconds since the epoch.
    pub newest: Option<i64>,
    /// Offset at which `--until-latest` stops.
    pub target: Option<i64>,
    /// Dead letters that were committed without their ticks.
    pub orphaned: Option<OrphanedDeadLetters>,
}

impl OwnedPartition {
    /// Messages from the committed offset to the end.
    pub(in crate::ingest) fn lag(&self) -> i64 {
        (self.end - self.committed.unwrap_or(self.first)).max(0)
    }

    fn unread(&self) -> i64 {
        (self.end - self.next).max(0)
    }

    fn has_read(&self) -> bool {
        self.target.is_some_and(|target| self.next >= target)
    }

    fn has_committed(&self) -> bool {
        self.target.is_some_and(|target| self.committed.unwrap_or(self.first) >= target)
    }
}

#[derive(Debug, Default)]
pub(in crate::ingest) struct OwnedPartitions {
    owned: BTreeMap<i32, OwnedPartition>,
    generation: u64,
}

impl OwnedPartitions {
    /// Returns a generation that no chunk carries yet.
    pub(in crate::ingest) fn new_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    pub(in crate::ingest) fn insert(&mut self, number: i32, partition: OwnedPartition) {
        self.owned.insert(number, partition);
    }

    pub(in crate::ingest) fn remove(&mut self, number: i32) {
        self.owned.remove(&number);
    }

    pub(in crate::ingest) fn get(&self, number: i32) -> Option<&OwnedPartition> {
        self.owned.get(&number)
    }

    pub(in crate::ingest) fn get_mut(&mut self, number: i32) -> Option<&mut OwnedPartition> {
        self.owned.get_mut(&number)
    }

    pub(in crate::ingest) fn iter(&self) -> impl Iterator<Item = (i32, &OwnedPartition)> {
        self.owned.iter().map(|(number, partition)| (*number, partition))
    }

    /// Advances the partition by the range of a chunk. Returns false if the chunk belongs to an earlier assignment.
    ///
    /// # Errors
    /// The table has another verdict on one of its messages, or chunks between are missing.
    pub(in crate::ingest) fn accept(&mut self, generation: u64, chunk: &IngestChunk) -> Result<bool, IngestError> {
        let (number, range) = (chunk.partition, chunk.range);
        let owned = self.owned.get_mut(&number).filter(|partition| partition.generation == generation);
        let Some(partition) = owned else { return Ok(false) };
        if partition.next != range.start() {
            return Err(IngestError::OffsetGap { partition: number, expected: partition.next, found: range.start() });
        }
        if let Some(orphaned) = &partition.orphaned {
            orphaned.check(chunk)?;
        }
        partition.next = range.next();
        partition.end = partition.end.max(range.next());
        Ok(true)
    }

    /// Goes back to the committed offset; chunks that were read belong to an earlier generation then. Returns false if
    /// the partition isn't owned.
    pub(in crate::ingest) fn discard_uncommitted(&mut self, number: i32) -> bool {
        let generation = self.new_generation();
        let Some(partition) = self.owned.get_mut(&number) else { return false };
        partition.generation = generation;
        partition.next = partition.committed.unwrap_or(partition.first);
        true
    }

    /// Returns true if everything up to the targets is in a batch or in the table.
    pub(in crate::ingest) fn all_read(&self) -> bool {
        self.owned.values().all(OwnedPartition::has_read)
    }

    /// Returns true if everything up to the targets is in the table.
    pub(in crate::ingest) fn all_committed(&self) -> bool {
        self.owned.values().all(OwnedPartition::has_committed)
    }

    pub(in crate::ingest) fn lag(&self) -> i64 {
        self.owned.values().map(OwnedPartition::lag).sum()
    }

    pub(in crate::ingest) fn unread(&self) -> i64 {
        self.owned.values().map(OwnedPartition::unread).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{OffsetRange, TickColumns};

    fn partition(generation: u64, next: i64) -> OwnedPartition {
        let at = Some(next);
        let (base, dead_base, committed, newest) = (at, None, at, None);
        let (first, end, target, orphaned) = (0, 50, Some(50), None);
        OwnedPartition { generation, base, dead_base, next, committed, first, end, newest, target, orphaned }
    }

    fn chunk(number: i32, start: i64, next: i64) -> IngestChunk {
        let mut chunk = IngestChunk::empty(number, start, TickColumns::default(), 0);
        chunk.range = OffsetRange::new(start, next).unwrap();
        chunk
    }

    #[test]
    fn chunks_of_an_earlier_assignment_are_not_taken() {
        let mut partitions = OwnedPartitions::default();
        let (old, new) = (partitions.new_generation(), partitions.new_generation());
        partitions.insert(4, partition(new, 10));
        assert!(!partitions.accept(old, &chunk(4, 10, 20)).unwrap(), "another generation");
        let gap = partitions.accept(new, &chunk(4, 11, 20));
        assert!(matches!(gap, Err(IngestError::OffsetGap { partition: 4, expected: 10, found: 11 })), "{gap:?}");
        assert!(!partitions.accept(new, &chunk(5, 10, 20)).unwrap(), "not owned");
        assert!(partitions.accept(new, &chunk(4, 10, 20)).unwrap());
        assert!(partitions.accept(new, &chunk(4, 20, 50)).unwrap());
        assert!(partitions.all_read());
        assert_eq!(partitions.lag(), 40);
    }

    #[test]
    fn a_partition_that_has_to_be_read_again_is_not_done() {
        let mut partitions = OwnedPartitions::default();
        let generation = partitions.new_generation();
        partitions.insert(4, partition(generation, 10));
        assert!(partitions.accept(generation, &chunk(4, 10, 50)).unwrap());
        assert!(partitions.all_read());
        assert!(partitions.discard_uncommitted(4) && !partitions.discard_uncommitted(5));
        assert!(!partitions.all_read());
        assert!(!partitions.accept(generation, &chunk(4, 10, 50)).unwrap());
    }
}

//! The partitions that this worker owns, and how far each of them is.

use std::collections::BTreeMap;

use crate::ingest::batching::batch::Chunk;
use crate::ingest::error::IngestError;
use crate::ingest::flushing::orphaned_dead_letters::Buried;

/// Invariant: `base <= next`, and the batch holds exactly `[base, next)` of the partition (`[first, next)` while
/// the table knows nothing of it), except for what a flush in flight took over, which moved `base` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ingest) struct Partition {
    /// Of the assignment that its chunks must belong to.
    pub generation: u64,
    /// The transaction version that the next flush expects.
    pub base: Option<i64>,
    /// The same, of the dead letters.
    pub dead_base: Option<i64>,
    pub next: i64,
    /// Committed for sure.
    pub committed: Option<i64>,
    /// Where reading began.
    pub first: i64,
    /// End of the partition, as last heard.
    pub end: i64,
    /// Kafka timestamp of the newest record that was committed, milliseconds since the epoch.
    pub newest: Option<i64>,
    /// Where `--until-latest` stops.
    pub target: Option<i64>,
    /// Verdicts that were committed already.
    pub buried: Option<Buried>,
}

impl Partition {
    /// Messages from what is committed to the end.
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
pub(in crate::ingest) struct Partitions {
    owned: BTreeMap<i32, Partition>,
    generation: u64,
}

impl Partitions {
    /// A number that no chunk carries yet.
    pub(in crate::ingest) fn new_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    pub(in crate::ingest) fn insert(&mut self, number: i32, partition: Partition) {
        self.owned.insert(number, partition);
    }

    pub(in crate::ingest) fn remove(&mut self, number: i32) {
        self.owned.remove(&number);
    }

    pub(in crate::ingest) fn get(&self, number: i32) -> Option<&Partition> {
        self.owned.get(&number)
    }

    pub(in crate::ingest) fn get_mut(&mut self, number: i32) -> Option<&mut Partition> {
        self.owned.get_mut(&number)
    }

    pub(in crate::ingest) fn iter(&self) -> impl Iterator<Item = (i32, &Partition)> {
        self.owned.iter().map(|(number, partition)| (*number, partition))
    }

    /// Takes a chunk's range in, if it belongs to the present assignment.
    ///
    /// # Errors
    /// The table has another verdict on one of its messages, or chunks between are missing.
    pub(in crate::ingest) fn accept(&mut self, generation: u64, chunk: &Chunk) -> Result<bool, IngestError> {
        let (number, range) = (chunk.partition, chunk.range);
        let owned = self.owned.get_mut(&number).filter(|partition| partition.generation == generation);
        let Some(partition) = owned else { return Ok(false) };
        if partition.next != range.start() {
            return Err(IngestError::Gap { partition: number, expected: partition.next, found: range.start() });
        }
        if let Some(buried) = &partition.buried {
            buried.check(chunk)?;
        }
        partition.next = range.next();
        partition.end = partition.end.max(range.next());
        Ok(true)
    }

    /// Forgets what was read and not committed: its chunks belong to an earlier generation. False: not owned.
    pub(in crate::ingest) fn begin_again(&mut self, number: i32) -> bool {
        let generation = self.new_generation();
        let Some(partition) = self.owned.get_mut(&number) else { return false };
        partition.generation = generation;
        partition.next = partition.committed.unwrap_or(partition.first);
        true
    }

    /// Everything up to the targets is in a batch or in the table.
    pub(in crate::ingest) fn all_read(&self) -> bool {
        self.owned.values().all(Partition::has_read)
    }

    /// Everything up to the targets is in the table.
    pub(in crate::ingest) fn all_committed(&self) -> bool {
        self.owned.values().all(Partition::has_committed)
    }

    pub(in crate::ingest) fn lag(&self) -> i64 {
        self.owned.values().map(Partition::lag).sum()
    }

    pub(in crate::ingest) fn unread(&self) -> i64 {
        self.owned.values().map(Partition::unread).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{OffsetRange, TickColumns};

    fn partition(generation: u64, next: i64) -> Partition {
        let at = Some(next);
        let (base, dead_base, committed, newest) = (at, None, at, None);
        let (first, end, target, buried) = (0, 50, Some(50), None);
        Partition { generation, base, dead_base, next, committed, first, end, newest, target, buried }
    }

    fn chunk(number: i32, start: i64, next: i64) -> Chunk {
        let mut chunk = Chunk::empty(number, start, TickColumns::default(), 0);
        chunk.range = OffsetRange::new(start, next).unwrap();
        chunk
    }

    #[test]
    fn chunks_of_an_earlier_assignment_are_not_taken() {
        let mut partitions = Partitions::default();
        let (old, new) = (partitions.new_generation(), partitions.new_generation());
        partitions.insert(4, partition(new, 10));
        assert!(!partitions.accept(old, &chunk(4, 10, 20)).unwrap(), "another generation");
        let gap = partitions.accept(new, &chunk(4, 11, 20));
        assert!(matches!(gap, Err(IngestError::Gap { partition: 4, expected: 10, found: 11 })), "{gap:?}");
        assert!(!partitions.accept(new, &chunk(5, 10, 20)).unwrap(), "not owned");
        assert!(partitions.accept(new, &chunk(4, 10, 20)).unwrap());
        assert!(partitions.accept(new, &chunk(4, 20, 50)).unwrap());
        assert!(partitions.all_read());
        assert_eq!(partitions.lag(), 40);
    }

    #[test]
    fn a_partition_that_has_to_be_read_again_is_not_done() {
        let mut partitions = Partitions::default();
        let generation = partitions.new_generation();
        partitions.insert(4, partition(generation, 10));
        assert!(partitions.accept(generation, &chunk(4, 10, 50)).unwrap());
        assert!(partitions.all_read());
        assert!(partitions.begin_again(4) && !partitions.begin_again(5));
        assert!(!partitions.all_read());
        assert!(!partitions.accept(generation, &chunk(4, 10, 50)).unwrap());
    }
}

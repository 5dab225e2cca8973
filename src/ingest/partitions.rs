//! The partitions that this worker owns, and how far each of them is.

use std::collections::BTreeMap;

use crate::market::OffsetRange;

/// Invariant: `base <= next`, and the batch holds exactly `[base, next)` of the partition (`[first, next)` while
/// the table knows nothing of it), except for what a flush in flight took over, which moved `base` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partition {
    /// Of the assignment that its chunks must belong to.
    pub generation: u64,
    /// The transaction version that the next flush expects.
    pub base: Option<i64>,
    pub next: i64,
    /// Committed for sure.
    pub committed: Option<i64>,
    pub low: i64,
    /// End of the partition, as last heard.
    pub end: i64,
    /// Where `--until-latest` stops.
    pub target: Option<i64>,
}

impl Partition {
    fn is_done(&self) -> bool {
        self.target.is_some_and(|target| self.next >= target)
    }
}

#[derive(Debug, Default)]
pub(super) struct Partitions {
    owned: BTreeMap<i32, Partition>,
    generation: u64,
}

impl Partitions {
    /// A number that no chunk carries yet.
    pub(super) fn new_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    pub(super) fn insert(&mut self, number: i32, partition: Partition) {
        self.owned.insert(number, partition);
    }

    pub(super) fn remove(&mut self, number: i32) {
        self.owned.remove(&number);
    }

    pub(super) fn get(&self, number: i32) -> Option<&Partition> {
        self.owned.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: i32) -> Option<&mut Partition> {
        self.owned.get_mut(&number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i32, &Partition)> {
        self.owned.iter().map(|(number, partition)| (*number, partition))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.owned.is_empty()
    }

    /// Takes a chunk's range in, if it belongs to the present assignment.
    pub(super) fn accept(&mut self, number: i32, generation: u64, range: OffsetRange) -> bool {
        match self.owned.get_mut(&number) {
            Some(partition) if partition.generation == generation && partition.next == range.start() => {
                partition.next = range.next();
                partition.end = partition.end.max(range.next());
                true
            }
            _ => false,
        }
    }

    /// Everything up to the end captured at assignment is in a batch or in the table.
    pub(super) fn all_done(&self) -> bool {
        !self.owned.is_empty() && self.owned.values().all(Partition::is_done)
    }

    pub(super) fn lag(&self) -> i64 {
        let behind = |partition: &Partition| (partition.end - partition.committed.unwrap_or(partition.low)).max(0);
        self.owned.values().map(behind).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(generation: u64, next: i64) -> Partition {
        Partition { generation, base: Some(next), next, committed: Some(next), low: 0, end: 50, target: Some(50) }
    }

    #[test]
    fn chunks_of_an_earlier_assignment_are_not_taken() {
        let mut partitions = Partitions::default();
        let (old, new) = (partitions.new_generation(), partitions.new_generation());
        partitions.insert(4, partition(new, 10));
        let range = |start, next| OffsetRange::new(start, next).unwrap();
        assert!(!partitions.accept(4, old, range(10, 20)), "another generation");
        assert!(!partitions.accept(4, new, range(11, 20)), "a gap");
        assert!(!partitions.accept(5, new, range(10, 20)), "not owned");
        assert!(partitions.accept(4, new, range(10, 20)));
        assert!(partitions.accept(4, new, range(20, 50)));
        assert!(partitions.all_done());
        assert_eq!(partitions.lag(), 40);
    }
}

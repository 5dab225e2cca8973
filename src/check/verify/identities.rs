//! The identities of the rows of a table, compact enough for 100 million rows.
//!
//! There is a set of offsets, stored as a compressed bitmap, for each (epoch, partition, index in the message). The
//! offsets of a partition are consecutive, so a set is dense and takes one bit per offset: 12 MiB for 100 million
//! messages of one tick, and the same for each further tick per message. Where offsets are sparse, for example after
//! filters or compaction of the topic, a bitmap of 65,536 offsets becomes a list of 2 bytes per row, so 100 million
//! rows take at most 200 MiB. Sorted runs on disk would need less memory but a second pass; a hash set would take 2
//! GiB.

use std::collections::BTreeMap;
use std::ops::Range;

use roaring::RoaringTreemap;

/// Identities by epoch and partition.
#[derive(Debug, Default)]
pub(super) struct RowKeys {
    partitions: BTreeMap<(i32, i32), PartitionIdentities>,
}

/// Identities of one partition.
#[derive(Debug, Default)]
pub(super) struct PartitionIdentities {
    /// Offsets by index in the message.
    levels: BTreeMap<i32, RoaringTreemap>,
    /// Offsets with duplicate identities.
    twice: RoaringTreemap,
}

impl RowKeys {
    /// Adds an identity. Returns false if it already exists.
    pub(super) fn add(&mut self, partition: (i32, i32), offset: u64, index: i32) -> bool {
        let offsets = self.partitions.entry(partition).or_default();
        let is_new = offsets.levels.entry(index).or_default().insert(offset);
        if !is_new {
            offsets.twice.insert(offset);
        }
        is_new
    }

    pub(super) fn of(&self, epoch: i32, partition: i32) -> Option<&PartitionIdentities> {
        self.partitions.get(&(epoch, partition))
    }

    /// The (epoch, partition) pairs of all rows.
    pub(super) fn partitions(&self) -> impl Iterator<Item = (i32, i32)> {
        self.partitions.keys().copied()
    }
}

impl PartitionIdentities {
    /// Number of rows whose offsets are in the range but not in `others`; duplicate identities count once.
    pub(super) fn rows_outside(&self, range: &Range<u64>, others: &RoaringTreemap) -> u64 {
        let outside = |level: &RoaringTreemap| {
            level.range_cardinality(range.clone()) - (level & others).range_cardinality(range.clone())
        };
        self.levels.values().map(outside).sum()
    }

    /// Offsets that have a row.
    pub(super) fn offsets(&self) -> RoaringTreemap {
        self.levels.values().fold(RoaringTreemap::new(), |all, level| all | level)
    }

    pub(super) fn twice(&self) -> &RoaringTreemap {
        &self.twice
    }
}

/// The first `limit` runs of consecutive offsets in the range that are not in `present`.
pub(super) fn gaps(range: &Range<u64>, present: &RoaringTreemap, limit: usize) -> Vec<Range<u64>> {
    let mut found = Vec::new();
    let mut at = range.start;
    while at < range.end && found.len() < limit {
        // Binary search for the end of the run of present offsets that starts at `at`.
        let has_all = |end: u64| present.range_cardinality(at..end) == end - at;
        let (mut full, mut lacks) = (at, range.end + 1);
        while lacks - full > 1 {
            let middle = full + (lacks - full) / 2;
            if middle <= range.end && has_all(middle) { full = middle } else { lacks = middle }
        }
        if full >= range.end {
            break;
        }
        let mut later = present.iter();
        later.advance_to(full);
        let end = later.next().map_or(range.end, |next| next.min(range.end));
        found.push(full..end);
        at = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_of_identities_is_what_a_plain_set_is(
            rows in prop::collection::vec((0i32..2, 0i32..3, 0u64..200_000, 0i32..3), 0..300),
        ) {
            let (mut identities, mut plain) = (RowKeys::default(), BTreeSet::new());
            for &(epoch, partition, offset, index) in &rows {
                prop_assert_eq!(
                    identities.add((epoch, partition), offset, index),
                    plain.insert((epoch, partition, offset, index))
                );
            }
            let (range, others) = (1_000..100_000, (0..200_000).step_by(7).collect::<RoaringTreemap>());
            for (epoch, partition) in identities.partitions() {
                let offsets = identities.of(epoch, partition).unwrap();
                let here = || plain.iter().filter(|row| (row.0, row.1) == (epoch, partition));
                let outside = here().filter(|row| range.contains(&row.2) && row.2 % 7 != 0).count();
                prop_assert_eq!(offsets.rows_outside(&range, &others), outside as u64);
                let distinct: BTreeSet<u64> = here().map(|row| row.2).collect();
                prop_assert_eq!(offsets.offsets().len(), distinct.len() as u64);
            }
        }

        #[test]
        fn gaps_are_the_missing_offsets(
            present in prop::collection::btree_set(0u64..40, 0..40), start in 0u64..20, length in 0u64..30
        ) {
            let range = start..start + length;
            let set: RoaringTreemap = present.iter().copied().collect();
            let all: Vec<u64> = gaps(&range, &set, usize::MAX).into_iter().flatten().collect();
            let expected: Vec<u64> = range.clone().filter(|offset| !present.contains(offset)).collect();
            prop_assert_eq!(all, expected);
        }
    }
}

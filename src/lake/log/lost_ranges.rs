//! Ranges of offsets that an operator gave up, so that a check expects only the others.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::market::OffsetRange;

/// Maximum number of ranges of a partition. Every commit repeats them; each is one decision of an operator and takes
/// about 20 bytes.
const MOST: usize = 256;

/// Invariant, unless the log is damaged: the ranges are sorted, not empty, and don't touch each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LostRanges(Vec<[i64; 2]>);

impl LostRanges {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Range<i64>> {
        self.0.iter().map(|[start, next]| *start..*next)
    }

    pub fn offsets(&self) -> i64 {
        self.iter().fold(0, |sum, range| sum.saturating_add(range.end.saturating_sub(range.start).max(0)))
    }

    pub fn contains(&self, offset: i64) -> bool {
        let behind = self.0.partition_point(|[start, _]| *start <= offset);
        behind.checked_sub(1).is_some_and(|at| offset < self.0[at][1])
    }

    /// Whether the invariant holds and all of them are within `[first, next)`.
    pub fn are_valid(&self, first: i64, next: i64) -> bool {
        let mut from = first;
        self.0.iter().all(|[start, end]| {
            let is_valid = *start >= from && start < end && *end <= next;
            from = end.saturating_add(1);
            is_valid
        })
    }

    /// Appends a range after all others. Beyond [`MOST`] ranges the oldest one is removed and returned, as Kafka
    /// deletes its offsets first.
    pub(in crate::lake) fn push(&mut self, range: OffsetRange) -> Option<OffsetRange> {
        match self.0.last_mut() {
            _ if range.is_empty() => return None,
            Some([_, next]) if *next >= range.start() => *next = range.next(),
            _ => self.0.push([range.start(), range.next()]),
        }
        let [start, next] = (self.0.len() > MOST).then(|| self.0.remove(0))?;
        OffsetRange::new(start, next).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(start: i64, next: i64) -> OffsetRange {
        OffsetRange::new(start, next).unwrap()
    }

    proptest! {
        #[test]
        fn exactly_the_offsets_of_the_ranges_are_in_them(steps in prop::collection::vec((0i64..3, 0i64..4), 0..20)) {
            let (mut lost, mut plain, mut at) = (LostRanges::default(), Vec::new(), 5);
            for (kept, given_up) in steps {
                let start = at + kept;
                prop_assert_eq!(lost.push(range(start, start + given_up)), None);
                plain.extend(start..start + given_up);
                at = start + given_up;
            }
            let found: Vec<i64> = (0..at + 2).filter(|offset| lost.contains(*offset)).collect();
            prop_assert_eq!(&found, &plain);
            prop_assert_eq!(lost.offsets(), plain.len() as i64);
            prop_assert!(lost.are_valid(5, at));
        }
    }

    #[test]
    fn above_the_bound_the_oldest_goes() {
        let mut lost = LostRanges::default();
        for number in 0..MOST as i64 {
            assert_eq!(lost.push(range(10 * number, 10 * number + 1)), None);
        }
        assert_eq!(lost.push(range(9_000, 9_005)), Some(range(0, 1)));
        assert_eq!((lost.offsets(), lost.contains(0), lost.contains(10)), (MOST as i64 + 4, false, true));
    }

    #[test]
    fn ranges_of_a_damaged_log_are_not_valid() {
        let lost = |text: &str| serde_json::from_str::<LostRanges>(text).unwrap();
        assert!(lost("[[3,5],[7,9]]").are_valid(3, 9));
        for wrong in ["[[3,3]]", "[[5,3]]", "[[3,5],[5,9]]", "[[7,9],[3,5]]", "[[2,5]]", "[[7,10]]"] {
            assert!(!lost(wrong).are_valid(3, 9), "{wrong}");
        }
        let extreme = lost("[[-9223372036854775808,9223372036854775807],[0,9223372036854775807]]");
        assert!(!extreme.are_valid(0, i64::MAX) && extreme.offsets() > 0);
    }
}

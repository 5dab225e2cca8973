//! Delta transactions of partitions: their names, and how a commit moves one.

use crate::market::{Counts, OffsetRange};

/// How one partition moves in a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    pub partition: i32,
    /// The transaction version that the batch was built on: `next_offset` (or `dead_next_offset`) as it was read
    /// before; `None` if there was none.
    pub base: Option<i64>,
    pub range: OffsetRange,
    /// The `lost` offsets are the first ones of the range: reading continues after them.
    pub counts: Counts,
    /// Leader epoch of the record before `range.next()`; `None` if it isn't known, or if that record is no longer in
    /// Kafka's log.
    pub leader_epoch: Option<i32>,
}

impl Advance {
    /// Offsets of the range that an operator gave up.
    pub(in crate::lake) fn lost(&self) -> Option<OffsetRange> {
        let start = self.range.start();
        OffsetRange::new(start, start.checked_add(self.counts.lost)?).ok().filter(|lost| !lost.is_empty())
    }

    /// Dead letters of `[first, next)`; the other offsets of the range are in ticks.
    pub fn dead(partition: i32, base: Option<i64>, first: i64, next: i64, dead: i64) -> Self {
        let range = OffsetRange::new(first, next.max(first)).expect("offsets are not negative");
        let counts = Counts { dead, ..Counts::default() };
        Self { partition, base, range, counts, leader_epoch: None }
    }
}

pub(in crate::lake) fn app_id(epoch: i32, partition: i32) -> String {
    format!("tickhouse/{epoch}/{partition}")
}

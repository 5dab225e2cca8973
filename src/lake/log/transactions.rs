//! Delta transactions of partitions: their names, and how a commit moves one.

use crate::market::{Counts, OffsetRange};

/// How one partition moves in a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    pub partition: i32,
    /// The transaction version that the batch was built on: `next_offset` (or `dead_next_offset`) as it was
    /// read before; `None` where there was none.
    pub base: Option<i64>,
    pub range: OffsetRange,
    /// Those that are `lost` are the first of the range: reading goes on behind them.
    pub counts: Counts,
    /// Of the record before `range.next()`; `None` where it isn't known, or no position in Kafka's log any more.
    pub leader_epoch: Option<i32>,
}

impl Advance {
    /// Offsets of the range that are given up.
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

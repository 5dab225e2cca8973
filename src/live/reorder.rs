//! A bounded buffer that puts the ticks of one partition into order of event time.
//!
//! Invariant: when a tick leaves depends on the ticks of the partition up to some offset alone, so that a restart lets
//! it go at the same place.

use std::collections::BTreeMap;

use crate::live::event::TickId;
use crate::live::rolling::TickValues;

/// Offsets that a tick may wait; beyond, it leaves early with all that are older. Commits wait for it, too.
const MOST_OFFSETS: i64 = 16_384;

/// Ticks that wait, by (event time, offset, index).
#[derive(Debug)]
pub(in crate::live) struct ReorderBuffer {
    by_time: BTreeMap<(i64, i64, i32), BufferedTick>,
    /// Event time by (offset, index).
    by_offset: BTreeMap<(i64, i32), i64>,
    /// Newest event time of the partition.
    clock: i64,
    newest_offset: i64,
}

#[derive(Debug)]
pub(in crate::live) struct BufferedTick {
    pub symbol: u32,
    pub point: TickValues,
    pub tick: TickId,
    pub emits: bool,
}

impl Default for ReorderBuffer {
    fn default() -> Self {
        let (by_time, by_offset) = (BTreeMap::new(), BTreeMap::new());
        Self { by_time, by_offset, clock: i64::MIN, newest_offset: i64::MIN }
    }
}

impl ReorderBuffer {
    /// Advances the clock by a tick that is not buffered.
    pub(in crate::live) fn passed(&mut self, ts: i64) {
        self.clock = self.clock.max(ts);
    }

    pub(in crate::live) fn push(&mut self, waited: BufferedTick) {
        let BufferedTick { point, tick: TickId { offset, index, .. }, .. } = &waited;
        let (ts, offset, index) = (point.ts, *offset, *index);
        self.passed(ts);
        self.newest_offset = self.newest_offset.max(offset);
        self.by_offset.insert((offset, index), ts);
        self.by_time.insert((ts, offset, index), waited);
    }

    /// The oldest tick, once the partition is ahead of it by `reorder` microseconds or one has waited too long.
    pub(in crate::live) fn next_due(&mut self, reorder: i64) -> Option<BufferedTick> {
        let oldest = self.by_time.first_key_value()?.0.0;
        let is_late = |first: i64| self.newest_offset - first >= MOST_OFFSETS;
        if oldest > self.clock.saturating_sub(reorder) && !self.first_offset().is_some_and(is_late) {
            return None;
        }
        let ((_, offset, index), waited) = self.by_time.pop_first()?;
        self.by_offset.remove(&(offset, index));
        Some(waited)
    }

    pub(in crate::live) fn first_offset(&self) -> Option<i64> {
        self.by_offset.first_key_value().map(|((offset, _), _)| *offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(waiting: &mut ReorderBuffer, ts: i64, offset: i64) {
        let point = TickValues { ts, trade_date: 0, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: 1.0 };
        let tick = TickId { epoch: 0, partition: 3, offset, index: 0 };
        waiting.push(BufferedTick { symbol: 0, point, tick, emits: true });
    }

    #[test]
    fn ticks_leave_by_their_time_when_newer_ones_are_far_enough_ahead() {
        let mut waiting = ReorderBuffer::default();
        for (offset, ts) in [(1, 50), (2, 40), (3, 60)] {
            push(&mut waiting, ts, offset);
        }
        assert!(waiting.next_due(21).is_none());
        assert_eq!(waiting.first_offset(), Some(1));
        let mut leave = || waiting.next_due(10).map(|waited| (waited.point.ts, waited.tick.offset));
        assert_eq!([leave(), leave(), leave()], [Some((40, 2)), Some((50, 1)), None]);
        assert_eq!(waiting.first_offset(), Some(3));
        waiting.passed(70);
        assert_eq!(waiting.next_due(10).map(|waited| waited.tick.offset), Some(3));
        assert_eq!(waiting.first_offset(), None);
    }

    #[test]
    fn none_waits_for_more_offsets_than_are_allowed() {
        let mut waiting = ReorderBuffer::default();
        // A clock that jumped: nothing gets ahead of it.
        push(&mut waiting, i64::MAX, 0);
        for offset in 1..MOST_OFFSETS {
            push(&mut waiting, offset, offset);
            assert_eq!(waiting.next_due(0).map(|waited| waited.tick.offset), Some(offset));
        }
        assert_eq!(waiting.first_offset(), Some(0));
        push(&mut waiting, 5, MOST_OFFSETS);
        let left: Vec<i64> = std::iter::from_fn(|| waiting.next_due(1)).map(|waited| waited.tick.offset).collect();
        assert_eq!(left, [MOST_OFFSETS, 0]);
    }
}

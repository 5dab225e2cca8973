//! Ticks of one symbol that wait for older ones, in event time, bounded.

use std::collections::BTreeMap;

use super::event::TickId;
use super::rolling::Point;

/// A symbol's ticks that may wait; beyond, the oldest is let go early. Some seconds of a busy symbol.
const MAX_WAITING: usize = 4_096;

/// In the order of windows: event time, then partition, offset and index.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<Place, Waited>);

type Place = (i64, i32, i64, i32);
/// Whether its events are wanted comes last.
type Waited = (Point, TickId, bool);

impl Waiting {
    pub(super) fn push(&mut self, point: Point, tick: TickId, emits: bool) {
        self.0.insert((point.ts, tick.partition, tick.offset, tick.index), (point, tick, emits));
    }

    /// The oldest, when the newest is newer by `reorder` microseconds or too many wait.
    pub(super) fn next_due(&mut self, reorder: i64) -> Option<Waited> {
        let (newest, oldest) = (self.0.last_key_value()?.0.0, self.0.first_key_value()?.0.0);
        let is_due = oldest <= newest.saturating_sub(reorder) || self.0.len() > MAX_WAITING;
        is_due.then(|| self.0.pop_first()).flatten().map(|(_, waited)| waited)
    }

    pub(super) fn first_offset(&self, partition: i32) -> Option<i64> {
        self.0.keys().filter(|key| key.1 == partition).map(|key| key.2).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(waiting: &mut Waiting, ts: i64, offset: i64) {
        let point = Point { ts, trade_date: 0, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: 1.0 };
        waiting.push(point, TickId { epoch: 0, partition: 3, offset, index: 0 }, true);
    }

    #[test]
    fn ticks_leave_by_their_time_when_newer_ones_are_far_enough_ahead() {
        let mut waiting = Waiting::default();
        for (offset, ts) in [(1, 50), (2, 40), (3, 60)] {
            push(&mut waiting, ts, offset);
        }
        assert!(waiting.next_due(21).is_none());
        assert_eq!(waiting.first_offset(3), Some(1));
        let mut leave = || waiting.next_due(10).map(|(point, tick, _)| (point.ts, tick.offset));
        assert_eq!([leave(), leave(), leave()], [Some((40, 2)), Some((50, 1)), None]);
        assert_eq!((waiting.first_offset(3), waiting.first_offset(4)), (Some(3), None));
    }

    #[test]
    fn no_more_wait_than_are_allowed() {
        let mut waiting = Waiting::default();
        for offset in 0..=MAX_WAITING as i64 {
            push(&mut waiting, offset, offset);
        }
        assert_eq!(waiting.next_due(i64::MAX).map(|(point, ..)| point.ts), Some(0));
        assert!(waiting.next_due(i64::MAX).is_none());
    }
}

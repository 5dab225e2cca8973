//! When the next message is due.
//!
//! Due times are computed from the start, never from the message before, so a pace does not drift; what a stall held
//! back is caught up.

use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as the broker takes it.
    FlatOut,
    /// Messages a second, evenly.
    Rate(f64),
    /// By the event times, so many times as fast as they went.
    EventTime { speed: f64 },
}

/// Due times since the start.
#[derive(Debug, Clone)]
pub(super) struct SendSchedule {
    pace: Pace,
    first_ts: Option<i64>,
}

impl SendSchedule {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, first_ts: None }
    }

    /// When message number `sent` is due by its number. `None`: at once.
    pub(super) fn due_by_count(&self, sent: u64) -> Option<Duration> {
        match self.pace {
            Pace::Rate(rate) => Some(seconds(sent as f64 / rate)),
            _ => None,
        }
    }

    /// When a message is due by its event time. `None`: at once, also for one that is out of order.
    pub(super) fn due_by_time(&mut self, ts: Option<i64>) -> Option<Duration> {
        let (Pace::EventTime { speed }, Some(ts)) = (self.pace, ts) else { return None };
        let first = *self.first_ts.get_or_insert(ts);
        let micros = u64::try_from(ts.saturating_sub(first)).ok()?;
        Some(seconds(micros as f64 / 1e6 / speed))
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_does_not_drift() {
        let schedule = SendSchedule::new(Pace::Rate(3.0));
        assert_eq!(schedule.due_by_count(0), Some(Duration::ZERO));
        assert_eq!(schedule.due_by_count(3_000_000), Some(Duration::from_secs(1_000_000)));
        assert_eq!(SendSchedule::new(Pace::FlatOut).due_by_count(5), None);
        assert_eq!(SendSchedule::new(Pace::Rate(1e-300)).due_by_count(5), Some(Duration::MAX));
    }

    #[test]
    fn event_times_count_from_the_first() {
        let mut schedule = SendSchedule::new(Pace::EventTime { speed: 60.0 });
        assert_eq!(schedule.due_by_time(Some(1_000_000_000)), Some(Duration::ZERO));
        assert_eq!(schedule.due_by_time(Some(1_060_000_000)), Some(Duration::from_secs(1)));
        assert_eq!(schedule.due_by_time(Some(900_000_000)), None);
        assert_eq!(schedule.due_by_time(None), None);
    }
}

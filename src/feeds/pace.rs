//! How fast messages are sent: by a schedule, so that a late one is made up for.

use std::str::FromStr;
use std::time::{Duration, Instant};

/// Pace of a replay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as Kafka takes them.
    FlatOut,
    /// Event time, so many times as fast.
    Times(f64),
}

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let factor = match text {
            "max" => return Ok(Self::FlatOut),
            "original" => Some(1.0),
            _ => text.strip_suffix('x').and_then(|number| number.parse::<f64>().ok()),
        };
        match factor.filter(|factor| factor.is_finite() && *factor > 0.0) {
            Some(factor) => Ok(Self::Times(factor)),
            None => Err(format!("'{text}' is no pace; write max, original or a multiple like 10x")),
        }
    }
}

/// When the next message is due.
#[derive(Debug, Clone)]
pub struct Schedule {
    started: Instant,
    /// Of a fixed rate: messages a second.
    rate: Option<f64>,
    factor: Option<f64>,
    first_ts: Option<i64>,
    sent: u64,
}

impl Schedule {
    /// `messages_per_second` 0: flat out.
    pub fn rate(messages_per_second: f64) -> Self {
        let rate = (messages_per_second > 0.0).then_some(messages_per_second);
        Self { started: Instant::now(), rate, factor: None, first_ts: None, sent: 0 }
    }

    pub fn paced(pace: Pace) -> Self {
        let factor = match pace {
            Pace::FlatOut => None,
            Pace::Times(factor) => Some(factor),
        };
        Self { factor, ..Self::rate(0.0) }
    }

    /// How long to wait before the next message, whose event time is `ts` (microseconds) if it is known.
    pub fn wait(&mut self, ts: Option<i64>) -> Duration {
        let due = match (self.rate, self.factor, ts) {
            (Some(rate), ..) => self.sent as f64 / rate,
            (None, Some(factor), Some(ts)) => {
                let first = *self.first_ts.get_or_insert(ts);
                (ts - first).max(0) as f64 * 1e-6 / factor
            }
            _ => return Duration::ZERO,
        };
        self.sent += 1;
        Duration::try_from_secs_f64(due).unwrap_or(Duration::MAX).saturating_sub(self.started.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paces_are_read() {
        assert_eq!("max".parse(), Ok(Pace::FlatOut));
        assert_eq!("original".parse(), Ok(Pace::Times(1.0)));
        assert_eq!("2.5x".parse(), Ok(Pace::Times(2.5)));
        for wrong in ["", "x", "0x", "-1x", "fast"] {
            assert!(wrong.parse::<Pace>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_schedule_follows_event_time() {
        let mut schedule = Schedule::paced(Pace::Times(2.0));
        assert_eq!(schedule.wait(Some(1_000_000)), Duration::ZERO);
        let wait = schedule.wait(Some(21_000_000));
        assert!(wait > Duration::from_secs(9) && wait <= Duration::from_secs(10), "{wait:?}");
        assert_eq!(Schedule::paced(Pace::FlatOut).wait(Some(5)), Duration::ZERO);
        let mut schedule = Schedule::rate(0.1);
        schedule.wait(None);
        assert!(schedule.wait(None) > Duration::from_secs(9));
    }
}

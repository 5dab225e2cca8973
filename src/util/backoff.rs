//! Pauses between attempts: each is twice as long as the one before, with jitter, so that clients that failed together
//! don't come back together.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use chrono::{DateTime, Utc};

/// Pauses for [`backon::Retryable`] that never end: the first is up to `first`, and none is longer than `longest`.
pub(crate) fn exponential(first: Duration, longest: Duration) -> ExponentialBuilder {
    // The jitter adds up to as much again.
    ExponentialBuilder::default()
        .with_min_delay(first / 2)
        .with_max_delay(longest / 2)
        .with_jitter()
        .without_max_times()
}

/// The same pauses one by one, for a loop that also waits for something else.
#[derive(Debug)]
pub(crate) struct Backoff {
    builder: ExponentialBuilder,
    pauses: ExponentialBackoff,
    longest: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        let builder = exponential(first, longest);
        Self { builder, pauses: builder.build(), longest }
    }

    pub(crate) fn next_pause(&mut self) -> Duration {
        self.pauses.next().unwrap_or(self.longest)
    }

    /// Begins with the first pause again, after a success.
    pub(crate) fn reset(&mut self) {
        self.pauses = self.builder.build();
    }
}

/// The pause before the next attempt: what the server asks for comes first, and the pause on top keeps its clients
/// apart.
pub(crate) fn no_earlier_than(retry_after: Option<Duration>, pause: Duration) -> Duration {
    retry_after.map_or(pause, |wait| wait.saturating_add(pause))
}

/// How long a server asks its clients to stay away by the header `Retry-After`: seconds, or a date of HTTP.
pub(crate) fn retry_after(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(header).ok()?;
    // A date in the past asks for nothing.
    Some((until.to_utc() - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    const MILLIS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn pauses_double_up_to_the_longest() {
        for _ in 0..20 {
            let mut backoff = Backoff::new(MILLIS(100), MILLIS(350));
            for bound in [100, 200, 350, 350, 350] {
                let pause = backoff.next_pause();
                assert!((MILLIS(bound / 2)..=MILLIS(bound)).contains(&pause), "{pause:?} of {bound} ms");
            }
            backoff.reset();
            assert!(backoff.next_pause() <= MILLIS(100));
        }
    }

    /// Without a seed of its own each process would have the same jitter.
    #[test]
    fn two_clients_have_different_pauses() {
        let pauses = || {
            let mut backoff = Backoff::new(MILLIS(1_000), MILLIS(1_000));
            [(); 8].map(|()| backoff.next_pause())
        };
        assert_ne!(pauses(), pauses());
    }

    #[test]
    fn pauses_never_end() {
        let mut backoff = Backoff::new(MILLIS(1), MILLIS(4));
        assert!((0..10_000).map(|_| backoff.next_pause()).skip(2).all(|pause| pause >= MILLIS(2)));
    }

    #[test]
    fn nobody_is_back_before_the_server_wants() {
        assert_eq!(no_earlier_than(None, MILLIS(7)), MILLIS(7));
        assert_eq!(no_earlier_than(Some(MILLIS(2_000)), MILLIS(7)), MILLIS(2_007));
        assert_eq!(no_earlier_than(Some(Duration::MAX), MILLIS(7)), Duration::MAX);
    }

    #[test]
    fn a_server_names_seconds_or_a_date() {
        let now = Utc.with_ymd_and_hms(2015, 10, 21, 7, 27, 30).unwrap();
        for (header, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(30)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(header, now), expected.map(Duration::from_secs), "{header}");
        }
    }
}

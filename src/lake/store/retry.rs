//! How long, and with which pauses, to go on finding out what became of a write.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::lake::error::LakeError;
use crate::lake::store::tally::Tally;
use crate::util::throttle::Throttle;

/// How long to go on finding out what became of a commit.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// `None`: for ever, with one log line a minute.
    pub deadline: Option<Duration>,
    pub cancel: CancellationToken,
    /// Counts what the requests come to.
    pub tally: Arc<Tally>,
}

impl RetryPolicy {
    /// Contract: 60 s in one-shot commands.
    pub const ONE_SHOT: Duration = Duration::from_secs(60);

    pub fn for_ever(cancel: CancellationToken) -> Self {
        Self { deadline: None, cancel, tally: Arc::default() }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { deadline: Some(Self::ONE_SHOT), cancel: CancellationToken::new(), tally: Arc::default() }
    }
}

const FAULT_BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// A lost race is no fault: the other writer is done.
const RACE_BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));

/// Full jitter: anything up to the bound, which doubles from attempt to attempt.
fn pause((first, longest): (Duration, Duration), attempt: u32) -> Duration {
    let bound = first.saturating_mul(1 << attempt.min(16)).min(longest);
    let random = Uuid::new_v4().as_u128() as u32;
    bound.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Asks again and again while the store is away. `failure` is as the log says it.
///
/// # Errors
/// Another attempt can't help, or the policy says to stop.
pub(in crate::lake) async fn patiently<T, F>(
    failure: &'static str,
    retry: &RetryPolicy,
    place: &str,
    ask: impl Fn() -> F,
) -> Result<T, LakeError>
where
    F: Future<Output = Result<T, LakeError>>,
{
    let mut attempts = Attempts::new(failure, retry, place);
    loop {
        if let Some(answer) = attempts.settle(ask().await.map(Some)).await? {
            return Ok(answer);
        }
    }
}

/// Attempts at one read, commit or upload.
pub(in crate::lake) struct Attempts<'a> {
    /// As the log says it.
    failure: &'static str,
    retry: &'a RetryPolicy,
    table: String,
    started: Instant,
    throttle: Throttle,
    faults: u32,
    races: u32,
    last: String,
}

impl<'a> Attempts<'a> {
    pub(in crate::lake) fn new(failure: &'static str, retry: &'a RetryPolicy, table: &str) -> Self {
        Self {
            failure,
            retry,
            table: table.to_owned(),
            started: Instant::now(),
            throttle: Throttle::default(),
            faults: 0,
            races: 0,
            last: String::from("another writer was faster every time"),
        }
    }

    /// The result of an attempt that is the last one; otherwise `None`, when it is time for the next. An attempt
    /// that lost a race says `Ok(None)`.
    ///
    /// # Errors
    /// Another attempt can't help, or the policy says to stop.
    pub(in crate::lake) async fn settle<T>(
        &mut self,
        attempt: Result<Option<T>, LakeError>,
    ) -> Result<Option<T>, LakeError> {
        let wait = match attempt {
            Ok(Some(done)) => return Ok(Some(done)),
            Ok(None) => {
                self.races += 1;
                pause(RACE_BACKOFF, self.races)
            }
            Err(error) if error.is_final() => return Err(error),
            // A command has somebody who reads it now; a daemon waits until the store takes it again.
            Err(error) if error.is_refusal() && self.retry.deadline.is_some() => return Err(error),
            Err(error) => {
                self.last = error.to_string();
                if self.throttle.is_due() {
                    tracing::warn!(table = %self.table, error = %self.last, "{}, trying again", self.failure);
                }
                self.retry.tally.fault();
                if self.faults == 0 {
                    self.retry.tally.begins_to_fail();
                }
                self.faults += 1;
                pause(FAULT_BACKOFF, self.faults)
            }
        };
        let (table, last) = (&self.table, &self.last);
        if self.retry.deadline.is_some_and(|deadline| self.started.elapsed() + wait > deadline) {
            let waited = self.started.elapsed();
            return Err(LakeError::Unresolved {
                failure: self.failure,
                table: table.clone(),
                waited,
                last: last.clone(),
            });
        }
        tokio::select! {
            biased;
            () = self.retry.cancel.cancelled() => {
                Err(LakeError::Stopped { failure: self.failure, table: table.clone(), last: last.clone() })
            }
            () = tokio::time::sleep(wait) => Ok(None),
        }
    }
}

impl Drop for Attempts<'_> {
    fn drop(&mut self) {
        if self.faults > 0 {
            self.retry.tally.ends_to_fail();
        }
    }
}

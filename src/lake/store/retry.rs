//! Retries: for how long, and with which backoff.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::lake::error::LakeError;
use crate::lake::store::metrics::StoreMetrics;
use crate::util::throttle::LogThrottle;

/// How long to retry.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// `None` retries forever, with one log line a minute.
    pub deadline: Option<Duration>,
    pub cancel: CancellationToken,
    /// Counts the outcomes of requests.
    pub metrics: Arc<StoreMetrics>,
}

impl RetryPolicy {
    /// Deadline of one-shot commands.
    pub const ONE_SHOT: Duration = Duration::from_secs(60);

    pub fn without_deadline(cancel: CancellationToken) -> Self {
        Self { deadline: None, cancel, metrics: Arc::default() }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { deadline: Some(Self::ONE_SHOT), cancel: CancellationToken::new(), metrics: Arc::default() }
    }
}

const FAULT_BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// Backoff after a lost race, which is short because the other writer is done.
const RACE_BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));

/// Full jitter: anything up to the bound, which doubles from attempt to attempt.
fn pause((first, longest): (Duration, Duration), attempt: u32) -> Duration {
    let bound = first.saturating_mul(1 << attempt.min(16)).min(longest);
    let random = Uuid::new_v4().as_u128() as u32;
    bound.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Retries `ask` while the store is unreachable. `failure` is the text for log lines.
///
/// # Errors
/// A retry can't help, or the policy ends the retries.
pub(in crate::lake) async fn with_retry<T, F>(
    failure: &'static str,
    retry: &RetryPolicy,
    location: &str,
    ask: impl Fn() -> F,
) -> Result<T, LakeError>
where
    F: Future<Output = Result<T, LakeError>>,
{
    let mut attempts = RetryLoop::new(failure, retry, location);
    loop {
        if let Some(answer) = attempts.settle(ask().await.map(Some)).await? {
            return Ok(answer);
        }
    }
}

/// The retries of one read, commit or upload.
pub(in crate::lake) struct RetryLoop<'a> {
    /// Text for log lines.
    failure: &'static str,
    retry: &'a RetryPolicy,
    table: String,
    started: Instant,
    throttle: LogThrottle,
    faults: u32,
    races: u32,
    last: String,
}

impl<'a> RetryLoop<'a> {
    pub(in crate::lake) fn new(failure: &'static str, retry: &'a RetryPolicy, table: &str) -> Self {
        Self {
            failure,
            retry,
            table: table.to_owned(),
            started: Instant::now(),
            throttle: LogThrottle::default(),
            faults: 0,
            races: 0,
            last: String::from("another writer was faster every time"),
        }
    }

    /// The result of the last attempt; otherwise `None` after the backoff, when it is time for the next one. An attempt
    /// that lost a race is `Ok(None)`.
    ///
    /// # Errors
    /// A retry can't help, or the policy ends the retries.
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
            // A command reports a refusal at once; a daemon waits until the store accepts requests again.
            Err(error) if error.is_refusal() && self.retry.deadline.is_some() => return Err(error),
            Err(error) => {
                self.last = error.to_string();
                if self.throttle.is_due() {
                    tracing::warn!(table = %self.table, error = %self.last, "{}, trying again", self.failure);
                }
                self.retry.metrics.fault();
                if self.faults == 0 {
                    self.retry.metrics.enter_failing();
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

impl Drop for RetryLoop<'_> {
    fn drop(&mut self) {
        if self.faults > 0 {
            self.retry.metrics.leave_failing();
        }
    }
}

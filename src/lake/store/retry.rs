//! Retries: for how long, and with which backoff.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::lake::error::LakeError;
use crate::lake::store::metrics::StoreMetrics;
use crate::util::backoff::Backoff;
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

/// First and longest pause.
const FAULT_BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// Pauses after a lost race are short because the other writer is done.
const RACE_BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

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

struct RetryPauses {
    faults: Backoff,
    races: Backoff,
    /// The store failed at least once.
    is_failing: bool,
}

impl Default for RetryPauses {
    fn default() -> Self {
        Self {
            faults: Backoff::new(FAULT_BACKOFF.0, FAULT_BACKOFF.1),
            races: Backoff::new(RACE_BACKOFF.0, RACE_BACKOFF.1),
            is_failing: false,
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
    /// `None` until an attempt failed; in a box, as most never do and the futures of all commits hold it.
    pauses: Option<Box<RetryPauses>>,
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
            pauses: None,
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
            Ok(None) => self.pauses.get_or_insert_default().races.next_pause(),
            Err(error) if error.is_final() => return Err(error),
            // A command reports a refusal at once; a daemon waits until the store accepts requests again.
            Err(error) if error.is_refusal() && self.retry.deadline.is_some() => return Err(error),
            Err(error) => {
                self.last = error.to_string();
                if self.throttle.is_due() {
                    tracing::warn!(table = %self.table, error = %self.last, "{}, trying again", self.failure);
                }
                self.retry.metrics.fault();
                let pauses = self.pauses.get_or_insert_default();
                if !pauses.is_failing {
                    pauses.is_failing = true;
                    self.retry.metrics.enter_failing();
                }
                pauses.faults.next_pause()
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
        if self.pauses.as_ref().is_some_and(|pauses| pauses.is_failing) {
            self.retry.metrics.leave_failing();
        }
    }
}

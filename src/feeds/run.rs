//! Feeds into a topic: paced, acknowledged, stoppable.

use std::time::{Duration, Instant};

use chrono_tz::Tz;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::pace::Schedule;
use super::replay::{Replay, ReplayError};
use super::simulate::Simulator;
use super::wire::write_message;
use crate::decode::Preset;
use crate::kafka::{ProduceError, Producer};

/// A stop is noticed at least this often.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// Shorter waits are gathered: parking a thread costs more than a few messages.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const FLUSH_PATIENCE: Duration = Duration::from_secs(30);
const PROGRESS_EVERY: u64 = 1_024;

#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    #[error(transparent)]
    Produce(#[from] ProduceError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// What a feed has sent so far, or in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    pub sent: u64,
    pub acknowledged: u64,
    pub anomalies: u64,
}

/// When a simulation ends by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    pub count: Option<u64>,
    pub duration: Option<Duration>,
}

struct Feed<'a> {
    producer: &'a mut Producer,
    schedule: Schedule,
    progress: &'a watch::Sender<Sent>,
    stop: &'a CancellationToken,
}

impl Feed<'_> {
    /// False: stopped before the message was due or taken.
    fn send(&mut self, ts: Option<i64>, key: Option<&str>, payload: &[u8], anomalies: u64) -> Result<bool, FeedError> {
        let mut wait = self.schedule.wait(ts);
        while wait >= SHORTEST_PAUSE && !self.stop.is_cancelled() {
            let pause = wait.min(LONGEST_PAUSE);
            std::thread::park_timeout(pause);
            wait = wait.saturating_sub(pause);
        }
        loop {
            if self.stop.is_cancelled() {
                return Ok(false);
            }
            if self.producer.offer(key, payload)? {
                break;
            }
        }
        if self.producer.sent().is_multiple_of(PROGRESS_EVERY) {
            self.report(anomalies);
        }
        Ok(true)
    }

    fn report(&self, anomalies: u64) -> Sent {
        let sent = Sent { sent: self.producer.sent(), acknowledged: self.producer.acknowledged(), anomalies };
        self.progress.send_replace(sent);
        sent
    }
}

/// Sends a simulated market until a limit or `stop`. Blocks.
///
/// # Errors
/// The brokers don't take the messages, or don't acknowledge all of them.
pub fn simulate(
    producer: &mut Producer,
    market: &mut Simulator,
    (format, zone): (Preset, Tz),
    rate: f64,
    limits: Limits,
    progress: &watch::Sender<Sent>,
    stop: &CancellationToken,
) -> Result<Sent, FeedError> {
    let ends_at = limits.duration.map(|duration| Instant::now() + duration);
    let mut feed = Feed { producer, schedule: Schedule::rate(rate), progress, stop };
    let mut payload = Vec::with_capacity(256);
    let mut left = limits.count.unwrap_or(u64::MAX);
    while left > 0 && ends_at.is_none_or(|end| Instant::now() < end) {
        let anomalies = market.anomalies();
        let tick = market.next_tick();
        payload.clear();
        write_message(format, zone, &tick, &mut payload);
        if !feed.send(None, Some(tick.symbol), &payload, anomalies)? {
            break;
        }
        left -= 1;
    }
    feed.producer.flush(FLUSH_PATIENCE)?;
    Ok(feed.report(market.anomalies()))
}

/// Sends the messages of files. Blocks.
///
/// # Errors
/// A file can't be read, or the brokers don't take or acknowledge the messages.
pub fn replay(
    producer: &mut Producer,
    files: &mut Replay,
    schedule: Schedule,
    progress: &watch::Sender<Sent>,
    stop: &CancellationToken,
) -> Result<Sent, FeedError> {
    let mut feed = Feed { producer, schedule, progress, stop };
    while let Some(message) = files.next_message()? {
        if !feed.send(message.ts, message.key.as_deref(), &message.payload, 0)? {
            break;
        }
    }
    feed.producer.flush(FLUSH_PATIENCE)?;
    Ok(feed.report(0))
}

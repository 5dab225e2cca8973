//! The loop that brings a feed to Kafka: paced, bounded, stoppable, and with an account of what was acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::pace::{Pace, SendSchedule};
use super::resume::{ReplayPosition, ResumableReplay, ResumeError, ResumeSettings};
use super::{Feed, FeedError, FeedMessage};
use crate::kafka::{DeliveryCounts, KafkaSettings, Producer, ProducerError, ProducerRecord, SendOutcome};

/// Messages between two checks of the stop signal, the clock and the progress.
const CHECK_EVERY: u64 = 256;
/// Longest sleep, so that delivery reports are served at a slow pace too.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

#[derive(Debug, Clone)]
pub struct SendSettings {
    pub pace: Pace,
    /// Messages at most.
    pub count: Option<u64>,
    /// Time at most.
    pub duration: Option<Duration>,
    /// Kafka timestamps are the event times, not the time of sending. A topic with a retention time drops old
    /// messages at once then.
    pub event_timestamps: bool,
    /// How long to wait after a stop for what is on its way.
    pub stop_patience: Duration,
    /// Messages are committed together with their number, and those that an earlier run has sent are left out.
    pub resume: Option<ResumeSettings>,
}

impl Default for SendSettings {
    fn default() -> Self {
        Self {
            pace: Pace::FlatOut,
            count: None,
            duration: None,
            event_timestamps: false,
            stop_patience: Duration::from_secs(20),
            resume: None,
        }
    }
}

/// Counts for progress displays.
#[derive(Debug, Default)]
pub struct SendProgress {
    pub acknowledged: AtomicU64,
}

/// How a run ended. Whatever happened, the counts are those of the messages.
#[derive(Debug)]
pub struct SendReport {
    pub delivered: DeliveryCounts,
    /// From the first message to the last acknowledgement.
    pub elapsed: Duration,
    /// Why the run ended before its time.
    pub failure: Option<SendError>,
    /// The feed has no more messages.
    pub is_at_end: bool,
    /// Of a run with [`SendSettings::resume`].
    pub position: Option<ReplayPosition>,
}

#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error(transparent)]
    Producer(#[from] ProducerError),
    #[error(transparent)]
    Resume(#[from] ResumeError),
    #[error("run the producer")]
    Thread(#[from] tokio::task::JoinError),
}

/// Sends a feed until its end, the count, the duration or the stop; flushes, and hands the feed back.
///
/// # Errors
/// The run can't begin. What goes wrong later is in the report.
pub async fn send_feed<F: Feed + Send + 'static>(
    mut feed: F,
    settings: SendSettings,
    kafka: KafkaSettings,
    progress: Arc<SendProgress>,
    stop: CancellationToken,
) -> Result<(F, SendReport), SendError> {
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let output = match &settings.resume {
            None => FeedOutput::Plain(Producer::new(&kafka)?),
            Some(resume) => {
                let replay = ResumableReplay::start(&kafka, resume, stop.clone(), settings.stop_patience)?;
                FeedOutput::Resumable(Box::new(replay))
            }
        };
        let sender = FeedSender { settings, output, progress: &progress, stop: &stop, runtime: &runtime };
        let report = sender.run(&mut feed);
        Ok((feed, report))
    })
    .await?
}

/// The producer that messages are sent with.
enum FeedOutput {
    Plain(Producer),
    Resumable(Box<ResumableReplay>),
}

impl FeedOutput {
    fn send(&mut self, record: ProducerRecord<'_>, stop: &CancellationToken) -> Result<SendOutcome, SendError> {
        match self {
            Self::Plain(producer) => Ok(producer.send(record, stop)?),
            Self::Resumable(replay) => Ok(replay.send(record)?),
        }
    }

    fn serve(&mut self) -> Result<(), SendError> {
        match self {
            Self::Plain(producer) => Ok(producer.serve()?),
            Self::Resumable(replay) => Ok(replay.serve()?),
        }
    }

    fn delivered(&self) -> DeliveryCounts {
        match self {
            Self::Plain(producer) => producer.delivered(),
            Self::Resumable(replay) => replay.delivered(),
        }
    }
}

/// Lives on a thread of its own: librdkafka's calls block.
struct FeedSender<'a> {
    settings: SendSettings,
    output: FeedOutput,
    progress: &'a SendProgress,
    stop: &'a CancellationToken,
    runtime: &'a Handle,
}

impl FeedSender<'_> {
    fn run(mut self, feed: &mut impl Feed) -> SendReport {
        let begun = Instant::now();
        let (mut sent, mut started) = (self.read_past_sent(feed), begun);
        if let Ok(SendEnd::NotYet) = sent {
            started = Instant::now();
            sent = self.send_all(feed, started);
        }
        let is_at_end = matches!(sent, Ok(SendEnd::Feed));
        let finished = self.finish();
        let position = match &self.output {
            FeedOutput::Plain(_) => None,
            FeedOutput::Resumable(replay) => Some(replay.position()),
        };
        let failure = sent.err().or(finished.err());
        SendReport { delivered: self.output.delivered(), elapsed: started.elapsed(), failure, is_at_end, position }
    }

    /// Moves the feed behind the messages that are in the topic already.
    fn read_past_sent(&mut self, feed: &mut impl Feed) -> Result<SendEnd, SendError> {
        let FeedOutput::Resumable(replay) = &mut self.output else { return Ok(SendEnd::NotYet) };
        while replay.is_behind() {
            if self.stop.is_cancelled() {
                return Ok(SendEnd::Early);
            }
            let message = feed.next_message()?.ok_or_else(|| replay.shorter_input())?;
            replay.read_past(&record(message, self.settings.event_timestamps))?;
        }
        Ok(SendEnd::NotYet)
    }

    fn send_all(&mut self, feed: &mut impl Feed, started: Instant) -> Result<SendEnd, SendError> {
        let mut schedule = SendSchedule::new(self.settings.pace);
        let count = self.settings.count.unwrap_or(u64::MAX);
        let limit = self.settings.duration.unwrap_or(Duration::MAX);
        let mut clock = PaceWaiter { started, now: Duration::ZERO, limit };
        for sent in 0..count {
            if sent % CHECK_EVERY == 0 && (self.report_progress() || started.elapsed() >= limit) {
                return Ok(SendEnd::Early);
            }
            if !clock.wait(schedule.due_by_count(sent), self)? {
                return Ok(SendEnd::Early);
            }
            let Some(message) = feed.next_message()? else { return Ok(SendEnd::Feed) };
            if !clock.wait(schedule.due_by_time(message.ts), self)? {
                return Ok(SendEnd::Early);
            }
            let record = record(message, self.settings.event_timestamps);
            if self.output.send(record, self.stop)? == SendOutcome::Stopped {
                return Ok(SendEnd::Early);
            }
        }
        Ok(SendEnd::Early)
    }

    /// Ends when every message has its answer; after a stop when the patience is over.
    fn finish(&mut self) -> Result<(), SendError> {
        let finished = match &mut self.output {
            FeedOutput::Resumable(replay) => replay.finish().map_err(SendError::from),
            FeedOutput::Plain(producer) => {
                let mut stopped: Option<Instant> = None;
                while !producer.flush(LONGEST_WAIT) {
                    self.progress.acknowledged.store(producer.delivered().acknowledged, Ordering::Relaxed);
                    if self.stop.is_cancelled()
                        && stopped.get_or_insert_with(Instant::now).elapsed() >= self.settings.stop_patience
                    {
                        break;
                    }
                }
                Ok(())
            }
        };
        self.report_progress();
        finished
    }

    /// Publishes the counts; true if it is time to stop.
    fn report_progress(&self) -> bool {
        self.progress.acknowledged.store(self.output.delivered().acknowledged, Ordering::Relaxed);
        self.stop.is_cancelled()
    }
}

/// Why no more messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SendEnd {
    NotYet,
    /// By the stop, the count or the duration.
    Early,
    Feed,
}

fn record(message: FeedMessage<'_>, event_timestamps: bool) -> ProducerRecord<'_> {
    let timestamp = message.ts.filter(|_| event_timestamps);
    ProducerRecord { key: message.key, payload: message.payload, timestamp: timestamp.map(|ts| ts.div_euclid(1_000)) }
}

/// Sleeps until messages are due. Times count from the start.
struct PaceWaiter {
    started: Instant,
    /// Last reading of the clock: messages that were due by then don't read it again.
    now: Duration,
    /// Messages that are due from here on are not sent.
    limit: Duration,
}

impl PaceWaiter {
    /// False if the limit or the stop comes first.
    fn wait(&mut self, due: Option<Duration>, sender: &mut FeedSender<'_>) -> Result<bool, SendError> {
        let Some(due) = due else { return Ok(true) };
        let until = due.min(self.limit);
        while until > self.now {
            self.now = self.started.elapsed();
            let Some(left) = until.checked_sub(self.now).filter(|left| !left.is_zero()) else { break };
            sender.output.serve()?;
            if sender.report_progress() {
                return Ok(false);
            }
            let stop = sender.stop;
            sender.runtime.block_on(async {
                tokio::select! {
                    () = tokio::time::sleep(left.min(LONGEST_WAIT)) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        Ok(due < self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Preset;
    use crate::kafka::EmbeddedBroker;
    use crate::produce::simulate::{SimulateSettings, SimulatedFeed, SimulationClock};
    use crate::produce::wire::MessageEncoder;

    fn simulation(settings: &SimulateSettings) -> SimulatedFeed {
        SimulatedFeed::new(settings, MessageEncoder::new(Preset::Canonical, None).unwrap())
    }

    #[tokio::test]
    async fn a_run_ends_with_its_count() {
        let broker = EmbeddedBroker::start(4, "ticks").unwrap();
        let feed = simulation(&SimulateSettings {
            clock: SimulationClock::From(0),
            anomalies: 0.1,
            ..SimulateSettings::default()
        });
        let settings = SendSettings { count: Some(2_000), ..SendSettings::default() };
        let progress = Arc::new(SendProgress::default());
        let sent = send_feed(feed, settings, broker.settings("ticks"), Arc::clone(&progress), CancellationToken::new());
        let (feed, report) = sent.await.unwrap();
        assert!(report.failure.is_none());
        assert_eq!(
            report.delivered,
            DeliveryCounts { queued: 2_000, acknowledged: 2_000, ..DeliveryCounts::default() }
        );
        assert_eq!(progress.acknowledged.load(Ordering::Relaxed), 2_000);
        assert!(feed.anomalies().price_spikes > 0 && feed.anomalies().volume_bursts > 0);
    }

    #[tokio::test]
    async fn a_rate_is_kept_and_ends_with_the_duration() {
        let broker = EmbeddedBroker::start(1, "ticks").unwrap();
        let duration = Some(Duration::from_millis(500));
        let settings = SendSettings { pace: Pace::Rate(1_000.0), duration, ..SendSettings::default() };
        let (feed, stop) = (simulation(&SimulateSettings::default()), CancellationToken::new());
        let (_, report) = send_feed(feed, settings, broker.settings("ticks"), Arc::default(), stop).await.unwrap();
        // A machine that stalls catches up, except for what the end cuts off.
        assert!((400..=500).contains(&report.delivered.acknowledged), "{report:?}");
        assert_eq!(report.delivered.queued, report.delivered.acknowledged);
    }

    #[tokio::test]
    async fn a_stop_flushes_what_was_sent() {
        let broker = EmbeddedBroker::start(1, "ticks").unwrap();
        let settings = SendSettings { pace: Pace::Rate(0.001), ..SendSettings::default() };
        let (progress, stop) = (Arc::<SendProgress>::default(), CancellationToken::new());
        let feed = simulation(&SimulateSettings::default());
        let run = send_feed(feed, settings, broker.settings("ticks"), Arc::clone(&progress), stop.clone());
        let stop_after_the_first = async {
            while progress.acknowledged.load(Ordering::Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
            stop.cancel();
        };
        let (sent, ()) = tokio::join!(run, stop_after_the_first);
        let (_, report) = sent.unwrap();
        assert_eq!((report.delivered.queued, report.delivered.acknowledged), (1, 1));
    }
}

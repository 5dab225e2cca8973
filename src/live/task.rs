//! The live loop: one task owns the engine and delivers its events to all sinks.
//!
//! ```text
//!  tail::Follower ──> Engine ──┬─> EventTopic (thread, 64 batches; full = no ticks are read)
//!    (16 batches)              ├─> Recorder ──> table signals (one commit in flight)
//!                              ├─> Webhook, each (10,000 events; beyond, they are kept in the lake)
//!                              ├─> printer (64 batches; full = no ticks are read)
//!                              └─> broadcast of Updates every 100 ms (a slow subscriber gets a lag error)
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::live::engine::SignalEngine;
use crate::live::error::LiveError;
use crate::live::event::Event;
use crate::live::sinks::table::{EventRecorder, SinkProgress};
use crate::live::sinks::topic::EventTopic;
use crate::live::sinks::webhook::Webhook;
use crate::live::update::{LiveProgress, LiveUpdate};
use crate::live::warm_up::StartOffsets;
use crate::tail::{TailChunk, TailEvent, TailFollower};

const PUBLISH_EVERY: Duration = Duration::from_millis(100);
/// How long the last commit may take after a stop. Webhooks get some seconds after it.
const LAST_COMMIT_TIMEOUT: Duration = Duration::from_secs(15);

/// Sends batches of events to a printer.
pub type EventSender = mpsc::Sender<Vec<Arc<Event>>>;

/// The result of a run.
#[derive(Debug, Clone, Default)]
pub struct LiveSummary {
    pub progress: LiveProgress,
    /// The version of the table `signals`; `None` if the run does not write it.
    pub version: Option<u64>,
    pub committed_events: u64,
    pub next: BTreeMap<i32, i64>,
}

/// A live task that is ready to run; see [`crate::live::open`].
pub struct LiveTask {
    pub(in crate::live) engine: SignalEngine,
    pub(in crate::live) follower: TailFollower,
    pub(in crate::live) starts: StartOffsets,
    pub(in crate::live) recorder: Option<EventRecorder>,
    pub(in crate::live) topic: Option<EventTopic>,
    pub(in crate::live) topic_name: String,
    pub(in crate::live) webhooks: Vec<Webhook>,
    pub(in crate::live) printer: Option<EventSender>,
    pub(in crate::live) updates: broadcast::Sender<Arc<LiveUpdate>>,
    pub(in crate::live) commit_interval: Duration,
    /// The next offset to take of each partition.
    pub(in crate::live) next: BTreeMap<i32, i64>,
    pub(in crate::live) progress: LiveProgress,
    /// Events since the last update.
    pub(in crate::live) unpublished_events: Vec<Arc<Event>>,
}

impl LiveTask {
    /// Runs until `stop`, then commits the emitted events.
    ///
    /// # Errors
    /// Kafka no longer holds the next offset, another process writes `signals`, or a sink fails.
    pub async fn run(mut self, stop: CancellationToken) -> Result<LiveSummary, LiveError> {
        let too_late = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_COMMIT_TIMEOUT).await;
        };
        let result = tokio::select! {
            biased;
            result = self.work(&stop) => result,
            () = too_late => Err(LiveError::Failed(format!(
                "the last events were not committed within {} s; the next start tells them",
                LAST_COMMIT_TIMEOUT.as_secs()
            ))),
        };
        let Self { follower, topic, webhooks, engine, recorder, next, .. } = self;
        if let Some(recorder) = &recorder {
            recorder.abandon();
        }
        follower.stop().await;
        if let Some(topic) = topic {
            topic.stop().await;
        }
        for webhook in webhooks {
            webhook.stop().await;
        }
        result?;
        Ok(LiveSummary {
            progress: engine.progress().clone(),
            version: recorder.as_ref().map(|recorder| recorder.version),
            committed_events: recorder.map_or(0, |recorder| recorder.committed_events),
            next,
        })
    }

    async fn work(&mut self, stop: &CancellationToken) -> Result<(), LiveError> {
        self.begin().await?;
        self.follow(stop).await?;
        self.finish().await
    }

    /// Commits the start before any event is emitted: otherwise a restart after a crash could not know what was
    /// emitted.
    async fn begin(&mut self) -> Result<(), LiveError> {
        if self.recorder.as_ref().is_some_and(EventRecorder::needs_first_commit) {
            self.commit_and_wait().await?;
        }
        // The warm-up may have events of ticks that only the table holds.
        self.deliver_events().await?;
        self.publish_update();
        Ok(())
    }

    async fn follow(&mut self, stop: &CancellationToken) -> Result<(), LiveError> {
        let mut publish_timer = interval(PUBLISH_EVERY);
        publish_timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut commit_at = Instant::now() + self.commit_interval;
        loop {
            let full = self.recorder.as_ref().is_some_and(EventRecorder::is_full);
            let recorder = &mut self.recorder;
            let commit_finished = async {
                match recorder {
                    Some(recorder) => recorder.commit_finished().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                commit_finished = commit_finished => commit_finished?,
                () = tokio::time::sleep_until(commit_at) => {
                    self.commit().await?;
                    commit_at = Instant::now() + self.commit_interval;
                }
                _ = publish_timer.tick() => self.publish_update(),
                tail = self.follower.tails.recv(), if !full => match tail {
                    Some(tail) => self.handle_tail(tail).await?,
                    None => return Err(LiveError::Failed("its thread has ended".to_owned())),
                },
            }
        }
    }

    async fn handle_tail(&mut self, tail: TailEvent) -> Result<(), LiveError> {
        match tail {
            TailEvent::Rows(chunks) => {
                for TailChunk { partition, range, rows, .. } in chunks {
                    self.engine.take(self.starts.origin(partition), &rows);
                    self.next.insert(partition, range.next());
                }
                self.deliver_events().await
            }
            TailEvent::Ends { lag_messages } => {
                self.progress.lag_messages = lag_messages;
                Ok(())
            }
            TailEvent::Gap { partition, asked, low, high } => Err(LiveError::Lost { partition, asked, low, high }),
            TailEvent::BrokerError(text) => {
                tracing::warn!("{text}");
                self.progress.broker_error = Some(text);
                Ok(())
            }
            TailEvent::Recovered => {
                tracing::info!("the brokers are back");
                self.progress.broker_error = None;
                Ok(())
            }
            TailEvent::Failed(text) => Err(LiveError::Failed(text)),
        }
    }

    /// Delivers the new events to every sink.
    async fn deliver_events(&mut self) -> Result<(), LiveError> {
        let events: Vec<Arc<Event>> = self.engine.events().into_iter().map(Arc::new).collect();
        if events.is_empty() {
            return Ok(());
        }
        for webhook in &mut self.webhooks {
            webhook.send(&events);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.push(&events);
        }
        if let Some(printer) = &self.printer
            && printer.send(events.clone()).await.is_err()
        {
            self.printer = None;
        }
        if self.updates.receiver_count() > 0 {
            self.unpublished_events.extend(events.iter().cloned());
        }
        if let Some(topic) = &mut self.topic {
            let sent = topic.send(events).await;
            sent.map_err(|problem| LiveError::EventTopic { topic: self.topic_name.clone(), problem })?;
        }
        Ok(())
    }

    /// The next offset of each partition, without the ticks that are still in the re-order buffer.
    fn taken_offsets(&self) -> BTreeMap<i32, i64> {
        let taken_offsets = |(&partition, &next): (&i32, &i64)| {
            let next = self.engine.first_waiting(partition).unwrap_or(next);
            // After a restart, reading may begin below the offset up to which events were emitted.
            (partition, next.max(self.starts.origin(partition).emitted_until))
        };
        self.next.iter().map(taken_offsets).collect()
    }

    async fn commit(&mut self) -> Result<(), LiveError> {
        let taken_offsets = self.taken_offsets();
        if !self.recorder.as_ref().is_some_and(|recorder| recorder.is_due(&taken_offsets)) {
            return Ok(());
        }
        let sink_progress = self.sink_progress().await?;
        if let Some(recorder) = &mut self.recorder {
            recorder.begin(&taken_offsets, sink_progress);
        }
        Ok(())
    }

    /// Starts a commit and waits until it has finished.
    async fn commit_and_wait(&mut self) -> Result<(), LiveError> {
        let sink_progress = self.sink_progress().await?;
        let taken_offsets = self.taken_offsets();
        let Some(recorder) = &mut self.recorder else { return Ok(()) };
        recorder.begin(&taken_offsets, sink_progress);
        recorder.commit_finished().await
    }

    /// How far the events have reached the other sinks, which the next commit records.
    async fn sink_progress(&mut self) -> Result<SinkProgress, LiveError> {
        let webhooks_since = self.webhooks.iter_mut().filter_map(Webhook::unsettled_since).min();
        let topic = match &mut self.topic {
            Some(topic) => {
                let flushed = topic.flush().await;
                let failed = |problem| LiveError::EventTopic { topic: self.topic_name.clone(), problem };
                Some((self.topic_name.clone(), flushed.map_err(failed)?))
            }
            None => None,
        };
        Ok(SinkProgress { topic, webhooks_since })
    }

    /// Commits the remaining events.
    async fn finish(&mut self) -> Result<(), LiveError> {
        self.publish_update();
        if let Some(recorder) = self.recorder.as_mut().filter(|recorder| recorder.is_in_flight()) {
            recorder.commit_finished().await?;
        }
        let taken_offsets = self.taken_offsets();
        match self.recorder.as_ref().is_some_and(|recorder| recorder.has_moved(&taken_offsets)) {
            true => self.commit_and_wait().await,
            false => Ok(()),
        }
    }

    fn publish_update(&mut self) {
        let events = std::mem::take(&mut self.unpublished_events);
        let (states, bars) = self.engine.changed();
        if self.updates.receiver_count() == 0 {
            return;
        }
        let LiveProgress { lag_messages, broker_error, .. } = &self.progress;
        let (lag_messages, broker_error) = (*lag_messages, broker_error.clone());
        let progress = LiveProgress { lag_messages, broker_error, ..self.engine.progress().clone() };
        let update = LiveUpdate { states, bars, events, progress };
        if self.updates.send(Arc::new(update)).is_err() {
            tracing::trace!("nobody listens any more");
        }
    }
}

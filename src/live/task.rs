//! The loop: one task owns the engine and everything that is told.
//!
//! ```text
//!  tail::Follower ──> Engine ──┬─> EventTopic (thread, 64 batches; full = no ticks are read)
//!    (16 batches)              ├─> Recorder ──> table signals (one commit in flight)
//!                              ├─> Webhook, each (10,000 events; beyond, they are kept in the lake)
//!                              ├─> printer (64 batches; full = no ticks are read)
//!                              └─> broadcast of Updates every 100 ms (who is slow loses some, and hears of it)
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::live::engine::Engine;
use crate::live::error::LiveError;
use crate::live::event::Event;
use crate::live::sinks::table::{Elsewhere, Recorder};
use crate::live::sinks::topic::EventTopic;
use crate::live::sinks::webhook::Webhook;
use crate::live::update::{Progress, Update};
use crate::live::warm_up::Starts;
use crate::tail::{TailChunk, TailEvent, TailFollower};

const PUBLISH_EVERY: Duration = Duration::from_millis(100);
/// From the stop to the end of the last commit; webhooks have some seconds after it.
const LAST_COMMIT: Duration = Duration::from_secs(15);

/// Batches of events to somebody who shows them.
pub type EventSender = mpsc::Sender<Vec<Arc<Event>>>;

/// What the run did.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    pub progress: Progress,
    /// Of the table `signals`; `None` where it is not written.
    pub version: Option<u64>,
    pub committed_events: u64,
    pub next: BTreeMap<i32, i64>,
}

/// A live task that is ready to run; see [`crate::live::open`].
pub struct Live {
    pub(in crate::live) engine: Engine,
    pub(in crate::live) follower: TailFollower,
    pub(in crate::live) starts: Starts,
    pub(in crate::live) recorder: Option<Recorder>,
    pub(in crate::live) topic: Option<EventTopic>,
    pub(in crate::live) topic_name: String,
    pub(in crate::live) webhooks: Vec<Webhook>,
    pub(in crate::live) printer: Option<EventSender>,
    pub(in crate::live) updates: broadcast::Sender<Arc<Update>>,
    pub(in crate::live) commit_interval: Duration,
    /// Next offset to take.
    pub(in crate::live) next: BTreeMap<i32, i64>,
    pub(in crate::live) progress: Progress,
    /// Since the last update.
    pub(in crate::live) told: Vec<Arc<Event>>,
}

impl Live {
    /// Runs until `stop`; then commits what was told.
    ///
    /// # Errors
    /// Kafka lost what was to be read, somebody else writes `signals`, or a sink can't go on.
    pub async fn run(mut self, stop: CancellationToken) -> Result<Summary, LiveError> {
        let too_late = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_COMMIT).await;
        };
        let result = tokio::select! {
            biased;
            result = self.work(&stop) => result,
            () = too_late => Err(LiveError::Failed(format!(
                "the last events were not committed within {} s; the next start tells them",
                LAST_COMMIT.as_secs()
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
        Ok(Summary {
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

    /// The table knows of a start before anything is told: else nobody could find out after a crash what was.
    async fn begin(&mut self) -> Result<(), LiveError> {
        if self.recorder.as_ref().is_some_and(Recorder::begins) {
            self.record().await?;
        }
        // Values as the table of ticks has them, and what it alone had to tell.
        self.tell().await?;
        self.publish();
        Ok(())
    }

    async fn follow(&mut self, stop: &CancellationToken) -> Result<(), LiveError> {
        let mut publish = interval(PUBLISH_EVERY);
        publish.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut commit_at = Instant::now() + self.commit_interval;
        loop {
            let full = self.recorder.as_ref().is_some_and(Recorder::is_full);
            let recorder = &mut self.recorder;
            let landed = async {
                match recorder {
                    Some(recorder) => recorder.landed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                landed = landed => landed?,
                () = tokio::time::sleep_until(commit_at) => {
                    self.commit().await?;
                    commit_at = Instant::now() + self.commit_interval;
                }
                _ = publish.tick() => self.publish(),
                tail = self.follower.tails.recv(), if !full => match tail {
                    Some(tail) => self.hear(tail).await?,
                    None => return Err(LiveError::Failed("its thread has ended".to_owned())),
                },
            }
        }
    }

    async fn hear(&mut self, tail: TailEvent) -> Result<(), LiveError> {
        match tail {
            TailEvent::Rows(chunks) => {
                for TailChunk { partition, range, rows, .. } in chunks {
                    self.engine.take(self.starts.origin(partition), &rows);
                    self.next.insert(partition, range.next());
                }
                self.tell().await
            }
            TailEvent::Ends { lag_messages } => {
                self.progress.lag_messages = lag_messages;
                Ok(())
            }
            TailEvent::Gap { partition, asked, low, high } => Err(LiveError::Lost { partition, asked, low, high }),
            TailEvent::BrokerError(text) => {
                tracing::warn!("{text}");
                self.progress.trouble = Some(text);
                Ok(())
            }
            TailEvent::Recovered => {
                tracing::info!("the brokers are back");
                self.progress.trouble = None;
                Ok(())
            }
            TailEvent::Failed(text) => Err(LiveError::Failed(text)),
        }
    }

    /// Hands what happened to all who want to hear of it.
    async fn tell(&mut self) -> Result<(), LiveError> {
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
            self.told.extend(events.iter().cloned());
        }
        if let Some(topic) = &mut self.topic {
            let sent = topic.send(events).await;
            sent.map_err(|problem| LiveError::EventTopic { topic: self.topic_name.clone(), problem })?;
        }
        Ok(())
    }

    /// How far everything was taken: what waits in the re-order buffer is still to come.
    fn taken(&self) -> BTreeMap<i32, i64> {
        let taken = |(&partition, &next): (&i32, &i64)| {
            let next = self.engine.first_waiting(partition).unwrap_or(next);
            // After a restart the reading may begin below what was told.
            (partition, next.max(self.starts.origin(partition).told))
        };
        self.next.iter().map(taken).collect()
    }

    async fn commit(&mut self) -> Result<(), LiveError> {
        let taken = self.taken();
        if !self.recorder.as_ref().is_some_and(|recorder| recorder.is_due(&taken)) {
            return Ok(());
        }
        let elsewhere = self.elsewhere().await?;
        if let Some(recorder) = &mut self.recorder {
            recorder.begin(&taken, elsewhere);
        }
        Ok(())
    }

    /// Commits and waits for it.
    async fn record(&mut self) -> Result<(), LiveError> {
        let elsewhere = self.elsewhere().await?;
        let taken = self.taken();
        let Some(recorder) = &mut self.recorder else { return Ok(()) };
        recorder.begin(&taken, elsewhere);
        recorder.landed().await
    }

    /// How far what was told has come, for the commit that holds it.
    async fn elsewhere(&mut self) -> Result<Elsewhere, LiveError> {
        let webhooks_since = self.webhooks.iter_mut().filter_map(Webhook::unsettled_since).min();
        let topic = match &mut self.topic {
            Some(topic) => {
                let flushed = topic.flush().await;
                let failed = |problem| LiveError::EventTopic { topic: self.topic_name.clone(), problem };
                Some((self.topic_name.clone(), flushed.map_err(failed)?))
            }
            None => None,
        };
        Ok(Elsewhere { topic, webhooks_since })
    }

    /// What was told is in the table before the end.
    async fn finish(&mut self) -> Result<(), LiveError> {
        self.publish();
        if let Some(recorder) = self.recorder.as_mut().filter(|recorder| recorder.is_in_flight()) {
            recorder.landed().await?;
        }
        let taken = self.taken();
        match self.recorder.as_ref().is_some_and(|recorder| recorder.has_moved(&taken)) {
            true => self.record().await,
            false => Ok(()),
        }
    }

    fn publish(&mut self) {
        let events = std::mem::take(&mut self.told);
        let (states, bars) = self.engine.changed();
        if self.updates.receiver_count() == 0 {
            return;
        }
        let Progress { lag_messages, trouble, .. } = &self.progress;
        let (lag_messages, trouble) = (*lag_messages, trouble.clone());
        let progress = Progress { lag_messages, trouble, ..self.engine.progress().clone() };
        let update = Update { states, bars, events, progress };
        if self.updates.send(Arc::new(update)).is_err() {
            tracing::trace!("nobody listens any more");
        }
    }
}

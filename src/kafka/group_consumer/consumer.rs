//! A group consumer on a thread of its own: rebalances, back-pressure, and a handler that turns borrowed
//! records into what crosses the queue.
//!
//! Invariants:
//! - Events leave in the order in which things happened: data of a partition before its revocation.
//! - A partition delivers nothing before [`Command::Start`] names its offset and generation, and nothing after
//!   its revocation was announced.
//! - A full queue never stops the polling: after [`FULL_QUEUE_PATIENCE`] the partitions are paused.

use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::kafka::client::KafkaSettings;
use crate::kafka::events::{Command, Event, Handler};
use crate::kafka::group_consumer::worker::Worker;
use crate::kafka::raw::RawConsumer;
use crate::kafka::refusal::Access;

/// Events that may wait for the owner of the state: one batch call's records each, or what was gathered of several.
const EVENT_QUEUE: usize = 4;
/// Commands are answers to events and offset commits: far below this.
const COMMAND_QUEUE: usize = 256;
const BATCH_MESSAGES: usize = 8_192;
/// Closing can hang in librdkafka.
const CLOSE_WATCHDOG: Duration = Duration::from_secs(3);

/// Commands don't reach the consumer.
#[derive(Debug, thiserror::Error)]
#[error("the consumer thread takes no commands: it hangs or has ended")]
pub struct ConsumerGone;

/// Owner's side of the thread.
pub struct Consumer<T> {
    pub events: mpsc::Receiver<Event<T>>,
    commands: std_mpsc::SyncSender<Command>,
    thread: JoinHandle<()>,
    /// Closed when the thread has nothing left to do.
    ended: oneshot::Receiver<()>,
}

impl<T: Send + 'static> Consumer<T> {
    /// Joins the group and starts the thread. Brokers that don't tell a topic's id are not asked for it.
    ///
    /// # Errors
    /// librdkafka refuses the configuration; the text names the property.
    pub fn start<H>(settings: &KafkaSettings, group: &str, tells_topic_id: bool, handler: H) -> Result<Self, String>
    where
        H: Handler<Output = T>,
    {
        let config = settings.consumer_config(group);
        let raw = RawConsumer::new(&config, &settings.topic, BATCH_MESSAGES)?;
        raw.subscribe().map_err(|error| error.to_string())?;
        let (event_sender, events) = mpsc::channel(EVENT_QUEUE);
        let (commands, command_receiver) = std_mpsc::sync_channel(COMMAND_QUEUE);
        let access = Access::of(&config);
        let mut worker = Worker::new(raw, access, tells_topic_id, handler, event_sender, command_receiver);
        let span = tracing::Span::current();
        let (running, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("kafka-consumer".to_owned())
            .spawn(move || {
                span.in_scope(|| worker.run());
                drop(worker);
                drop(running);
            })
            .map_err(|error| format!("start consumer thread: {error}"))?;
        Ok(Self { events, commands, thread, ended })
    }

    /// Never blocks.
    ///
    /// # Errors
    /// The thread has ended or hangs.
    pub fn send(&self, command: Command) -> Result<(), ConsumerGone> {
        self.commands.try_send(command).map_err(|_| ConsumerGone)
    }

    /// Leaves the group and joins the thread, bounded.
    pub async fn stop(self) {
        if let Err(gone) = self.send(Command::Stop) {
            tracing::debug!("{gone}");
        }
        drop(self.events);
        // A join that waits, on any thread of the runtime, would keep the runtime from ending.
        if tokio::time::timeout(CLOSE_WATCHDOG, self.ended).await.is_err() {
            tracing::error!("closing the consumer hangs; leaving it behind");
        } else if self.thread.join().is_err() {
            tracing::error!("the consumer thread panicked");
        }
    }
}

//! A group consumer on its own thread: rebalances, back-pressure, and a handler that turns borrowed records into the
//! items of a queue.
//!
//! Invariants:
//! - Events leave in the order in which things happened: data of a partition before its revocation.
//! - A partition delivers nothing before [`ConsumerCommand::Start`] names its offset and generation, and nothing after
//!   its revocation was announced.
//! - A full queue never stops the polling: after [`FULL_QUEUE_TIMEOUT`] the partitions are paused.

use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::kafka::client::KafkaSettings;
use crate::kafka::events::{ConsumerCommand, ConsumerEvent, RecordHandler};
use crate::kafka::group_consumer::worker::ConsumerWorker;
use crate::kafka::raw::RawConsumer;
use crate::kafka::refusal::ClientSecurity;

/// Events that may wait for the owner of the state: each has the records of one batch call, or of several.
const EVENT_QUEUE: usize = 4;
/// Commands are answers to events and offset commits: far below this.
const COMMAND_QUEUE: usize = 256;
const BATCH_MESSAGES: usize = 8_192;
/// Closing can hang in librdkafka, so it is bounded.
const CLOSE_WATCHDOG: Duration = Duration::from_secs(3);

/// The consumer thread no longer receives commands.
#[derive(Debug, thiserror::Error)]
#[error("the consumer thread takes no commands: it hangs or has ended")]
pub struct ConsumerGone;

/// The owner's handle of the thread.
pub struct GroupConsumer<T> {
    pub events: mpsc::Receiver<ConsumerEvent<T>>,
    commands: std_mpsc::SyncSender<ConsumerCommand>,
    thread: JoinHandle<()>,
    /// Closed when the thread has nothing left to do.
    ended: oneshot::Receiver<()>,
}

impl<T: Send + 'static> GroupConsumer<T> {
    /// Joins the group and starts the thread. Brokers that don't report topic ids are not queried for them.
    ///
    /// # Errors
    /// librdkafka refuses the configuration; the text names the property.
    pub fn start<H>(settings: &KafkaSettings, group: &str, reports_topic_id: bool, handler: H) -> Result<Self, String>
    where
        H: RecordHandler<Output = T>,
    {
        let config = settings.consumer_config(group);
        let raw = RawConsumer::new(&config, &settings.topic, BATCH_MESSAGES)?;
        raw.subscribe().map_err(|error| error.to_string())?;
        let (event_sender, events) = mpsc::channel(EVENT_QUEUE);
        let (commands, command_receiver) = std_mpsc::sync_channel(COMMAND_QUEUE);
        let access = ClientSecurity::of(&config);
        let mut worker = ConsumerWorker::new(raw, access, reports_topic_id, handler, event_sender, command_receiver);
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
    pub fn send(&self, command: ConsumerCommand) -> Result<(), ConsumerGone> {
        self.commands.try_send(command).map_err(|_| ConsumerGone)
    }

    /// Leaves the group and joins the thread, bounded.
    pub async fn stop(self) {
        if let Err(gone) = self.send(ConsumerCommand::Stop) {
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

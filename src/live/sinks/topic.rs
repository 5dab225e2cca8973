//! Events to a Kafka topic, on a thread of its own: the producer waits where its queue is full.
//!
//! Invariant: an event that was delivered is not sent again, also after a kill -9. The table says how far the topic was
//! at its last commit; what lies behind is read at the start and left out by its identity.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::kafka::{
    KafkaSettings, Producer, ProducerRecord, ReadProgress, SendOutcome, TopicError, TopicReader, ensure_topic,
};
use crate::live::event::Event;
use crate::live::sinks::encode::EventJson;

/// Batches of events that may wait for the thread: a full queue holds up the reading of ticks, nothing is lost.
const QUEUE_BATCHES: usize = 64;
const SERVE_EVERY: Duration = Duration::from_millis(20);
const BROKER_TIMEOUT: Duration = Duration::from_secs(30);
const FLUSH_STEP: Duration = Duration::from_millis(500);
/// Partitions of a topic that is created.
const NEW_TOPIC_PARTITIONS: i32 = 8;

enum TopicCommand {
    Send(Vec<Arc<Event>>),
    /// Answered with the ends of the topic's partitions when all earlier events are acknowledged.
    Flush(oneshot::Sender<BTreeMap<i32, i64>>),
}

/// The handle of the producer thread.
pub(in crate::live) struct EventTopic {
    jobs: std_mpsc::SyncSender<TopicCommand>,
    failed: mpsc::Receiver<String>,
    thread: Option<JoinHandle<()>>,
    stop: CancellationToken,
}

/// The ends of the topic, and the events that it has beyond the offsets of the last commit.
pub(in crate::live) struct DeliveredEvents {
    pub ends: BTreeMap<i32, i64>,
    /// Identities of the events beyond these offsets.
    pub ids: HashSet<String>,
}

#[derive(Deserialize)]
struct EventIdentity {
    id: String,
}

/// Creates the topic if it isn't there, and reads what it holds from `from` on, of partitions that this doesn't have
/// everything; nothing without `from`. Blocks.
///
/// # Errors
/// The brokers don't have the topic and don't create it, or can't be read.
pub(in crate::live) fn read_delivered(
    kafka: &KafkaSettings,
    from: Option<&BTreeMap<i32, i64>>,
) -> Result<DeliveredEvents, TopicError> {
    ensure_topic(kafka, NEW_TOPIC_PARTITIONS, None, BROKER_TIMEOUT)?;
    let mut reader = TopicReader::open(kafka, BROKER_TIMEOUT)?;
    let ends: BTreeMap<i32, i64> = reader.partitions().iter().map(|at| (at.partition, at.high)).collect();
    let begin = |at: &crate::kafka::PartitionWatermarks| {
        let start = from.map_or(at.high, |from| from.get(&at.partition).copied().unwrap_or(0).max(at.low));
        (start < at.high).then_some((at.partition, start))
    };
    let starts: Vec<(i32, i64)> = reader.partitions().iter().filter_map(begin).collect();
    let mut ids = HashSet::new();
    if !starts.is_empty() {
        reader.start(&starts)?;
        let mut progress = ReadProgress::More;
        while progress == ReadProgress::More {
            progress = reader.read(|record| {
                let identity =
                    record.payload().and_then(|payload| serde_json::from_slice::<EventIdentity>(payload).ok());
                ids.extend(identity.map(|identity| identity.id));
            })?;
        }
    }
    Ok(DeliveredEvents { ends, ids })
}

impl EventTopic {
    /// # Errors
    /// librdkafka refuses the configuration.
    pub(in crate::live) fn start(kafka: &KafkaSettings, found: DeliveredEvents) -> Result<Self, String> {
        let mut kafka = kafka.clone();
        // What isn't acknowledged is sent again for ever: it holds up the commit, and is not lost.
        kafka.properties.0.entry("message.timeout.ms".to_owned()).or_insert_with(|| "0".to_owned());
        let producer = Producer::with_known_ends(&kafka, found.ends).map_err(|error| error.to_string())?;
        let (jobs, receiver) = std_mpsc::sync_channel(QUEUE_BATCHES);
        let (failure, failed) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("kafka-events".to_owned())
            .spawn(move || {
                if let Err(error) = serve(producer, &receiver, found.ids, &stopped) {
                    // The receiver is gone, or already has an error.
                    failure.try_send(error).unwrap_or_default();
                }
            })
            .map_err(|error| format!("start the thread of the events' topic: {error}"))?;
        Ok(Self { jobs, failed, thread: Some(thread), stop })
    }

    /// Waits for room.
    ///
    /// # Errors
    /// The thread has ended, with what.
    pub(in crate::live) async fn send(&mut self, events: Vec<Arc<Event>>) -> Result<(), String> {
        self.hand_over(TopicCommand::Send(events)).await
    }

    /// Everything that was sent is in the topic when the answer comes.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub(in crate::live) async fn flush(&mut self) -> Result<oneshot::Receiver<BTreeMap<i32, i64>>, String> {
        let (answer, ends) = oneshot::channel();
        self.hand_over(TopicCommand::Flush(answer)).await?;
        Ok(ends)
    }

    async fn hand_over(&mut self, job: TopicCommand) -> Result<(), String> {
        let mut job = job;
        loop {
            job = match self.jobs.try_send(job) {
                Ok(()) => return Ok(()),
                Err(std_mpsc::TrySendError::Full(back)) => back,
                Err(std_mpsc::TrySendError::Disconnected(_)) => {
                    return Err(self.failed.recv().await.unwrap_or_else(|| "its thread panicked".to_owned()));
                }
            };
            tokio::time::sleep(SERVE_EVERY).await;
        }
    }

    /// Joins the thread. Events that are not flushed are dropped.
    pub(in crate::live) async fn stop(mut self) {
        self.stop.cancel();
        drop(self.jobs);
        let Some(thread) = self.thread.take() else { return };
        if !matches!(tokio::task::spawn_blocking(move || thread.join()).await, Ok(Ok(()))) {
            tracing::error!("the thread of the events' topic panicked");
        }
    }
}

fn serve(
    mut producer: Producer,
    jobs: &std_mpsc::Receiver<TopicCommand>,
    delivered: HashSet<String>,
    stop: &CancellationToken,
) -> Result<(), String> {
    let mut json = Vec::new();
    loop {
        let job = match jobs.recv_timeout(SERVE_EVERY) {
            Ok(job) => job,
            Err(std_mpsc::RecvTimeoutError::Timeout) => {
                producer.serve().map_err(|error| error.to_string())?;
                continue;
            }
            Err(std_mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
        };
        match job {
            TopicCommand::Send(events) => {
                for event in events {
                    if !delivered.is_empty() && delivered.contains(&event.id().to_string()) {
                        continue;
                    }
                    json.clear();
                    serde_json::to_writer(&mut json, &EventJson::from(&*event)).map_err(|error| error.to_string())?;
                    let key = Some(event.symbol.as_bytes());
                    let record = ProducerRecord { key, payload: &json, timestamp: None };
                    match producer.send(record, stop).map_err(|error| error.to_string())? {
                        SendOutcome::Queued => {}
                        SendOutcome::Stopped => return Ok(()),
                    }
                }
            }
            TopicCommand::Flush(answer) => {
                while !producer.flush(FLUSH_STEP) {
                    if stop.is_cancelled() {
                        return Ok(());
                    }
                }
                producer.serve().map_err(|error| error.to_string())?;
                if answer.send(producer.ends()).is_err() {
                    tracing::debug!("nobody waits for the flush any more");
                }
            }
        }
    }
}

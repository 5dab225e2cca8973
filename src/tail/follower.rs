//! Follows a topic from given offsets: decodes its messages and sends them in batches through a bounded queue.
//!
//! Invariants:
//! - Chunks of a partition follow one another without a gap: each begins where the one before it ended.
//! - A full queue stops the polling: what waits is at most [`QUEUE`] batches of 8,192 records.
//! - The thread ends when the receiver is gone, and the [`TailFollower`] joins it.

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::tail_event::TailEvent;
use super::tail_reader::TailReader;
use crate::decode::{Decoder, InputError, InputSettings};
use crate::kafka::{KafkaSettings, PartitionWatermarks, TopicError, TopicFollower};
use crate::market::{MarketZone, TopicIdentity};

/// Batches that may wait for the receiver: enough for a pause of 80 ms, and 16 MB of rows when it lies far behind.
const QUEUE: usize = 16;

/// The topic to follow, and how its messages are decoded.
#[derive(Debug, Clone)]
pub struct FollowSettings {
    pub kafka: KafkaSettings,
    pub input: InputSettings,
    pub zone: MarketZone,
    /// How long to wait for the brokers at the start; later they are waited for without a limit.
    pub patience: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error("read the topic's messages: {0}")]
    Input(#[from] InputError),
    #[error(
        "follow topic '{topic}': it has no partition {partition}, of which offset {offset} is next; was it deleted and \
         created again with fewer partitions?"
    )]
    NoPartition { topic: String, partition: i32, offset: i64 },
    #[error("follow a topic: {0}")]
    Thread(String),
}

/// The owner's handle of the thread.
#[derive(Debug)]
pub struct TailFollower {
    pub tails: mpsc::Receiver<TailEvent>,
    identity: TopicIdentity,
    opened: Vec<PartitionWatermarks>,
    thread: Option<JoinHandle<()>>,
}

impl TailFollower {
    /// Starts at these (partition, offset) pairs; partitions that aren't named, or are added later, start at their
    /// first offset. Returns when the brokers have reported the ends of the partitions.
    ///
    /// # Errors
    /// The brokers can't be reached within the patience, or there is no such topic or partition.
    pub async fn start(settings: FollowSettings, starts: Vec<(i32, i64)>) -> Result<Self, FollowError> {
        let decoder = Decoder::new(&settings.input, settings.zone)?;
        let (sender, tails) = mpsc::channel(QUEUE);
        let (opened_sender, opened) =
            oneshot::channel::<Result<(TopicIdentity, Vec<PartitionWatermarks>), FollowError>>();
        let (kafka, patience) = (settings.kafka, settings.patience);
        let thread = std::thread::Builder::new()
            .name("kafka-tail".to_owned())
            .spawn(move || {
                let opened = open(&kafka, patience, &starts);
                let (topic_follower, answer) = match opened {
                    Ok(topic_follower) => {
                        let answer = (topic_follower.identity().clone(), topic_follower.opened().to_vec());
                        (Some(topic_follower), Ok(answer))
                    }
                    Err(error) => (None, Err(error)),
                };
                // The receiver was dropped if the start was given up.
                if let (Ok(()), Some(topic_follower)) = (opened_sender.send(answer), topic_follower) {
                    TailReader::new(topic_follower, decoder, sender).run();
                }
            })
            .map_err(|error| FollowError::Thread(error.to_string()))?;
        match opened.await {
            Ok(Ok((identity, opened))) => Ok(Self { tails, identity, opened, thread: Some(thread) }),
            Ok(Err(error)) => {
                join(thread);
                Err(error)
            }
            Err(_) => {
                join(thread);
                Err(FollowError::Thread("it ended at its start".to_owned()))
            }
        }
    }

    /// Returns the identity of the topic, to be compared with that of the table.
    pub fn identity(&self) -> &TopicIdentity {
        &self.identity
    }

    /// Returns the first offset and the end of each partition at the start.
    pub fn opened(&self) -> &[PartitionWatermarks] {
        &self.opened
    }

    /// Stops the thread and joins it: that takes some 100 ms, unless a query to a broker is in flight.
    pub async fn stop(mut self) {
        self.tails.close();
        if let Some(thread) = self.thread.take()
            && let Err(error) = tokio::task::spawn_blocking(move || join(thread)).await
        {
            tracing::error!("join the thread that follows a topic: {error}");
        }
    }
}

impl Drop for TailFollower {
    fn drop(&mut self) {
        self.tails.close();
        if let Some(thread) = self.thread.take() {
            join(thread);
        }
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("the thread that follows a topic panicked");
    }
}

fn open(kafka: &KafkaSettings, patience: Duration, starts: &[(i32, i64)]) -> Result<TopicFollower, FollowError> {
    let mut topic_follower = TopicFollower::open(kafka, patience)?;
    let has = |partition: i32| topic_follower.opened().iter().any(|at| at.partition == partition);
    if let Some(&(partition, offset)) = starts.iter().find(|(partition, _)| !has(*partition)) {
        return Err(FollowError::NoPartition { topic: kafka.topic.clone(), partition, offset });
    }
    topic_follower.start(starts)?;
    Ok(topic_follower)
}

//! A topic read on and on from given offsets, decoded, in batches over a bounded queue.
//!
//! Invariants:
//! - Chunks of a partition follow one another without a gap: each begins where the one before it ended.
//! - A full queue stops the polling: what waits is at most [`QUEUE`] batches of 8,192 records.
//! - The thread ends when the receiver is gone, and the [`Follower`] joins it.

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::reading::Reading;
use crate::decode::{Decoder, InputError, InputSettings};
use crate::kafka::{Assigned, Following, KafkaSettings, TopicError};
use crate::market::{MarketZone, OffsetRange, TickColumns, TopicIdentity};

/// Batches that may wait for the receiver: enough for a pause of 80 ms, and 16 MB of rows when it lies far behind.
const QUEUE: usize = 16;

/// What is followed, and how its messages are read.
#[derive(Debug, Clone)]
pub struct FollowSettings {
    pub kafka: KafkaSettings,
    pub input: InputSettings,
    pub zone: MarketZone,
    /// For the brokers at start; later they are waited for without an end.
    pub patience: Duration,
}

/// What became of consecutive offsets of a partition.
#[derive(Debug)]
pub struct Chunk {
    pub partition: i32,
    pub range: OffsetRange,
    /// In arrival order.
    pub rows: TickColumns,
    pub dead: u64,
    /// Microseconds since the epoch, UTC.
    pub received_at: i64,
}

/// What the follower says.
#[derive(Debug)]
pub enum Tail {
    /// What one batch brought; one chunk per partition, none of them with an empty range.
    Rows(Vec<Chunk>),
    /// Records in Kafka that were not read yet, as far as it is known: 0 when every partition is at its end. Said at
    /// once when it becomes 0, else about once a second.
    Ends { lag_messages: i64 },
    /// Kafka doesn't hold the offset `asked`, or lost the end of its log and may have written others to the same
    /// offsets. The partition is not read any more.
    Gap { partition: i32, asked: i64, low: i64, high: i64 },
    /// Something is wrong with the brokers; it goes on trying.
    Trouble(String),
    /// The brokers of all partitions were heard again.
    Recovered,
    /// The last that is said: the topic was made anew, or librdkafka can't go on.
    Failed(String),
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

/// Owner's side of the thread.
#[derive(Debug)]
pub struct Follower {
    pub tails: mpsc::Receiver<Tail>,
    identity: TopicIdentity,
    opened: Vec<Assigned>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Begins at these (partition, offset); partitions that aren't named, or are added later, begin at their first
    /// offset. Returns when the brokers have told the ends of the partitions.
    ///
    /// # Errors
    /// The brokers can't be reached within the patience, or there is no such topic or partition.
    pub async fn start(settings: FollowSettings, starts: Vec<(i32, i64)>) -> Result<Self, FollowError> {
        let decoder = Decoder::new(&settings.input, settings.zone)?;
        let (sender, tails) = mpsc::channel(QUEUE);
        let (opened_sender, opened) = oneshot::channel::<Result<(TopicIdentity, Vec<Assigned>), FollowError>>();
        let (kafka, patience) = (settings.kafka, settings.patience);
        let thread = std::thread::Builder::new()
            .name("kafka-tail".to_owned())
            .spawn(move || {
                let opened = open(&kafka, patience, &starts);
                let (following, told) = match opened {
                    Ok(following) => {
                        let told = (following.identity().clone(), following.opened().to_vec());
                        (Some(following), Ok(told))
                    }
                    Err(error) => (None, Err(error)),
                };
                // Nobody waits any more when the start was given up.
                if let (Ok(()), Some(following)) = (opened_sender.send(told), following) {
                    Reading::new(following, decoder, sender).run();
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

    /// Of the topic that is read, for a comparison with the table's.
    pub fn identity(&self) -> &TopicIdentity {
        &self.identity
    }

    /// First offset and end of all partitions as they were at the start.
    pub fn opened(&self) -> &[Assigned] {
        &self.opened
    }

    /// Ends the thread, and waits for it: some 100 ms, unless a broker is asked at that moment.
    pub async fn stop(mut self) {
        self.tails.close();
        if let Some(thread) = self.thread.take()
            && let Err(error) = tokio::task::spawn_blocking(move || join(thread)).await
        {
            tracing::error!("join the thread that follows a topic: {error}");
        }
    }
}

impl Drop for Follower {
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

fn open(kafka: &KafkaSettings, patience: Duration, starts: &[(i32, i64)]) -> Result<Following, FollowError> {
    let mut following = Following::open(kafka, patience)?;
    let has = |partition: i32| following.opened().iter().any(|at| at.partition == partition);
    if let Some(&(partition, offset)) = starts.iter().find(|(partition, _)| !has(*partition)) {
        return Err(FollowError::NoPartition { topic: kafka.topic.clone(), partition, offset });
    }
    following.start(starts)?;
    Ok(following)
}

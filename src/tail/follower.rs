//! A topic read on and on from given offsets, decoded, in batches over a bounded queue.
//!
//! Invariants:
//! - Chunks of a partition follow one another without a gap: each begins where the one before it ended.
//! - A full queue stops the polling: what waits is at most [`QUEUE`] batches of 8,192 records.
//! - The thread ends when the receiver is gone, and the [`Follower`] joins it.

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::chunk::Tail;
use super::reading::Reading;
use crate::decode::{Decoder, InputError, InputSettings};
use crate::kafka::{Assigned, Following, KafkaSettings, TopicError};
use crate::market::{MarketZone, TopicIdentity};

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

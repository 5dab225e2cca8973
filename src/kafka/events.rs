//! What the consumer's thread and the owner of the state say to each other.

use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::oneshot;

use crate::kafka::raw::BatchMessage;
use crate::market::TopicIdentity;

/// A record as the handler sees it, borrowed from librdkafka.
pub struct Record<'a> {
    message: &'a BatchMessage<'a>,
}

impl<'a> Record<'a> {
    pub(in crate::kafka) fn new(message: &'a BatchMessage<'a>) -> Self {
        Self { message }
    }

    pub fn partition(&self) -> i32 {
        self.message.partition()
    }

    pub fn offset(&self) -> i64 {
        self.message.offset()
    }

    pub fn payload(&self) -> Option<&'a [u8]> {
        self.message.payload()
    }

    pub fn key(&self) -> Option<&'a [u8]> {
        self.message.key()
    }

    /// With the offset behind the record it names the log that the record is of; see [`Start::leader_epoch`].
    pub fn leader_epoch(&self) -> Option<i32> {
        self.message.leader_epoch()
    }

    /// Milliseconds since the epoch.
    pub fn timestamp(&self) -> Option<i64> {
        self.message.timestamp()
    }

    pub fn headers(&self) -> Vec<(&'a str, Option<&'a [u8]>)> {
        self.message.headers()
    }
}

/// Runs on the consumer thread.
pub trait Handler: Send + 'static {
    /// What crosses the queue.
    type Output: Send;

    /// Records of the partition follow from `offset` on.
    fn start(&mut self, partition: i32, generation: u64, offset: i64);
    /// The partition is gone; what was gathered of it is dropped.
    fn release(&mut self, partition: i32);
    fn record(&mut self, record: &Record<'_>);
    /// Everything below `offset` was delivered; records that nobody sees, such as transaction markers, included. The
    /// leader epoch is of the last of them.
    fn reached(&mut self, partition: i32, offset: i64, leader_epoch: Option<i32>);
    /// Called between batches: what is ready to cross the queue, if anything.
    fn take(&mut self) -> Option<Self::Output>;
}

/// One partition of a new assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assigned {
    pub partition: i32,
    /// First offset that Kafka still holds.
    pub low: i64,
    /// Last stable offset.
    pub high: i64,
}

/// Where a partition is to be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    pub partition: i32,
    pub generation: u64,
    pub offset: i64,
    /// Of the record before `offset`. Where the log of that epoch ends below `offset` now, the partition is not read and
    /// [`Event::Truncated`] follows. `None`: nobody asks.
    pub leader_epoch: Option<i32>,
}

#[derive(Debug)]
pub enum Event<T> {
    /// Answer with [`Command::Start`] or [`Command::AskAgain`]. Repeated for a partition whose offset Kafka doesn't hold (any more).
    Assigned {
        identity: TopicIdentity,
        partitions: Vec<Assigned>,
        /// Assigned too; the brokers don't tell their ends yet.
        unannounced: Vec<i32>,
    },
    /// Assigned by the group; [`Event::Assigned`] follows when the brokers tell their ends.
    Unannounced {
        partitions: Vec<i32>,
    },
    /// Answer with [`Command::Release`] within 5 s.
    Revoked {
        partitions: Vec<i32>,
    },
    Data(T),
    /// The group has more members than partitions, so far.
    NothingAssigned,
    /// Ends of the running partitions, about once a second.
    Ends(Vec<(i32, i64)>),
    /// Kafka lost the end of a partition that was being read, and may have written others to the same offsets.
    /// It is announced again.
    Truncated {
        partition: i32,
        text: String,
    },
    /// Something is wrong with the brokers; librdkafka goes on trying.
    Trouble {
        code: RDKafkaErrorCode,
        text: String,
        /// They are there and turn this client away.
        refused: bool,
        /// None of them answers.
        all_down: bool,
    },
    /// The thread has ended.
    Failed {
        text: String,
    },
}

#[derive(Debug)]
pub enum Command {
    /// A partition that runs already is restarted there.
    Start(Vec<Start>),
    /// Let the revoked partitions go.
    Release,
    /// Stop delivering these and announce them again, with their watermarks of now.
    Announce(Vec<i32>),
    /// Announce a partition again in place of starting it: what is known of it is newer than its watermarks.
    AskAgain(i32),
    /// Next offsets, for lag tools only.
    Commit(Vec<(i32, i64)>),
    /// First offset of a partition at or after a time (milliseconds), `None` past the end.
    OffsetForTime {
        partition: i32,
        timestamp_ms: i64,
        answer: oneshot::Sender<TimeAnswer>,
    },
    /// Which topic has the name now. Asked after a record was delivered, the same id proves that the record is
    /// of that topic.
    TopicId {
        answer: oneshot::Sender<TopicIdAnswer>,
    },
    Stop,
}

pub type TimeAnswer = Result<Option<i64>, String>;

/// `None`: the brokers don't tell.
pub type TopicIdAnswer = Result<Option<String>, String>;

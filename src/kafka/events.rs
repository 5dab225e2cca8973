//! The events that the consumer thread sends to the owner of the state, and the commands that it receives.

use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::oneshot;

use crate::kafka::raw::BatchMessage;
use crate::market::TopicIdentity;

/// A record as the handler sees it, borrowed from librdkafka.
pub struct KafkaRecord<'a> {
    message: &'a BatchMessage<'a>,
}

impl<'a> KafkaRecord<'a> {
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

    /// Together with the offset after the record it identifies the log that the record is from; see
    /// [`PartitionStart::leader_epoch`].
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
pub trait RecordHandler: Send + 'static {
    /// What is sent through the queue.
    type Output: Send;

    /// Records of the partition follow from `offset` on.
    fn start(&mut self, partition: i32, generation: u64, offset: i64);
    /// The partition was revoked; what was gathered of it is dropped.
    fn release(&mut self, partition: i32);
    fn record(&mut self, record: &KafkaRecord<'_>);
    /// Everything below `offset` was delivered, invisible records such as transaction markers included. The leader
    /// epoch is that of the last of them.
    fn reached(&mut self, partition: i32, offset: i64, leader_epoch: Option<i32>);
    /// Called between batches: returns what is ready to be sent, if anything.
    fn take(&mut self) -> Option<Self::Output>;
}

/// The offsets of a partition that Kafka holds: `[low, high)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionWatermarks {
    pub partition: i32,
    /// The first offset that Kafka still holds.
    pub low: i64,
    /// The last stable offset.
    pub high: i64,
}

/// Where reading of a partition starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionStart {
    pub partition: i32,
    pub generation: u64,
    pub offset: i64,
    /// Leader epoch of the record before `offset`. If the log of that epoch now ends below `offset`, the partition is
    /// not read and [`ConsumerEvent::Truncated`] follows. `None` skips this check.
    pub leader_epoch: Option<i32>,
}

#[derive(Debug)]
pub enum ConsumerEvent<T> {
    /// Answer with [`ConsumerCommand::Start`] or [`ConsumerCommand::RefreshWatermarks`]. Repeated for a partition whose
    /// offset Kafka doesn't hold (any more).
    Assigned {
        identity: TopicIdentity,
        partitions: Vec<PartitionWatermarks>,
        /// Assigned as well, but the brokers haven't reported their watermarks yet.
        unannounced: Vec<i32>,
    },
    /// Assigned by the group; [`ConsumerEvent::Assigned`] follows when the brokers report the watermarks.
    Unannounced {
        partitions: Vec<i32>,
    },
    /// Answer with [`ConsumerCommand::Release`] within 5 s.
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
    /// The brokers cause errors; librdkafka keeps trying.
    BrokerError {
        code: RDKafkaErrorCode,
        text: String,
        /// The brokers refuse this client.
        refused: bool,
        /// No broker answers.
        all_down: bool,
    },
    /// The thread has ended.
    Failed {
        text: String,
    },
}

#[derive(Debug)]
pub enum ConsumerCommand {
    /// A partition that runs already is restarted there.
    Start(Vec<PartitionStart>),
    /// Release the revoked partitions.
    Release,
    /// Stop delivering these partitions and announce them again, with their current watermarks.
    Announce(Vec<i32>),
    /// Announce a partition again instead of starting it: the table is ahead of its watermarks.
    RefreshWatermarks(i32),
    /// Commit these next offsets to Kafka; they serve lag tools only.
    Commit(Vec<(i32, i64)>),
    /// Query the first offset of a partition at or after a time in milliseconds; `None` is past the end.
    OffsetForTime {
        partition: i32,
        timestamp_ms: i64,
        answer: oneshot::Sender<TimeAnswer>,
    },
    /// Query the id of the topic that has the name now. If it is queried after a record was delivered and hasn't
    /// changed, the record is from that topic.
    TopicId {
        answer: oneshot::Sender<TopicIdAnswer>,
    },
    Stop,
}

pub type TimeAnswer = Result<Option<i64>, String>;

/// `None` if the brokers don't report a topic id.
pub type TopicIdAnswer = Result<Option<String>, String>;

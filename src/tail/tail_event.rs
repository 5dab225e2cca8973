//! The events that the follower sends: decoded rows, and the state of the topic.

use crate::market::{OffsetRange, TickColumns};

/// Decoded rows of consecutive offsets of a partition.
#[derive(Debug)]
pub struct TailChunk {
    pub partition: i32,
    pub range: OffsetRange,
    /// In arrival order.
    pub rows: TickColumns,
    pub dead: u64,
    /// Microseconds since the epoch, UTC.
    pub received_at: i64,
}

/// An event of the follower.
#[derive(Debug)]
pub enum TailEvent {
    /// The rows of one batch: one chunk per partition, without empty ranges.
    Rows(Vec<TailChunk>),
    /// Records in Kafka that were not read yet: 0 when every partition is at its end. Sent at once when it becomes 0,
    /// and otherwise about once a second.
    Ends { lag_messages: i64 },
    /// Kafka doesn't hold the offset `asked`, or lost the end of its log and may have written others to the same
    /// offsets. The partition is not read any more.
    Gap { partition: i32, asked: i64, low: i64, high: i64 },
    /// The brokers cause errors; the follower keeps trying.
    BrokerError(String),
    /// The brokers of all partitions have answered again.
    Recovered,
    /// The last event: the topic was deleted and created again, or librdkafka can't continue.
    Failed(String),
}

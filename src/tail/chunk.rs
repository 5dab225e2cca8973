//! What the follower sends: decoded rows, and what it knows of the topic.

use crate::market::{OffsetRange, TickColumns};

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

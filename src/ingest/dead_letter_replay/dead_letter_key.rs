//! The columns of a dead letter that identify its message, without the payload.

/// Columns of a [`DeadLetterKey`].
pub(super) const KEY_COLUMNS: [&str; 5] = ["kafka_epoch", "kafka_partition", "kafka_offset", "reason", "ingested_at"];

/// Identifies the message of a dead letter, and says when and why it was rejected.
pub(super) struct DeadLetterKey<'a> {
    pub identity: (i32, i32, i64),
    pub reason: &'a str,
    pub ingested_at: i64,
}

//! Which message a dead letter is of, without what it holds.

/// Columns of a [`Mark`].
pub(super) const MARKS: [&str; 5] = ["kafka_epoch", "kafka_partition", "kafka_offset", "reason", "ingested_at"];

/// Who a letter is, without what it holds.
pub(super) struct Mark<'a> {
    pub identity: (i32, i32, i64),
    pub reason: &'a str,
    pub ingested_at: i64,
}

//! The settings of a union of a table and its topic.

use std::time::Duration;

use crate::kafka::KafkaSettings;

/// Rows of some 1.5 million ticks: half a minute at 50,000 a second.
pub const DEFAULT_TAIL_BYTES: usize = 256 * 1024 * 1024;

#[derive(Debug, Clone)]
pub struct UnionSettings {
    /// `None` shows only the table. The topic is that of the table.
    pub kafka: Option<KafkaSettings>,
    /// Memory limit of the tail's rows. When it is reached, nothing is read until the table has some of them.
    pub tail_bytes: usize,
    /// How long to wait for the brokers.
    pub patience: Duration,
    /// Whether a view of only the table is shown while the brokers are unreachable at the start; otherwise that is an
    /// error.
    pub wait_for_brokers: bool,
}

impl UnionSettings {
    pub fn of(kafka: Option<KafkaSettings>) -> Self {
        let patience = Duration::from_secs(10);
        Self { kafka, tail_bytes: DEFAULT_TAIL_BYTES, patience, wait_for_brokers: false }
    }
}

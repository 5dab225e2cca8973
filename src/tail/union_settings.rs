//! What a union of a table and its topic is told.

use std::time::Duration;

use crate::kafka::KafkaSettings;

/// Rows of some 1.5 million ticks: half a minute at 50,000 a second.
pub const DEFAULT_TAIL_BYTES: usize = 256 * 1024 * 1024;

#[derive(Debug, Clone)]
pub struct UnionSettings {
    /// Without brokers the table alone is shown. The topic is the table's.
    pub kafka: Option<KafkaSettings>,
    /// Of the tail's rows. When they fill it, nothing is read until the table has some of them.
    pub tail_bytes: usize,
    /// For the brokers.
    pub patience: Duration,
    /// Brokers that are away at the start are waited for beside a view of the table; else they are an error.
    pub wait_for_brokers: bool,
}

impl UnionSettings {
    pub fn of(kafka: Option<KafkaSettings>) -> Self {
        let patience = Duration::from_secs(10);
        Self { kafka, tail_bytes: DEFAULT_TAIL_BYTES, patience, wait_for_brokers: false }
    }
}

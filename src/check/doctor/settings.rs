//! What is examined, and what the configuration says of the lake.

use crate::kafka::KafkaSettings;
use crate::lake::{Location, StoreSettings};
use crate::market::PartitionBy;

#[derive(Debug, Clone)]
pub struct DoctorSettings {
    pub location: Location,
    pub store: StoreSettings,
    /// `None`: Kafka is not asked.
    pub kafka: Option<KafkaSettings>,
    /// What the configuration says of the lake.
    pub expected: Expected,
    /// The ingest deletes old files of the log, so the right to do so is tried out.
    pub deletes: bool,
    pub fix: bool,
}

/// `None`: the configuration doesn't say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    pub topic: Option<String>,
    pub market_zone: Option<String>,
    pub partition_by: Option<PartitionBy>,
    /// The mapping of messages, as JSON.
    pub input: Option<String>,
}

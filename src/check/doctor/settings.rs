//! Settings of `doctor`, with the properties that the configuration expects.

use crate::kafka::KafkaSettings;
use crate::lake::{Location, StoreSettings};
use crate::market::PartitionBy;

#[derive(Debug, Clone)]
pub struct DoctorSettings {
    pub location: Location,
    pub store: StoreSettings,
    /// `None` if Kafka is not checked.
    pub kafka: Option<KafkaSettings>,
    /// The properties that the configuration expects of the lake.
    pub expected: ExpectedProperties,
    /// Ingest deletes old log files, so the permission to delete is tested.
    pub deletes: bool,
    pub fix: bool,
}

/// `None` if it is not configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectedProperties {
    pub topic: Option<String>,
    pub market_zone: Option<String>,
    pub partition_by: Option<PartitionBy>,
    /// The mapping of messages, as JSON.
    pub input: Option<String>,
}

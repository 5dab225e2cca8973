//! Settings of `doctor`, including the table properties that the configuration expects.

use crate::kafka::KafkaSettings;
use crate::lake::{Location, StoreSettings};
use crate::market::PartitionBy;

#[derive(Debug, Clone)]
pub struct DoctorSettings {
    pub location: Location,
    pub store: StoreSettings,
    /// `None` if Kafka is not checked.
    pub kafka: Option<KafkaSettings>,
    /// The table properties that the configuration expects.
    pub expected: ExpectedProperties,
    /// Whether ingest deletes old log files; if so, the permission to delete is tested.
    pub deletes: bool,
    pub fix: bool,
}

/// The expected table properties; `None` for those that are not configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectedProperties {
    pub topic: Option<String>,
    pub market_zone: Option<String>,
    pub partition_by: Option<PartitionBy>,
    /// The mapping of messages, as JSON.
    pub input: Option<String>,
}

//! What is checked.

use crate::kafka::KafkaSettings;
use crate::lake::{Location, StoreSettings};

#[derive(Debug, Clone)]
pub struct VerifySettings {
    pub location: Location,
    pub store: StoreSettings,
    /// Where the topic is, to compare the tables with it.
    pub kafka: Option<KafkaSettings>,
    /// Findings of a kind that are kept.
    pub limit: u64,
}

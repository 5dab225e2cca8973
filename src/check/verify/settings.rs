//! Settings of `verify`.

use crate::kafka::KafkaSettings;
use crate::lake::{Location, StoreSettings};

#[derive(Debug, Clone)]
pub struct VerifySettings {
    pub location: Location,
    pub store: StoreSettings,
    /// The topic to compare the tables with; `None` to check only the tables.
    pub kafka: Option<KafkaSettings>,
    /// Maximum number of findings listed for each kind.
    pub limit: u64,
}

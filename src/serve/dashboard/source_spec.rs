//! The lake that the page shows.

use crate::lake::{Location, StoreSettings};
use crate::tail::UnionSettings;

/// Location of the lake, and the memory limit of queries.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    pub location: Location,
    pub store: StoreSettings,
    /// Topic to name in messages if the lake doesn't have one yet.
    pub topic: Option<String>,
    pub memory_bytes: usize,
    /// Settings to also show the ticks in Kafka that are not in the table yet.
    pub beyond: Option<UnionSettings>,
}

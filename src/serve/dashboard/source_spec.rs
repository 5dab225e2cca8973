//! Which lake the page shows.

use crate::lake::{Location, StoreSettings};
use crate::tail::UnionSettings;

/// Where the lake is, and what queries of it may hold in memory.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    pub location: Location,
    pub store: StoreSettings,
    /// Topic that messages name if the lake has none yet.
    pub topic: Option<String>,
    pub memory_bytes: usize,
    /// What Kafka holds beyond the table is shown too.
    pub beyond: Option<UnionSettings>,
}

//! What a reader of the union gets: one version of the table, and the rows of Kafka that this version doesn't have.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::rows::TailBatch;
use crate::lake::LakeVersion;

/// Immutable: statements that began on one are not disturbed by the next.
///
/// Invariant: `tail` holds, of every partition, the rows of all offsets from the one on that `lake` covers, as far as
/// they were read: no gap between the two, and nothing twice.
#[derive(Debug, Clone)]
pub struct UnionView {
    pub lake: Arc<LakeVersion>,
    pub tail: Vec<Arc<TailBatch>>,
    pub tail_rows: usize,
    pub tail_bytes: usize,
    /// By partition, the offset below which table and tail have everything.
    pub covered: BTreeMap<i32, i64>,
    pub mode: Mode,
    /// Records in Kafka that are not in it, as far as it is known.
    pub lag_messages: Option<i64>,
    /// What keeps it from being the newest.
    pub trouble: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The table alone.
    Snapshot,
    /// The table and what Kafka holds beyond it.
    Live,
    /// As live, but the tail has no room for more until ingest commits.
    Full,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Snapshot => "snapshot",
            Self::Live => "live",
            Self::Full => "full",
        })
    }
}

impl UnionView {
    pub fn version(&self) -> u64 {
        self.lake.version
    }

    /// Whether it has everything below these (partition, offset).
    pub fn covers(&self, ends: &[(i32, i64)]) -> bool {
        ends.iter().all(|(partition, end)| self.covered.get(partition).is_some_and(|covered| covered >= end))
    }
}

//! A view of the union: one version of the table, and the rows of Kafka that this version doesn't have.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::rows::TailBatch;
use crate::lake::LakeVersion;

/// A view is immutable: statements that run on one are not affected by the next.
///
/// Invariant: for every partition, `tail` has the rows of all offsets that were read from the next offset of `lake` on,
/// without a gap or a duplicate between the two.
#[derive(Debug, Clone)]
pub struct UnionView {
    pub lake: Arc<LakeVersion>,
    pub tail: Vec<Arc<TailBatch>>,
    pub tail_rows: usize,
    pub tail_bytes: usize,
    /// The offset below which table and tail have everything, by partition.
    pub covered: BTreeMap<i32, i64>,
    pub mode: UnionMode,
    /// Records in Kafka that are not in the view, if their number is known.
    pub lag_messages: Option<i64>,
    /// Why the view may not be up to date.
    pub stale_reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnionMode {
    /// Only the table.
    Snapshot,
    /// The table and what Kafka holds beyond it.
    Live,
    /// As [`Self::Live`], but the tail has no room for more rows until ingest commits.
    Full,
}

impl fmt::Display for UnionMode {
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

    /// Returns true if the view has everything below these (partition, offset) pairs.
    pub fn covers(&self, ends: &[(i32, i64)]) -> bool {
        ends.iter().all(|(partition, end)| self.covered.get(partition).is_some_and(|covered| covered >= end))
    }
}

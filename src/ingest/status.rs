//! What the pipeline tells about itself while it runs, and at its end.

use std::collections::BTreeMap;

use crate::decode::{Reason, SkipKind};
use crate::market::Counts;

/// State after the last event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Since the start, committed.
    pub committed: Counts,
    /// Version of `ticks` after the last commit.
    pub version: u64,
    pub commits: u64,
    /// Rows read and not committed yet.
    pub buffered_rows: usize,
    /// Messages between what is committed and the end of the assigned partitions.
    pub lag: i64,
    /// Next offset of every assigned partition, committed.
    pub next: BTreeMap<i32, i64>,
    pub dead: BTreeMap<Reason, u64>,
    pub skips: BTreeMap<SkipKind, u64>,
    /// Messages that Kafka delivered again and the table had already.
    pub already_applied: u64,
    /// Commits that were dropped because another worker had been faster.
    pub fenced: u64,
    /// An ingest until the latest offsets was stopped before it had them.
    pub cut_short: bool,
}

//! What is shown: the status as it is now, and what doesn't change while the process runs.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::ingest::IngestStatus;

/// Of this process.
#[derive(Debug, Clone)]
pub struct ProcessInfo {
    pub table: String,
    pub topic: String,
    /// Of the process, as `ingest.memory` has it.
    pub memory_limit: u64,
    pub started: Instant,
    /// Microseconds since the epoch.
    pub started_at: i64,
}

impl ProcessInfo {
    /// Of a process that starts now.
    pub fn new(table: String, topic: String, memory_limit: u64) -> Self {
        let started_at = chrono::Utc::now().timestamp_micros();
        Self { table, topic, memory_limit, started: Instant::now(), started_at }
    }
}

/// One ingest, to be shown.
#[derive(Debug, Clone)]
pub struct View {
    pub facts: Arc<ProcessInfo>,
    pub status: watch::Receiver<IngestStatus>,
}

impl View {
    pub fn new(facts: ProcessInfo, status: watch::Receiver<IngestStatus>) -> Self {
        Self { facts: Arc::new(facts), status }
    }

    /// A copy: the loop doesn't wait for who reads it.
    pub(super) fn now(&self) -> MetricsSnapshot<'_> {
        let now = chrono::Utc::now().timestamp_micros();
        MetricsSnapshot { facts: &self.facts, status: self.status.borrow().clone(), instant: Instant::now(), now }
    }
}

/// The view at one moment.
pub(super) struct MetricsSnapshot<'a> {
    pub facts: &'a ProcessInfo,
    pub status: IngestStatus,
    pub instant: Instant,
    /// Microseconds since the epoch.
    pub now: i64,
}

impl MetricsSnapshot<'_> {
    /// Seconds by which the table is behind the end of a partition: 0 at the end, else the age of the newest record
    /// that is in the table; `None` before this process has committed one.
    pub(super) fn seconds_behind(&self, partition: i32) -> Option<f64> {
        let partition = self.status.partitions.get(&partition)?;
        if partition.lag == 0 {
            return Some(0.0);
        }
        Some(((self.now - partition.newest?.saturating_mul(1_000)) as f64 / 1e6).max(0.0))
    }

    /// Of the partition that is furthest behind.
    pub(super) fn freshness(&self) -> Option<f64> {
        self.status.partitions.keys().filter_map(|number| self.seconds_behind(*number)).max_by(f64::total_cmp)
    }
}

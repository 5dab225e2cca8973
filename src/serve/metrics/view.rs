//! The data behind the metrics: the current status, and facts that don't change while the process runs.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::ingest::IngestStatus;

/// Facts about this process.
#[derive(Debug, Clone)]
pub struct ProcessInfo {
    pub table: String,
    pub topic: String,
    /// Memory limit of the process, from `ingest.memory`.
    pub memory_limit: u64,
    pub started: Instant,
    /// Microseconds since the epoch.
    pub started_at: i64,
}

impl ProcessInfo {
    /// Facts about a process that starts now.
    pub fn new(table: String, topic: String, memory_limit: u64) -> Self {
        let started_at = chrono::Utc::now().timestamp_micros();
        Self { table, topic, memory_limit, started: Instant::now(), started_at }
    }
}

/// The ingest whose metrics are served.
#[derive(Debug, Clone)]
pub struct View {
    pub facts: Arc<ProcessInfo>,
    pub status: watch::Receiver<IngestStatus>,
}

impl View {
    pub fn new(facts: ProcessInfo, status: watch::Receiver<IngestStatus>) -> Self {
        Self { facts: Arc::new(facts), status }
    }

    /// A snapshot of the status. It is a copy, so that the loop never waits for a reader.
    pub(super) fn now(&self) -> MetricsSnapshot<'_> {
        let now = chrono::Utc::now().timestamp_micros();
        MetricsSnapshot { facts: &self.facts, status: self.status.borrow().clone(), instant: Instant::now(), now }
    }
}

/// The status at one point in time.
pub(super) struct MetricsSnapshot<'a> {
    pub facts: &'a ProcessInfo,
    pub status: IngestStatus,
    pub instant: Instant,
    /// Microseconds since the epoch.
    pub now: i64,
}

impl MetricsSnapshot<'_> {
    /// Seconds by which the table is behind the end of a partition. At the end it is 0, otherwise it is the age of the
    /// newest record in the table. It is `None` before this process has committed a record.
    pub(super) fn seconds_behind(&self, partition: i32) -> Option<f64> {
        let partition = self.status.partitions.get(&partition)?;
        if partition.lag == 0 {
            return Some(0.0);
        }
        Some(((self.now - partition.newest?.saturating_mul(1_000)) as f64 / 1e6).max(0.0))
    }

    /// Seconds by which the partition that is furthest behind is behind its end.
    pub(super) fn freshness(&self) -> Option<f64> {
        self.status.partitions.keys().filter_map(|number| self.seconds_behind(*number)).max_by(f64::total_cmp)
    }
}

//! The status that the pipeline publishes while it runs, and returns at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::decode::{Coercions, RejectionReason, SkipKind};
use crate::ingest::event_loop::dead_letter_share::DeadLetterShare;
use crate::ingest::event_loop::histogram::Histogram;
use crate::lake::StoreMetricsSnapshot;
use crate::market::Counts;

/// The state after the last event. Counts are since the start of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestStatus {
    pub phase: IngestPhase,
    /// When the loop last handled an event; at least once a second.
    pub last_heartbeat: Option<Instant>,
    /// Counts of the committed offsets.
    pub committed: Counts,
    /// Version of `ticks` after the last commit.
    pub version: u64,
    /// Data files of `ticks` at that version.
    pub files: u64,
    pub commits: u64,
    pub last_commit: Option<LastCommit>,
    /// Messages taken into a batch, and bytes of their payloads.
    pub read: CountAndBytes,
    /// Values of messages that were accepted after a conversion.
    pub coercions: Coercions,
    /// Rows that were read and are not committed yet, without those of a flush in flight.
    pub buffered_rows: usize,
    pub buffered_bytes: usize,
    /// Rows and decoded bytes of the flush in flight.
    pub writing: CountAndBytes,
    /// Messages between the committed offsets and the ends of the assigned partitions.
    pub lag: i64,
    /// Messages between the offsets that were read and those ends.
    pub unread: i64,
    /// Committed next offset of every assigned partition.
    pub next: BTreeMap<i32, i64>,
    pub partitions: BTreeMap<i32, PartitionStatus>,
    /// Assigned partitions whose start offset isn't known yet.
    pub pending: usize,
    /// The group has enough members without this one.
    pub is_idle: bool,
    /// Number of rebalances that assigned or revoked partitions of this worker.
    pub rebalances: u64,
    /// No broker answers, or the brokers refuse this client.
    pub brokers_unreachable: bool,
    pub dead: BTreeMap<RejectionReason, u64>,
    /// The share of dead letters among the last messages that are ticks or dead letters.
    pub dead_share: Option<DeadLetterShare>,
    pub skips: BTreeMap<SkipKind, u64>,
    /// Messages that Kafka delivered again although the table had them already.
    pub already_applied: u64,
    /// Commits that were dropped because another worker had committed the offsets first.
    pub fenced: u64,
    pub histograms: IngestHistograms,
    pub lake: StoreMetricsSnapshot,
    pub maintenance: MaintenanceStatus,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IngestPhase {
    /// Finds the topic, and opens or creates the tables.
    #[default]
    Opening,
    Running,
    Stopping,
}

/// A number of things and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CountAndBytes {
    pub count: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastCommit {
    pub version: u64,
    /// Microseconds since the epoch.
    pub at: i64,
    pub rows: i64,
    pub files: u64,
    pub bytes: u64,
    /// From the full batch to the commit.
    pub elapsed: Duration,
}

/// An assigned partition that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionStatus {
    /// The end that a broker reported last.
    pub end: i64,
    /// Messages from the committed offset to the end.
    pub lag: i64,
    /// Kafka timestamp of the newest record committed here, milliseconds since the epoch.
    pub newest: Option<i64>,
}

/// Distributions of durations and sizes over all commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestHistograms {
    /// Microseconds from the full batch to the commit.
    pub commit: Histogram,
    /// Microseconds from the Kafka timestamp of the newest record of a batch to its commit.
    pub end_to_end: Histogram,
    /// Bytes of each Parquet file of ticks.
    pub file_bytes: Histogram,
}

const SECOND: u64 = 1_000_000;
const COMMIT_BOUNDS: [u64; 12] = [
    SECOND / 20,
    SECOND / 10,
    SECOND / 4,
    SECOND / 2,
    SECOND,
    5 * SECOND / 2,
    5 * SECOND,
    10 * SECOND,
    20 * SECOND,
    30 * SECOND,
    60 * SECOND,
    300 * SECOND,
];
const END_TO_END_BOUNDS: [u64; 12] = [
    SECOND / 10,
    SECOND / 4,
    SECOND / 2,
    SECOND,
    5 * SECOND / 2,
    5 * SECOND,
    10 * SECOND,
    20 * SECOND,
    60 * SECOND,
    300 * SECOND,
    3_600 * SECOND,
    86_400 * SECOND,
];
const FILE_BYTES_BOUNDS: [u64; 8] = [16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20];

impl Default for IngestHistograms {
    fn default() -> Self {
        Self {
            commit: Histogram::new(&COMMIT_BOUNDS),
            end_to_end: Histogram::new(&END_TO_END_BOUNDS),
            file_bytes: Histogram::new(&FILE_BYTES_BOUNDS),
        }
    }
}

/// What the maintenance task did for the tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaintenanceStatus {
    /// Version of the newest checkpoint of `ticks`; `None` before the first run.
    pub checkpoint: Option<u64>,
    /// Runs by kind of work and outcome.
    pub runs: BTreeMap<(MaintenanceWork, MaintenanceOutcome), u64>,
    /// Bytes that were written; for a vacuum, bytes that were deleted.
    pub bytes: BTreeMap<MaintenanceWork, u64>,
}

/// A kind of maintenance of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MaintenanceWork {
    /// Checkpoints, and old files of the log that go after them.
    Checkpoint,
    /// Small files are merged into large ones.
    Compaction,
    /// Files that no version needs are deleted.
    Vacuum,
}

impl MaintenanceWork {
    pub const ALL: [Self; 3] = [Self::Checkpoint, Self::Compaction, Self::Vacuum];

    pub fn name(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Compaction => "compaction",
            Self::Vacuum => "vacuum",
        }
    }
}

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MaintenanceOutcome {
    Done,
    NothingToDo,
    Failed,
}

impl MaintenanceOutcome {
    pub const ALL: [Self; 3] = [Self::Done, Self::NothingToDo, Self::Failed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NothingToDo => "nothing_to_do",
            Self::Failed => "error",
        }
    }
}

impl MaintenanceStatus {
    pub(in crate::ingest) fn record_run(&mut self, work: MaintenanceWork, outcome: MaintenanceOutcome, bytes: u64) {
        *self.runs.entry((work, outcome)).or_default() += 1;
        *self.bytes.entry(work).or_default() += bytes;
    }
}

//! What the pipeline tells about itself while it runs, and at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::decode::{Coercions, Reason, SkipKind};
use crate::ingest::event_loop::dead_share::Share;
use crate::ingest::event_loop::histogram::Histogram;
use crate::lake::StoreMetricsSnapshot;
use crate::market::Counts;

/// State after the last event. Counts are since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    pub phase: Phase,
    /// When the loop came round last; once a second at least.
    pub turned_at: Option<Instant>,
    /// Committed.
    pub committed: Counts,
    /// Version of `ticks` after the last commit.
    pub version: u64,
    /// Data files of `ticks` at that version.
    pub files: u64,
    pub commits: u64,
    pub last_commit: Option<LastCommit>,
    /// Messages taken into a batch, and bytes of their payloads.
    pub read: Volume,
    /// Values of messages that were taken in another form.
    pub coercions: Coercions,
    /// Rows read and not committed yet, but for those of a flush in flight.
    pub buffered_rows: usize,
    pub buffered_bytes: usize,
    /// Rows and decoded bytes of the flush in flight.
    pub writing: Volume,
    /// Messages between what is committed and the end of the assigned partitions.
    pub lag: i64,
    /// Messages from what was read to that end.
    pub unread: i64,
    /// Next offset of every assigned partition, committed.
    pub next: BTreeMap<i32, i64>,
    pub partitions: BTreeMap<i32, PartitionStatus>,
    /// Assigned partitions of which it isn't known yet where to begin.
    pub pending: usize,
    /// The group has enough members without this one.
    pub is_spare: bool,
    /// Times that the group gave this worker partitions, or took some.
    pub rebalances: u64,
    /// No broker answers, or they turn this client away.
    pub brokers_away: bool,
    pub dead: BTreeMap<Reason, u64>,
    /// Of the last messages that are ticks or dead letters, how many are dead letters; from 0 to 1.
    pub dead_share: Option<Share>,
    pub skips: BTreeMap<SkipKind, u64>,
    /// Messages that Kafka delivered again and the table had already.
    pub already_applied: u64,
    /// Commits that were dropped because another worker had been faster.
    pub fenced: u64,
    pub measures: Measures,
    pub lake: StoreMetricsSnapshot,
    pub maintenance: MaintenanceStatus,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// Looks for the topic, opens or makes the tables.
    #[default]
    Opening,
    Running,
    Stopping,
}

/// A number of things and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
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
    /// As last heard.
    pub end: i64,
    /// Messages from what is committed to the end.
    pub lag: i64,
    /// Kafka timestamp of the newest record committed here, milliseconds since the epoch.
    pub newest: Option<i64>,
}

/// What commits were like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measures {
    /// Microseconds from the full batch to the commit.
    pub commit: Histogram,
    /// Microseconds from the Kafka timestamp of the newest record of a batch to its commit.
    pub end_to_end: Histogram,
    /// Bytes of each Parquet file of ticks.
    pub file_bytes: Histogram,
}

const SECOND: u64 = 1_000_000;
const COMMIT: [u64; 12] = [
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
const END_TO_END: [u64; 12] = [
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
const FILE_BYTES: [u64; 8] = [16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20];

impl Default for Measures {
    fn default() -> Self {
        Self {
            commit: Histogram::new(&COMMIT),
            end_to_end: Histogram::new(&END_TO_END),
            file_bytes: Histogram::new(&FILE_BYTES),
        }
    }
}

/// What the task beside the commits did for the tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaintenanceStatus {
    /// Version that the newest checkpoint of `ticks` holds; `None` before anybody looked.
    pub checkpoint: Option<u64>,
    /// Runs by kind of work and outcome.
    pub runs: BTreeMap<(Work, Ran), u64>,
    /// Written by it, of a vacuum deleted.
    pub bytes: BTreeMap<Work, u64>,
}

/// A kind of work for the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Checkpoints, and old files of the log that go after them.
    Checkpoint,
    /// Small files become large ones.
    Compaction,
    /// Files that no version needs are deleted.
    Vacuum,
}

impl Work {
    pub const ALL: [Self; 3] = [Self::Checkpoint, Self::Compaction, Self::Vacuum];

    pub fn name(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Compaction => "compaction",
            Self::Vacuum => "vacuum",
        }
    }
}

/// What came of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ran {
    Done,
    NothingToDo,
    Failed,
}

impl Ran {
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
    pub(in crate::ingest) fn ran(&mut self, work: Work, outcome: Ran, bytes: u64) {
        *self.runs.entry((work, outcome)).or_default() += 1;
        *self.bytes.entry(work).or_default() += bytes;
    }
}

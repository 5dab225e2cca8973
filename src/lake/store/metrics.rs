//! Metrics of the requests of a lake, shared by all its handles.

use std::sync::atomic::{AtomicU64, Ordering};

/// How one attempt at a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommitAttempt {
    /// The version was put.
    Ok,
    /// Another writer was faster; the same files are offered again.
    Conflict,
    /// An earlier attempt, whose answer was lost, turned out to be in the log.
    UnknownResolved,
    /// Somebody else moved the partitions.
    Fenced,
    /// The store failed; the next attempt determines the outcome.
    Error,
}

impl CommitAttempt {
    pub const ALL: [Self; 5] = [Self::Ok, Self::Conflict, Self::UnknownResolved, Self::Fenced, Self::Error];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Conflict => "conflict",
            Self::UnknownResolved => "unknown_resolved",
            Self::Fenced => "fenced",
            Self::Error => "error",
        }
    }
}

/// A table whose commits are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommittedTable {
    Ticks,
    DeadLetters,
}

impl CommittedTable {
    pub const ALL: [Self; 2] = [Self::Ticks, Self::DeadLetters];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ticks => "ticks",
            Self::DeadLetters => "dead_letters",
        }
    }
}

/// Counters; all but `failing` only increase.
#[derive(Debug, Default)]
pub struct StoreMetrics {
    commits: [[AtomicU64; CommitAttempt::ALL.len()]; CommittedTable::ALL.len()],
    faults: AtomicU64,
    failing: AtomicU64,
}

/// The values of [`StoreMetrics`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreMetricsSnapshot {
    commits: [[u64; CommitAttempt::ALL.len()]; CommittedTable::ALL.len()],
    /// Failed requests that were retried.
    pub faults: u64,
    /// Requests that failed and are being retried now.
    pub failing: u64,
}

impl StoreMetricsSnapshot {
    /// Number of attempts at commits with this outcome.
    pub fn commits(&self, table: CommittedTable, attempt: CommitAttempt) -> u64 {
        self.commits[table as usize][attempt as usize]
    }
}

impl StoreMetrics {
    pub fn read(&self) -> StoreMetricsSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StoreMetricsSnapshot {
            commits: self.commits.each_ref().map(|table| table.each_ref().map(read)),
            faults: read(&self.faults),
            failing: read(&self.failing),
        }
    }

    pub(in crate::lake) fn commit(&self, table: CommittedTable, attempt: CommitAttempt) {
        self.commits[table as usize][attempt as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::lake) fn fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::lake) fn enter_failing(&self) {
        self.failing.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::lake) fn leave_failing(&self) {
        self.failing.fetch_sub(1, Ordering::Relaxed);
    }
}

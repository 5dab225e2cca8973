//! What the requests of a lake came to, counted once a request by all its handles.

use std::sync::atomic::{AtomicU64, Ordering};

/// How one attempt at a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attempt {
    /// The version was put.
    Ok,
    /// Another writer was faster; the same files are offered again.
    Conflict,
    /// An earlier attempt, whose answer was lost, turned out to be in the log.
    UnknownResolved,
    /// Somebody else moved the partitions.
    Fenced,
    /// The store failed; what became of it is found out by the next attempt.
    Error,
}

impl Attempt {
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

/// Which table is committed to.
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

/// Only ever counts up, but for `failing`.
#[derive(Debug, Default)]
pub struct Tally {
    commits: [[AtomicU64; Attempt::ALL.len()]; CommittedTable::ALL.len()],
    faults: AtomicU64,
    failing: AtomicU64,
}

/// A [`Tally`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tallied {
    commits: [[u64; Attempt::ALL.len()]; CommittedTable::ALL.len()],
    /// Requests that failed and were made again.
    pub faults: u64,
    /// Requests that failed the last time and are being made again now.
    pub failing: u64,
}

impl Tallied {
    /// Attempts at commits that ended so.
    pub fn commits(&self, table: CommittedTable, attempt: Attempt) -> u64 {
        self.commits[table as usize][attempt as usize]
    }
}

impl Tally {
    pub fn read(&self) -> Tallied {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Tallied {
            commits: self.commits.each_ref().map(|table| table.each_ref().map(read)),
            faults: read(&self.faults),
            failing: read(&self.failing),
        }
    }

    pub(in crate::lake) fn commit(&self, table: CommittedTable, attempt: Attempt) {
        self.commits[table as usize][attempt as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::lake) fn fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::lake) fn begins_to_fail(&self) {
        self.failing.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::lake) fn ends_to_fail(&self) {
        self.failing.fetch_sub(1, Ordering::Relaxed);
    }
}

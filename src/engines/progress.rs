//! The progress of a statement that another engine runs.

use std::sync::atomic::{AtomicU64, Ordering};

/// Progress counters that the client updates and the progress display reads.
#[derive(Debug, Default)]
pub struct EngineProgress {
    rows: AtomicU64,
    splits: AtomicU64,
    all_splits: AtomicU64,
    bytes: AtomicU64,
}

/// Values of the counters. A counter is zero if the engine doesn't report it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngineRead {
    pub rows: u64,
    /// Number of finished splits, out of `all_splits`.
    pub splits: u64,
    pub all_splits: u64,
    pub bytes: u64,
}

impl EngineProgress {
    pub(super) fn set(&self, rows: u64, splits: u64, all_splits: u64) {
        self.rows.store(rows, Ordering::Relaxed);
        self.splits.store(splits, Ordering::Relaxed);
        self.all_splits.store(all_splits, Ordering::Relaxed);
    }

    #[cfg(feature = "aws")]
    pub(super) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    pub fn read(&self) -> EngineRead {
        let numbers = [&self.rows, &self.splits, &self.all_splits, &self.bytes];
        let [rows, splits, all_splits, bytes] = numbers.map(|number| number.load(Ordering::Relaxed));
        EngineRead { rows, splits, all_splits, bytes }
    }
}

//! Progress of a running `verify`.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that a running check updates and a progress display reads.
#[derive(Debug, Default)]
pub struct VerifyProgress {
    rows: AtomicU64,
    files: AtomicU64,
    all_files: AtomicU64,
    records: AtomicU64,
    all_records: AtomicU64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProgressSnapshot {
    pub rows: u64,
    pub files: u64,
    pub all_files: u64,
    /// Kafka records that were read. `all_records` counts offsets instead, some of which may have no record.
    pub records: u64,
    pub all_records: u64,
}

impl VerifyProgress {
    pub fn read(&self) -> ProgressSnapshot {
        ProgressSnapshot {
            rows: self.rows.load(Ordering::Relaxed),
            files: self.files.load(Ordering::Relaxed),
            all_files: self.all_files.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            all_records: self.all_records.load(Ordering::Relaxed),
        }
    }

    pub(super) fn expect_files(&self, files: usize) {
        self.all_files.fetch_add(files as u64, Ordering::Relaxed);
    }

    pub(super) fn read_rows(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(super) fn read_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn expect_records(&self, offsets: u64) {
        self.all_records.fetch_add(offsets, Ordering::Relaxed);
    }

    pub(super) fn read_records(&self, offsets: u64) {
        self.records.fetch_add(offsets, Ordering::Relaxed);
    }
}

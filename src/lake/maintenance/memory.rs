//! Divides the memory of a compaction, and estimates how much an open file takes. Pure.
//!
//! Half is for the files that are read, an eighth for rows that are not encoded yet, an eighth for row groups that are
//! not written yet; the rest is for copies of these two and for parts of uploads.

use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

/// Size of a decoded batch, see [`batch_rows`](crate::lake::batch_rows).
const BATCH_BYTES: u64 = 1 << 20;
/// A page ends at about the first of these limits.
const PAGE_ROWS: u64 = 4 * 1024;
const PAGE_BYTES: u64 = 1 << 20;
/// A merge needs two files, however much memory they take.
const LEAST_INPUTS: usize = 2;
/// Minimum encoded size of a row group; smaller ones are inefficient to read.
const LEAST_ROW_GROUP: u64 = 2 << 20;

/// Bytes of memory that a job may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CompactionMemory(pub u64);

impl CompactionMemory {
    /// How many of the files can be open at once, given how much each of them takes; at least two.
    pub(super) fn inputs(self, bytes_while_read: impl IntoIterator<Item = u64>) -> usize {
        let mut left = self.0 / 2;
        let fits = |bytes_while_read: &u64| {
            let is_within = *bytes_while_read <= left;
            left = left.saturating_sub(*bytes_while_read);
            is_within
        };
        bytes_while_read.into_iter().take_while(fits).count().max(LEAST_INPUTS)
    }

    /// Largest row group that is read; two of them are in memory at once.
    pub(super) fn largest_row_group(self) -> u64 {
        self.0
    }

    /// Decoded bytes that may wait to be encoded.
    pub(super) fn unencoded(self) -> usize {
        usize::try_from(self.0 / 8).unwrap_or(usize::MAX)
    }

    /// Encoded bytes at which a row group ends, given the number of outputs.
    pub(super) fn row_group(self, outputs: usize) -> usize {
        let share = self.0 / 8 / outputs.max(1) as u64;
        usize::try_from(share.max(LEAST_ROW_GROUP)).unwrap_or(usize::MAX)
    }
}

/// Bytes that a file takes while it is read: a row group as it is stored, a page of each of its columns, and a batch.
pub(super) fn bytes_while_read(footer: &ParquetMetaData) -> u64 {
    let of_group = |group: &RowGroupMetaData| {
        let rows = group.num_rows().unsigned_abs().max(1);
        let page = |bytes: u64| (bytes.saturating_mul(PAGE_ROWS) / rows).min(bytes).min(PAGE_BYTES);
        let pages: u64 = group.columns().iter().map(|column| page(column.uncompressed_size().unsigned_abs())).sum();
        largest(group) + pages + BATCH_BYTES
    };
    footer.row_groups().iter().map(of_group).max().unwrap_or(0)
}

/// Stored bytes of the largest row group.
pub(super) fn largest_row_group(footer: &ParquetMetaData) -> u64 {
    footer.row_groups().iter().map(largest).max().unwrap_or(0)
}

fn largest(group: &RowGroupMetaData) -> u64 {
    group.compressed_size().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn as_many_files_as_fit_are_open() {
        let memory = CompactionMemory(128 * MIB);
        assert_eq!(memory.inputs([2 * MIB; 32]), 32);
        assert_eq!(memory.inputs([16 * MIB; 32]), 4);
        assert_eq!(memory.inputs([60 * MIB, 8 * MIB, MIB]), 2);
        assert_eq!(memory.inputs([500 * MIB; 8]), 2);
    }

    #[test]
    fn outputs_share_what_is_for_them() {
        let memory = CompactionMemory(128 * MIB);
        assert_eq!(memory.row_group(1) as u64, 16 * MIB);
        assert_eq!(memory.row_group(8) as u64, 2 * MIB);
        assert_eq!(memory.row_group(100) as u64, 2 * MIB);
    }
}

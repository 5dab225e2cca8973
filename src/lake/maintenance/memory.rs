//! How the memory of a compaction is shared out, and what an open file takes of it. Pure.
//!
//! Half is for the files that are read, an eighth for rows that are not encoded yet, an eighth for row groups that are
//! not written yet; the rest are copies of these two and parts of uploads.

use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

/// Of a batch, see [`batch_rows`](crate::lake::batch_rows).
const BATCH_BYTES: u64 = 1 << 20;
/// A page ends at the first of these, give or take a value.
const PAGE_ROWS: u64 = 4 * 1024;
const PAGE_BYTES: u64 = 1 << 20;
/// A merge of one file is none, whatever two of them take.
const LEAST_INPUTS: usize = 2;
/// Encoded bytes that make a row group of one output worth reading by itself.
const LEAST_ROW_GROUP: u64 = 2 << 20;

/// Bytes that a job may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory(pub u64);

impl Memory {
    /// How many of the files can be open at once, by what each of them takes; at least two.
    pub(super) fn inputs(self, held: impl IntoIterator<Item = u64>) -> usize {
        let mut left = self.0 / 2;
        let fits = |held: &u64| {
            let is_within = *held <= left;
            left = left.saturating_sub(*held);
            is_within
        };
        held.into_iter().take_while(fits).count().max(LEAST_INPUTS)
    }

    /// Largest row group that is read: two of them are open at once.
    pub(super) fn largest_row_group(self) -> u64 {
        self.0
    }

    /// Decoded bytes that wait until they are encoded.
    pub(super) fn unencoded(self) -> usize {
        usize::try_from(self.0 / 8).unwrap_or(usize::MAX)
    }

    /// Encoded bytes at which a row group of each of several outputs ends.
    pub(super) fn row_group(self, outputs: usize) -> usize {
        let share = self.0 / 8 / outputs.max(1) as u64;
        usize::try_from(share.max(LEAST_ROW_GROUP)).unwrap_or(usize::MAX)
    }
}

/// Bytes that a file takes while it is read: a row group as it is stored, a page of each of its columns, and a batch.
pub(super) fn held(footer: &ParquetMetaData) -> u64 {
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
        let memory = Memory(128 * MIB);
        assert_eq!(memory.inputs([2 * MIB; 32]), 32);
        assert_eq!(memory.inputs([16 * MIB; 32]), 4);
        assert_eq!(memory.inputs([60 * MIB, 8 * MIB, MIB]), 2);
        assert_eq!(memory.inputs([500 * MIB; 8]), 2);
    }

    #[test]
    fn outputs_share_what_is_for_them() {
        let memory = Memory(128 * MIB);
        assert_eq!(memory.row_group(1) as u64, 16 * MIB);
        assert_eq!(memory.row_group(8) as u64, 2 * MIB);
        assert_eq!(memory.row_group(100) as u64, 2 * MIB);
    }
}

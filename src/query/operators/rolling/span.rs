//! Files and the times in them.

use datafusion::common::stats::Precision;
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::listing::{FileRange, PartitionedFile};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};

use super::merge::OrderKeys;

/// Bytes of a file that are decoded at once: about a row group of the files that we write.
const PIECE_BYTES: u64 = if cfg!(test) { 4 * 1024 } else { 1024 * 1024 };

/// All files of a scan.
///
/// # Errors
/// The table has no column of times.
pub(in crate::query) fn spans(config: &FileScanConfig) -> Result<Vec<FileSpan>> {
    let ts = config.file_source().table_schema().table_schema().index_of(OrderKeys::NAMES[0])?;
    Ok(config.file_groups.iter().flat_map(FileGroup::iter).map(|file| FileSpan::of(file, ts)).collect())
}

/// A file and the range of times in it, as far as its statistics have it.
pub(in crate::query) struct FileSpan {
    pub file: PartitionedFile,
    pub first: i64,
    pub last: i64,
    pub rows: Option<u64>,
}

impl FileSpan {
    fn of(file: &PartitionedFile, ts: usize) -> Self {
        let column = file.statistics.as_ref().and_then(|statistics| statistics.column_statistics.get(ts));
        let time = |bound: Option<&Precision<ScalarValue>>| match bound.and_then(Precision::get_value) {
            Some(ScalarValue::TimestampMicrosecond(time, _)) => *time,
            _ => None,
        };
        let first = time(column.map(|column| &column.min_value)).unwrap_or(i64::MIN);
        let last = time(column.map(|column| &column.max_value)).unwrap_or(i64::MAX);
        let rows = file.statistics.as_ref().and_then(|statistics| statistics.num_rows.get_value());
        Self { file: file.clone(), first, last, rows: rows.map(|rows| *rows as u64) }
    }

    pub(in crate::query) fn path(&self) -> &str {
        self.file.object_meta.location.as_ref()
    }

    /// The file in pieces. A row group belongs to the piece in which it begins.
    pub(super) fn cut(self) -> Vec<PartitionedFile> {
        let bytes = self.file.object_meta.size;
        let pieces = bytes.div_ceil(PIECE_BYTES).max(1);
        if pieces == 1 {
            return vec![self.file];
        }
        let start = |piece: u64| (piece * bytes / pieces) as i64;
        let piece = |at: u64| {
            let mut file = self.file.clone();
            file.range = Some(FileRange { start: start(at), end: start(at + 1) });
            file
        };
        (0..pieces).map(piece).collect()
    }
}

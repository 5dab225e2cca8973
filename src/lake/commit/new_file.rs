//! Data files that are not committed yet.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::lake::error::LakeError;

/// A Parquet file that is in the store, or will be before its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Relative to the root of the table, as in `trade_date=2026-11-20/part-<uuid>.zstd.parquet`.
    pub path: String,
    pub bytes: i64,
    pub rows: i64,
    /// Days since 1970-01-01.
    pub partition_value: i32,
    /// Delta statistics as JSON.
    pub stats: String,
    /// When the file was encoded, which was before its upload.
    pub made: DateTime<Utc>,
}

impl NewFile {
    /// How old a file may be when its commit is attempted: half of the minimum age at which vacuum may delete an
    /// unreferenced file.
    pub const MAX_COMMIT_AGE: Duration = Duration::from_secs(12 * 3600);
}

/// Called before every attempt: the store may have been failing for days.
///
/// # Errors
/// [`LakeError::FileExpired`].
pub(in crate::lake) fn require_not_expired(table: &str, files: &[NewFile]) -> Result<(), LakeError> {
    let now = Utc::now();
    let is_old = |file: &&NewFile| (now - file.made).to_std().is_ok_and(|age| age > NewFile::MAX_COMMIT_AGE);
    match files.iter().find(is_old) {
        Some(file) => Err(LakeError::FileExpired { file: format!("{table}/{}", file.path) }),
        None => Ok(()),
    }
}

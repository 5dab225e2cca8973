//! Files that wait for the commit that names them.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::lake::error::LakeError;

/// A Parquet file that is in the store already, or will be before its commit.
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
    /// When its bytes were made, which was before the store got them.
    pub made: DateTime<Utc>,
}

impl NewFile {
    /// How long a commit of it may be offered. Half of the age at which a file that nothing names may be deleted, at the
    /// earliest.
    pub const OFFERED_FOR: Duration = Duration::from_secs(12 * 3600);
}

/// Asked before every attempt: the store may have refused a commit for days.
///
/// # Errors
/// [`LakeError::Outlived`].
pub(in crate::lake) fn require_young(table: &str, files: &[NewFile]) -> Result<(), LakeError> {
    let now = Utc::now();
    let is_old = |file: &&NewFile| (now - file.made).to_std().is_ok_and(|age| age > NewFile::OFFERED_FOR);
    match files.iter().find(is_old) {
        Some(file) => Err(LakeError::Outlived { file: format!("{table}/{}", file.path) }),
        None => Ok(()),
    }
}

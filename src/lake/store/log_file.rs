//! Names in the folder of a table's log.

use object_store::path::Path;

pub(in crate::lake) const LOG: &str = "_delta_log";
/// Suffixes after the version: of a commit, and of a checkpoint in a single file. Only other writers split checkpoints
/// into parts.
pub(in crate::lake) const COMMIT: &str = ".json";
pub(in crate::lake) const CHECKPOINT: &str = ".checkpoint.parquet";
/// Digits of a version in the name of a log file.
const VERSION_DIGITS: usize = 20;

/// The version in the name of a log file, and the suffix after it, such as `.json`; `None` for other files.
pub(in crate::lake) fn versioned(file: &Path) -> Option<(u64, &str)> {
    let (digits, ending) = file.filename()?.split_at_checked(VERSION_DIGITS)?;
    Some((digits.parse().ok()?, ending))
}

pub(in crate::lake) fn commit_name(version: u64) -> String {
    format!("{version:0VERSION_DIGITS$}{COMMIT}")
}

pub(in crate::lake) fn checkpoint_name(version: u64) -> String {
    format!("{version:0VERSION_DIGITS$}{CHECKPOINT}")
}

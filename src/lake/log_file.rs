//! Names in the folder of a table's log.

use object_store::path::Path;

pub(super) const LOG: &str = "_delta_log";
/// Digits of a version in the name of a log file.
const VERSION_DIGITS: usize = 20;

/// The version that a file is of, and what follows it in the name, as `.json`; `None` of other files.
pub(super) fn versioned(file: &Path) -> Option<(u64, &str)> {
    let (digits, ending) = file.filename()?.split_at_checked(VERSION_DIGITS)?;
    Some((digits.parse().ok()?, ending))
}

//! Names of the tables, and a table with its log.

use crate::lake::{AuditedTable, LoggedVersion};

pub(super) const TICKS: &str = "ticks";
pub(super) const DEAD_LETTERS: &str = "dead_letters";

/// A table whose log was read.
pub(super) struct LoggedTable {
    pub(super) name: &'static str,
    pub(super) table: AuditedTable,
}

impl LoggedTable {
    pub(super) fn state(&self) -> Option<&LoggedVersion> {
        self.table.state.as_ref()
    }
}

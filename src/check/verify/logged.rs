//! The tables by name, and one whose log was read.

use crate::lake::{AuditedTable, LoggedVersion};

pub(super) const TICKS: &str = "ticks";
pub(super) const DEAD_LETTERS: &str = "dead_letters";

/// A table whose log was read.
pub(super) struct Logged {
    pub(super) name: &'static str,
    pub(super) table: AuditedTable,
}

impl Logged {
    pub(super) fn state(&self) -> Option<&LoggedVersion> {
        self.table.state.as_ref()
    }
}

//! Whether ticks show before they are in the table: every answer says so.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Live,
    /// The table alone.
    Snapshot,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Snapshot => "snapshot",
        }
    }
}

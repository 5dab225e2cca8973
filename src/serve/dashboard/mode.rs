//! Whether ticks show before they are in the table: every answer says so.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve::dashboard) enum Mode {
    Live,
    /// The table alone.
    Snapshot,
}

impl Mode {
    pub(in crate::serve::dashboard) fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Snapshot => "snapshot",
        }
    }
}

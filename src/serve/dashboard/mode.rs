//! Whether ticks are shown before they are in the table. Every response includes the mode.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve::dashboard) enum Mode {
    Live,
    /// Only the table is shown.
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

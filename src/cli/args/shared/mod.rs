//! Groups of flags that several commands use.

pub(in crate::cli::args) mod engines;
pub(in crate::cli::args) mod format;
pub(in crate::cli::args) mod kafka;
pub(in crate::cli::args) mod table;
pub(in crate::cli::args) mod values;

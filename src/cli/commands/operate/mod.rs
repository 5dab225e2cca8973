//! Commands for operators of a lake.

pub(in crate::cli::commands) mod dead_letters;
pub(in crate::cli::commands) mod doctor;
pub(in crate::cli::commands) mod maintain;
pub(in crate::cli::commands) mod metrics;
pub(in crate::cli::commands) mod offsets;
pub(in crate::cli::commands) mod probe;
pub(in crate::cli::commands) mod rezone;
pub(in crate::cli::commands) mod table;
pub(in crate::cli::commands) mod verify;

//! Commands that show settings and register tables elsewhere.

pub(in crate::cli::commands) mod catalog;
pub(in crate::cli::commands) mod config;

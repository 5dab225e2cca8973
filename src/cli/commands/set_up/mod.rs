//! Commands that show settings and register tables with other engines.

pub(in crate::cli::commands) mod catalog;
pub(in crate::cli::commands) mod config;

//! Commands that query ticks and signals.

pub(in crate::cli::commands) mod alerts;
pub(in crate::cli::commands) mod dashboard;
pub(in crate::cli::commands) mod explain;
pub(in crate::cli::commands) mod listing;
pub(in crate::cli::commands) mod live;
pub(in crate::cli::commands) mod live_tables;
pub(in crate::cli::commands) mod other_engine;
pub(in crate::cli::commands) mod page;
pub(in crate::cli::commands) mod progress;
pub mod query;
pub(in crate::cli::commands) mod repl;
pub(in crate::cli::commands) mod statement;
pub(in crate::cli::commands) mod tables;
pub(in crate::cli::commands) mod target;

//! Commands that send ticks to Kafka or read them from it.

pub(in crate::cli::commands) mod consume_only;
pub(in crate::cli::commands) mod demo;
pub(in crate::cli::commands) mod dry_run;
pub(in crate::cli::commands) mod ingest;
pub mod produce;
pub(in crate::cli::commands) mod recovery_command;
pub(in crate::cli::commands) mod sidecars;

//! `tickhouse config` and `tickhouse completions`.

use clap::{Args, Subcommand};
use clap_complete::Shell;

use crate::cli::args::IngestArgs;

/// The configuration
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    /// Print every value with its origin, secrets masked; takes the flags of ingest
    Show(Box<IngestArgs>),
}

/// Print the completion script of a shell
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    pub shell: Shell,
}

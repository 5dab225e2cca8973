//! Flags of `tickhouse config` and `tickhouse completions`.

use clap::{Args, Subcommand};
use clap_complete::Shell;

use crate::cli::args::IngestArgs;

const AFTER_HELP: &str = "\
Examples:
  tickhouse config show --config tickhouse.toml";

const SHOW_HELP: &str = "\
Examples:
  tickhouse config show --config tickhouse.toml
  tickhouse config show --config tickhouse.toml --flush-interval 5s";

const COMPLETIONS_HELP: &str = "\
Examples:
  tickhouse completions bash > ~/.local/share/bash-completion/completions/tickhouse
  tickhouse completions fish > ~/.config/fish/completions/tickhouse.fish";

/// Show the configuration
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting with its value and origin, secrets masked
    ///
    /// It accepts the flags of ingest, and fails if ingest would refuse the configuration.
    #[command(after_help = SHOW_HELP)]
    Show(Box<IngestArgs>),
}

/// Print the completion script of a shell
#[derive(Debug, Clone, Args)]
#[command(after_help = COMPLETIONS_HELP)]
pub struct CompletionsArgs {
    /// Shell that will run the script
    pub shell: Shell,
}

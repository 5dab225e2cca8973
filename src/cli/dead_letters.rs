//! `tickhouse dead-letters`.

use clap::{Args, Subcommand};

use super::{FormatChoice, TableArgs};

/// Messages that could not become ticks
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true)]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    pub command: DeadLettersCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum DeadLettersCommand {
    /// Count them by reason and partition, with their offsets and times
    List(DeadLettersListArgs),
    /// Show single ones with their payload
    Show(DeadLettersShowArgs),
}

#[derive(Debug, Clone, Args)]
pub struct DeadLettersListArgs {
    #[command(flatten)]
    pub table: TableArgs,
    /// Only this reason
    #[arg(long, value_name = "CODE", default_value = "")]
    pub reason: String,
    /// Format; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
}

#[derive(Debug, Clone, Args)]
pub struct DeadLettersShowArgs {
    #[command(flatten)]
    pub table: TableArgs,
    /// Only this reason
    #[arg(long, value_name = "CODE", default_value = "")]
    pub reason: String,
    /// Only this partition
    #[arg(long, value_name = "NUMBER", default_value_t = -1)]
    pub partition: i64,
    /// Only this offset
    #[arg(long, value_name = "NUMBER", default_value_t = -1)]
    pub offset: i64,
    /// So many at most, the newest first
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub limit: i64,
    /// Format; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
}

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
    #[arg(long, value_name = "CODE")]
    pub reason: Option<String>,
    /// Format; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
}

#[derive(Debug, Clone, Args)]
pub struct DeadLettersShowArgs {
    #[command(flatten)]
    pub table: TableArgs,
    /// Only this reason
    #[arg(long, value_name = "CODE")]
    pub reason: Option<String>,
    /// Only this partition
    #[arg(long, value_name = "NUMBER")]
    pub partition: Option<u32>,
    /// Only this offset
    #[arg(long, value_name = "NUMBER")]
    pub offset: Option<u64>,
    /// So many at most, the newest first
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub limit: i64,
    /// Format; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
}

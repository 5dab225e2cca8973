//! `tickhouse verify`.

use clap::Args;

use crate::cli::args::{FormatChoice, KafkaArgs, TableArgs};

/// Check that a lake holds what it promises, and list what is wrong with how to mend it; exit code 4 with findings
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub table: TableArgs,
    /// Compare with the records that Kafka still holds, too: every offset from its oldest one to the end of the table
    #[arg(long)]
    pub against_kafka: bool,
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// Format of the findings; json adds what was checked; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
    /// Findings of each kind that are listed; all of them are counted
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub limit: u64,
}

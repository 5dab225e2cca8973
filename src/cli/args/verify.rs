//! Flags of `tickhouse verify`.

use clap::Args;

use crate::cli::args::{FormatChoice, KafkaArgs, TableArgs};

const AFTER_HELP: &str = "\
Examples:
  tickhouse verify --table ./lake
  tickhouse verify --table ./lake --format json
  tickhouse verify --table ./lake --against-kafka --brokers localhost:9092";

/// Check every row, file and counter of a lake
///
/// Findings are listed with their repair, and the exit code is 4 if there are any. Nothing is changed.
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct VerifyArgs {
    /// Also compare every record that Kafka still holds, up to the end of the table
    #[arg(long)]
    pub against_kafka: bool,
    /// Format of the findings; json adds what was checked; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
    /// Findings listed of each kind; all of them are counted
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub limit: u64,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub kafka: KafkaArgs,
}

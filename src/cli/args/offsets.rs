//! Flags of `tickhouse offsets`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};

use crate::cli::args::{KafkaArgs, TableArgs};

const AFTER_HELP: &str = "\
Examples:
  tickhouse offsets show --table ./lake --brokers localhost:9092
  tickhouse offsets set --table ./lake --brokers localhost:9092 --partition 3=1200 \\
      --reason 'retention was too short' --dry-run";

const SHOW_HELP: &str = "\
Examples:
  tickhouse offsets show --table ./lake
  tickhouse offsets show --table ./lake --brokers localhost:9092 --format json";

const SET_HELP: &str = "\
Examples:
  tickhouse offsets set --table ./lake --brokers localhost:9092 --partition 3=1200 \\
      --reason 'retention was too short' --dry-run
  tickhouse offsets set --table ./lake --brokers localhost:9092 --new-epoch \\
      --reason 'topic was recreated'";

/// Show the committed offsets, or set them after data loss
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct OffsetsArgs {
    #[command(subcommand)]
    pub command: OffsetsCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum OffsetsCommand {
    /// Show what is committed in each partition and, with --brokers, what Kafka holds beyond it
    Show(OffsetsShowArgs),
    /// Skip offsets that Kafka no longer holds, or start a new epoch for a recreated topic
    ///
    /// A new epoch is also for a topic that moved to another cluster. The reason is kept in the table's history.
    Set(OffsetsSetArgs),
}

#[derive(Debug, Clone, Args)]
#[command(after_help = SHOW_HELP)]
pub struct OffsetsShowArgs {
    /// Format of the list
    #[arg(long, value_enum, default_value = "table")]
    pub format: OffsetsFormat,
    /// Earlier spelling of --format json
    #[arg(long, hide = true, conflicts_with = "format")]
    pub json: bool,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub kafka: KafkaArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OffsetsFormat {
    Table,
    Json,
}

impl OffsetsShowArgs {
    pub fn is_json(&self) -> bool {
        self.json || self.format == OffsetsFormat::Json
    }
}

#[derive(Debug, Clone, Args)]
#[command(after_help = SET_HELP)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["partition", "new_epoch"])))]
pub struct OffsetsSetArgs {
    /// Continue at this offset, which Kafka must hold, as in 3=1200; can be repeated
    ///
    /// The offsets before it that were not read are recorded as lost.
    #[arg(long, value_name = "P=OFFSET", value_parser = partition_offset)]
    pub partition: Vec<(i32, i64)>,
    /// Start a new epoch for a topic that was recreated or moved to another cluster, and read it from its first message
    #[arg(long, conflicts_with = "partition")]
    pub new_epoch: bool,
    /// Reason of the change, which is kept in the table's history
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub reason: String,
    /// Print what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub kafka: KafkaArgs,
}

fn partition_offset(text: &str) -> Result<(i32, i64), String> {
    let pair = text.split_once('=').and_then(|(partition, offset)| {
        Some((partition.trim().parse::<i32>().ok()?, offset.trim().parse::<i64>().ok()?))
    });
    pair.filter(|(partition, offset)| *partition >= 0 && *offset >= 0)
        .ok_or_else(|| "write --partition PARTITION=OFFSET, as in 3=1200".to_owned())
}

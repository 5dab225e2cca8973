//! `tickhouse offsets`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use crate::cli::args::{KafkaArgs, TableArgs};

/// Offsets of the lake: where every message is, and the audited way out of a data-loss stop
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true)]
pub struct OffsetsArgs {
    #[command(subcommand)]
    pub command: OffsetsCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum OffsetsCommand {
    /// Show per partition what was committed and, with --brokers, what Kafka holds beyond it
    Show(OffsetsShowArgs),
    /// Give up offsets that Kafka no longer holds, or count anew for a recreated topic or another cluster
    Set(OffsetsSetArgs),
}

#[derive(Debug, Clone, Args)]
pub struct OffsetsShowArgs {
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["partition", "new_epoch"])))]
pub struct OffsetsSetArgs {
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// Go on at this offset, which Kafka must hold, as in 3=1200; what lies before it is recorded as lost; can be
    /// repeated
    #[arg(long, value_name = "P=OFFSET", value_parser = partition_offset)]
    pub partition: Vec<(i32, i64)>,
    /// The topic was recreated or moved to another cluster: count its offsets anew
    #[arg(long, conflicts_with = "partition")]
    pub new_epoch: bool,
    /// Why, for the table's history
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub reason: String,
    /// Say what would change and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

fn partition_offset(text: &str) -> Result<(i32, i64), String> {
    let pair = text.split_once('=').and_then(|(partition, offset)| {
        Some((partition.trim().parse::<i32>().ok()?, offset.trim().parse::<i64>().ok()?))
    });
    pair.filter(|(partition, offset)| *partition >= 0 && *offset >= 0)
        .ok_or_else(|| "write --partition PARTITION=OFFSET, as in 3=1200".to_owned())
}

//! The command line: clap derive only. Each group of flags puts itself into the settings' layers.

mod config;
mod dead_letters;
mod demo;
mod ingest;
mod kafka;
mod offsets;
mod produce;
mod query;
mod table;

use std::path::PathBuf;

use chrono_tz::Tz;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub use config::{CompletionsArgs, ConfigArgs, ConfigCommand};
pub use dead_letters::{DeadLettersArgs, DeadLettersCommand};
pub use demo::DemoArgs;
pub use ingest::{IngestArgs, InputArgs};
pub use kafka::KafkaArgs;
pub use offsets::{OffsetsArgs, OffsetsCommand, OffsetsSetArgs, OffsetsShowArgs};
pub use produce::{ColumnArgs, ProduceArgs, ProduceCommand, ReplayArgs, SendArgs, SimulateArgs};
pub use query::{FormatChoice, QueryArgs};
pub use table::TableArgs;

/// One binary that turns a Kafka topic of market ticks into an open Delta lakehouse, exactly once
#[derive(Debug, Parser)]
#[command(name = "tickhouse", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global")]
pub struct GlobalArgs {
    /// Configuration file (TOML); most keys can also come from the environment, as TICKHOUSE_KAFKA_BROKERS
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What is logged to stderr, as in debug or librdkafka=trace; libraries that are not named only warn
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    /// Form of the log
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    #[default]
    Human,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(DemoArgs),
    Produce(ProduceArgs),
    Ingest(IngestArgs),
    Query(Box<QueryArgs>),
    Offsets(OffsetsArgs),
    DeadLetters(DeadLettersArgs),
    Config(ConfigArgs),
    Completions(CompletionsArgs),
    /// Read a topic and drop it, as the yardstick of the benchmark
    #[command(hide = true)]
    ConsumeOnly(KafkaArgs),
}

impl Command {
    /// Runs for months.
    pub fn is_daemon(&self) -> bool {
        matches!(self, Self::Ingest(args) if !args.dry_run)
    }

    /// Default of `--log`: a daemon tells what it does, a command only what is wrong.
    pub fn default_log(&self) -> &'static str {
        if self.is_daemon() { "info" } else { "warn" }
    }
}

fn zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| "write a name of the IANA list, such as America/New_York".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write name=value")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

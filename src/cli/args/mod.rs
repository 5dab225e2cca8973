//! The command line: clap derive only. Each group of flags puts itself into the settings' layers.

mod catalog;
mod config;
mod dashboard;
mod dead_letters;
mod demo;
mod doctor;
mod ingest;
mod inspect;
mod live;
mod maintain;
mod offsets;
mod probe;
mod produce;
mod query;
mod shared;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use catalog::{
    AthenaCatalogArgs, CatalogArgs, CatalogCommand, ClickhouseArgs, GlueArgs, ManifestArgs, PlaceArgs, ScriptArgs,
    TrinoCatalogArgs, ViewArgs,
};
pub use config::{CompletionsArgs, ConfigArgs, ConfigCommand};
pub use dashboard::{DashboardArgs, ServeArgs};
pub use dead_letters::{DeadLettersArgs, DeadLettersCommand, DeadLettersReplayArgs};
pub use demo::DemoArgs;
pub use doctor::DoctorArgs;
pub use ingest::{IngestArgs, InputArgs};
pub use inspect::{AsOfText, InspectArgs, InspectCommand, InspectCommon, LakeTable, PastArgs, RezoneArgs};
pub use live::{AlertsArgs, AlertsCommand, AlertsTestArgs, EventArgs, LiveArgs};
pub use maintain::MaintainArgs;
pub use offsets::{OffsetsArgs, OffsetsCommand, OffsetsSetArgs, OffsetsShowArgs};
pub use probe::{ProbeArgs, Question};
pub use produce::{ColumnArgs, ProduceArgs, ProduceCommand, ReplayArgs, SendArgs, SimulateArgs};
pub use query::{AskArgs, QueryArgs};
pub use shared::engines::EngineArgs;
pub use shared::format::FormatChoice;
pub use shared::kafka::KafkaArgs;
pub use shared::table::TableArgs;
use shared::values::{pair, zone};
pub use verify::VerifyArgs;

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
    Live(LiveArgs),
    Alerts(AlertsArgs),
    Table(InspectArgs),
    Offsets(OffsetsArgs),
    DeadLetters(DeadLettersArgs),
    Verify(VerifyArgs),
    Maintain(MaintainArgs),
    Doctor(Box<DoctorArgs>),
    Dashboard(DashboardArgs),
    Catalog(Box<CatalogArgs>),
    Probe(ProbeArgs),
    Config(ConfigArgs),
    Completions(CompletionsArgs),
    /// Read a topic and drop it, as the yardstick of the benchmark
    #[command(hide = true)]
    ConsumeOnly(KafkaArgs),
}

impl Cli {
    /// The words of the process. A number below zero is a value, so that the error is about the value.
    pub fn of_process() -> Self {
        Self::from_words(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// # Errors
    /// As clap says it.
    pub fn from_words<W: Into<OsString> + Clone>(words: impl IntoIterator<Item = W>) -> Result<Self, clap::Error> {
        let matches = take_negative_values(Self::command()).try_get_matches_from(words)?;
        Self::from_arg_matches(&matches)
    }
}

/// Values that can't be an option but may begin with a hyphen where they are wrong, as in `--interval -1s`.
const CHECKED: [&str; 7] = ["TIME", "SIZE", "DATE|TIME", "VERSION|TIME", "START", "P=OFFSET", "RATE"];

fn take_negative_values(command: clap::Command) -> clap::Command {
    let take = |arg: clap::Arg| {
        if !arg.get_action().takes_values() {
            return arg;
        }
        let is_checked =
            arg.get_value_names().is_some_and(|names| names.iter().any(|name| CHECKED.contains(&name.as_str())));
        if is_checked { arg.allow_hyphen_values(true) } else { arg.allow_negative_numbers(true) }
    };
    command.mut_args(take).mut_subcommands(take_negative_values)
}

impl Command {
    /// Runs for months.
    pub fn is_daemon(&self) -> bool {
        match self {
            Self::Ingest(args) => !args.dry_run,
            Self::Live(_) | Self::Dashboard(_) => true,
            _ => false,
        }
    }

    /// Default of `--log`: a daemon tells what it does, a command only what is wrong.
    pub fn default_log(&self) -> &'static str {
        if self.is_daemon() { "info" } else { "warn" }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::settings::Settings;

    #[test]
    fn a_negative_value_is_told_as_a_value() {
        for (words, told) in [
            ("dead-letters show --offset -1", "invalid value '-1' for '--offset <NUMBER>'"),
            ("produce simulate --rate -5", "invalid value '-5' for '--rate <RATE>'"),
            ("produce simulate --interval -1s", "invalid value '-1s' for '--interval <TIME>'"),
            ("ingest --flush-rows -1", "invalid value '-1' for '--flush-rows <ROWS>'"),
            ("ingest --start -1=5", "invalid value '-1=5' for '--start <START>'"),
            ("offsets set --reason x --partition -1=5", "write --partition PARTITION=OFFSET"),
            ("query --memory-limit -1 x", "invalid value '-1' for '--memory-limit <SIZE>'"),
        ] {
            let words = std::iter::once("tickhouse").chain(words.split(' '));
            let error = Cli::from_words(words).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        let words = ["tickhouse", "query", "q", "--param", "x=-1", "--param", "y=-2.5"];
        let Command::Query(args) = Cli::from_words(words).unwrap().command else { panic!("the subcommand is query") };
        assert_eq!(args.ask.params, [("x".to_owned(), "-1".to_owned()), ("y".to_owned(), "-2.5".to_owned())]);
    }

    #[test]
    fn what_the_help_calls_the_default_is_the_default() {
        let resolved = |words: &[String]| {
            let words = ["tickhouse", "ingest"].into_iter().map(str::to_owned).chain(words.iter().cloned());
            let Command::Ingest(args) = Cli::from_words(words).unwrap().command else {
                panic!("the subcommand is ingest")
            };
            Settings::resolve(None, |layers| args.apply(layers)).unwrap().settings
        };
        let command = Cli::command();
        let ingest = command.find_subcommand("ingest").unwrap();
        let mut told = 0;
        for argument in ingest.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let Some((_, default)) = help.split_once("[default: ") else { continue };
            let default = default.split(']').next().unwrap();
            // Words are a description, and the mechanism is a default of logins alone.
            if default.contains(' ') || argument.get_long() == Some("mechanism") {
                continue;
            }
            let flag = format!("--{}", argument.get_long().unwrap());
            assert_eq!(resolved(&[flag.clone(), default.to_owned()]), resolved(&[]), "{flag} {default}");
            told += 1;
        }
        assert!(told >= 9, "{told} defaults");
    }
}

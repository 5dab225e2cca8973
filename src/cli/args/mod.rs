//! The command line, defined with clap's derive macros. Each group of flags adds itself to the layers of the settings.

mod catalog;
mod config;
mod dashboard;
mod dead_letters;
mod demo;
mod doctor;
mod groups;
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
pub use groups::GROUPS;
use groups::with_groups;
pub use ingest::{IngestArgs, InputArgs};
pub use inspect::{AsOfText, InspectArgs, InspectCommand, InspectCommon, LakeTable, PastArgs, RezoneArgs};
pub use live::{AlertsArgs, AlertsCommand, AlertsTestArgs, EventArgs, LiveArgs};
pub use maintain::MaintainArgs;
pub use offsets::{OffsetsArgs, OffsetsCommand, OffsetsFormat, OffsetsSetArgs, OffsetsShowArgs};
pub use probe::{ProbeArgs, Question};
pub use produce::{ColumnArgs, ProduceArgs, ProduceCommand, ReplayArgs, SendArgs, SimulateArgs};
pub use query::{AskArgs, QueryArgs};
pub use shared::engines::EngineArgs;
pub use shared::format::FormatChoice;
pub use shared::kafka::KafkaArgs;
pub use shared::table::TableArgs;
use shared::values::{pair, zone};
pub use verify::VerifyArgs;

/// Turns a Kafka topic of market ticks into an open Delta lakehouse, exactly once
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
    /// Configuration file in TOML; most keys can also be set in the environment, as in TICKHOUSE_KAFKA_BROKERS
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Log filter, as in debug or librdkafka=trace [default: info for ingest, live and dashboard, otherwise warn]
    ///
    /// The log goes to standard error. Libraries that the filter doesn't name only log warnings.
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    /// Format of the log
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
    /// Parses the arguments of the process.
    pub fn from_process() -> Self {
        Self::parse_arguments(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// The command line with its help. A number below zero is a value, so that an error is about the value.
    pub fn definition() -> clap::Command {
        take_negative_values(with_groups(Self::command()))
    }

    /// # Errors
    /// The arguments are not those of a command, or ask for help or the version.
    pub fn parse_arguments<W: Into<OsString> + Clone>(words: impl IntoIterator<Item = W>) -> Result<Self, clap::Error> {
        let matches = Self::definition().try_get_matches_from(words)?;
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
    /// Whether it runs until it is stopped.
    pub fn is_daemon(&self) -> bool {
        match self {
            Self::Ingest(args) => !args.dry_run,
            Self::Live(_) | Self::Dashboard(_) => true,
            _ => false,
        }
    }

    /// Default of `--log`: a daemon logs what it does, a command only warnings.
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
    fn an_error_about_a_negative_value_names_the_flag() {
        for (words, expected) in [
            ("dead-letters show --offset -1", "invalid value '-1' for '--offset <NUMBER>'"),
            ("produce simulate --rate -5", "invalid value '-5' for '--rate <RATE>'"),
            ("produce simulate --interval -1s", "invalid value '-1s' for '--interval <TIME>'"),
            ("ingest --flush-rows -1", "invalid value '-1' for '--flush-rows <ROWS>'"),
            ("ingest --start -1=5", "invalid value '-1=5' for '--start <START>'"),
            ("offsets set --reason x --partition -1=5", "write --partition PARTITION=OFFSET"),
            ("query --memory-limit -1 x", "invalid value '-1' for '--memory-limit <SIZE>'"),
        ] {
            let words = std::iter::once("tickhouse").chain(words.split(' '));
            let error = Cli::parse_arguments(words).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let words = ["tickhouse", "query", "q", "--param", "x=-1", "--param", "y=-2.5"];
        let Command::Query(args) = Cli::parse_arguments(words).unwrap().command else {
            panic!("the subcommand is query")
        };
        assert_eq!(args.ask.params, [("x".to_owned(), "-1".to_owned()), ("y".to_owned(), "-2.5".to_owned())]);
    }

    #[test]
    fn what_the_help_calls_the_default_is_the_default() {
        let resolved = |words: &[String]| {
            let words = ["tickhouse", "ingest"].into_iter().map(str::to_owned).chain(words.iter().cloned());
            let Command::Ingest(args) = Cli::parse_arguments(words).unwrap().command else {
                panic!("the subcommand is ingest")
            };
            Settings::resolve(None, |layers| args.apply(layers)).unwrap().settings
        };
        let command = Cli::command();
        let ingest = command.find_subcommand("ingest").unwrap();
        let mut checked = 0;
        for argument in ingest.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let Some((_, default)) = help.split_once("[default: ") else { continue };
            let default = default.split(']').next().unwrap();
            // A default with spaces is a description, and `--mechanism` has its default only for logins.
            if default.contains(' ') || argument.get_long() == Some("mechanism") {
                continue;
            }
            let flag = format!("--{}", argument.get_long().unwrap());
            assert_eq!(resolved(&[flag.clone(), default.to_owned()]), resolved(&[]), "{flag} {default}");
            checked += 1;
        }
        assert!(checked >= 9, "{checked} defaults");
    }
}

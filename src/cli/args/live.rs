//! Flags of `tickhouse live` and `tickhouse alerts`.

use clap::{Args, Subcommand};

use crate::cli::args::{FormatChoice, KafkaArgs, TableArgs};
use crate::cli::settings::Layers;
use crate::util::units::parse_duration;

const LIVE_HELP: &str = "\
Examples:
  tickhouse live --brokers localhost:9092 --table ./lake --print
  tickhouse live --config tickhouse.toml --events-topic signals";

const ALERTS_HELP: &str = "\
Examples:
  tickhouse alerts list --config tickhouse.toml
  tickhouse alerts test jump --config tickhouse.toml --table ./lake --from 1d";

const LIST_HELP: &str = "\
Examples:
  tickhouse alerts list --config tickhouse.toml";

const TEST_HELP: &str = "\
Examples:
  tickhouse alerts test jump --config tickhouse.toml --from 2026-11-20 --to 2026-11-21
  tickhouse alerts test large --table ./lake --when 'volume > 1000000' --symbol AAPL";

/// Emit signals, anomalies and alerts while ticks arrive
///
/// Events go to the table signals, and to a topic, webhooks and the terminal if these are set.
#[derive(Debug, Clone, Args)]
#[command(after_help = LIVE_HELP)]
pub struct LiveArgs {
    #[command(flatten)]
    pub kafka: KafkaArgs,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub events: EventArgs,
}

/// Where events go; rules and webhooks are in the configuration.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Events")]
pub struct EventArgs {
    /// Topic of the events, on the same brokers; created if it doesn't exist
    #[arg(long, value_name = "TOPIC")]
    pub events_topic: Option<String>,
    /// Print each event as a line
    #[arg(long)]
    pub print: bool,
    /// How long a tick waits for older ticks of its symbol, in event time [default: 0s, which leaves older ticks out]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub reorder: Option<String>,
    /// Time between two commits of events [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub commit_interval: Option<String>,
}

fn duration(text: &str) -> Result<String, String> {
    parse_duration(text).map(|_| text.to_owned())
}

impl EventArgs {
    pub fn apply(&self, layers: &mut Layers) {
        layers.flag("live.topic", "--events-topic", self.events_topic.clone());
        layers.flag("live.print", "--print", self.print.then_some(true));
        layers.flag("live.reorder", "--reorder", self.reorder.clone());
        layers.flag("live.commit_interval", "--commit-interval", self.commit_interval.clone());
    }
}

impl LiveArgs {
    pub fn apply(&self, layers: &mut Layers) {
        self.kafka.apply(layers);
        self.table.apply(layers);
        self.events.apply(layers);
    }
}

/// List the alert rules, or test one over the table
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true, after_help = ALERTS_HELP)]
pub struct AlertsArgs {
    #[command(subcommand)]
    pub command: AlertsCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum AlertsCommand {
    /// List the alert rules of the configuration and where their alerts go
    #[command(after_help = LIST_HELP)]
    List,
    /// Run a rule over the table and list the alerts that it would have emitted
    #[command(after_help = TEST_HELP)]
    Test(AlertsTestArgs),
}

#[derive(Debug, Clone, Args)]
pub struct AlertsTestArgs {
    /// Name of the rule
    pub rule: String,
    /// Start at this trade date or time, as in 2026-11-20, 2026-11-20T14:30:00Z, yesterday or 2h (ago)
    #[arg(long, alias = "since", value_name = "DATE|TIME", default_value = "1d")]
    pub from: String,
    /// End at this trade date or time, which is excluded [default: now]
    #[arg(long, alias = "until", value_name = "DATE|TIME")]
    pub to: Option<String>,
    /// Only these symbols, separated by commas; can be repeated
    #[arg(long, value_name = "SYMBOL", value_delimiter = ',')]
    pub symbol: Vec<String>,
    /// Condition to test instead of the rule's
    #[arg(long, value_name = "CONDITION")]
    pub when: Option<String>,
    /// Exit with code 4 unless there are exactly this many alerts
    #[arg(long, value_name = "COUNT")]
    pub expect: Option<u64>,
    /// Format of the list; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
    #[command(flatten)]
    pub table: TableArgs,
}

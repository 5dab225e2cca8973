//! `tickhouse live` and `tickhouse alerts`.

use clap::{Args, Subcommand};

use crate::cli::args::{FormatChoice, KafkaArgs, TableArgs};
use crate::cli::settings::Layers;
use crate::util::units::parse_duration;

/// Signals, crossings, anomalies and alerts while the ticks arrive: to the table signals, a topic, webhooks, the terminal
#[derive(Debug, Clone, Args)]
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
    /// Topic for events, on the same brokers; made if there is none
    #[arg(long, value_name = "TOPIC")]
    pub events_topic: Option<String>,
    /// Print events, a line each
    #[arg(long)]
    pub print: bool,
    /// Let a tick wait this long for older ones of its symbol, in event time [default: 0s, later ones are left out]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub reorder: Option<String>,
    /// Commit what happened this often [default: 5s]
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

/// Alert rules of the configuration
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true)]
pub struct AlertsArgs {
    #[command(subcommand)]
    pub command: AlertsCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum AlertsCommand {
    /// Show the rules and where their alerts go
    List,
    /// Run a rule over the table and list what it would have told
    Test(AlertsTestArgs),
}

#[derive(Debug, Clone, Args)]
pub struct AlertsTestArgs {
    /// Name of the rule
    pub rule: String,
    #[command(flatten)]
    pub table: TableArgs,
    /// From then on: a length of time ago, a date or a time
    #[arg(long, value_name = "DATE|TIME", default_value = "1d")]
    pub since: String,
    /// Until then, exclusive [default: now]
    #[arg(long, value_name = "DATE|TIME")]
    pub until: Option<String>,
    /// Only this symbol; several by commas, can be repeated
    #[arg(long, value_name = "SYMBOL", value_delimiter = ',')]
    pub symbol: Vec<String>,
    /// Another condition in place of the rule's, to try it out
    #[arg(long, value_name = "CONDITION")]
    pub when: Option<String>,
    /// Exit with 4 unless there are this many alerts
    #[arg(long, value_name = "COUNT")]
    pub expect: Option<u64>,
    /// Form of the list
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub format: FormatChoice,
}

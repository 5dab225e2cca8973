//! `tickhouse ingest`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::args::{EventArgs, KafkaArgs, ServeArgs, TableArgs};
use crate::cli::settings::Layers;
use crate::decode::Preset;
use crate::ingest::{DataLossPolicy, DeadLetterShare, MaintainMode, StartPolicy};
use crate::market::PartitionBy;
use crate::serve::http::Listen;
use crate::serve::metrics::DEFAULT_LISTEN;
use crate::util::units::{parse_duration, parse_size};

/// Land a Kafka topic in a Delta table, every tick exactly once
#[derive(Debug, Clone, Args)]
pub struct IngestArgs {
    #[command(flatten)]
    pub kafka: KafkaArgs,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub input: InputArgs,
    /// Consumer group [default: tickhouse- and the first 8 characters of the table id]
    #[arg(long, help_heading = "Kafka")]
    pub group: Option<String>,
    /// Static membership: a restart causes no rebalance
    #[arg(long, value_name = "ID", help_heading = "Kafka")]
    pub instance_id: Option<String>,
    /// Where a lake begins: earliest, latest, a time, or offsets like 0=100,1=250. Partitions that are added later begin at
    /// their first message
    #[arg(long, value_name = "START")]
    pub start: Option<StartPolicy>,
    /// Refuse to make a new lake: the one of --table is there, or its file system isn't mounted
    #[arg(long)]
    pub must_exist: bool,
    /// Stop when the table has the ends that the partitions have now
    #[arg(long)]
    pub until_latest: bool,
    /// What to do when Kafka no longer holds what comes next
    #[arg(long, value_name = "POLICY")]
    pub on_data_loss: Option<DataLossPolicy>,
    /// Stop with exit code 3, before the commit, when more of the first 1,000 messages, or of 10,000 later ones, become dead
    /// letters; 1 never stops [default: 0.5 with --until-latest and for a lake without rows, else a warning]
    #[arg(long, value_name = "SHARE")]
    pub max_dead_share: Option<DeadLetterShare>,
    /// Time zone of trade dates; fixed when the lake is created [default: America/New_York]
    #[arg(long, value_name = "ZONE")]
    pub market_zone: Option<String>,
    /// Partitions of the table; fixed when the lake is created [default: day]
    #[arg(long, value_name = "UNIT")]
    pub partition_by: Option<PartitionBy>,
    /// Flush at this many rows [default: 1000000]
    #[arg(long, value_name = "ROWS")]
    pub flush_rows: Option<u32>,
    /// Flush at this many decoded bytes [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub flush_bytes: Option<String>,
    /// Flush at this age [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub flush_interval: Option<String>,
    /// Memory of the process [default: 512MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory: Option<String>,
    /// Work for the table beside the ingest [default: compact]
    #[arg(long, value_name = "WORK")]
    pub maintain: Option<MaintainMode>,
    /// Take an input that differs from the one that the lake was made with
    #[arg(long)]
    pub accept_input_change: bool,
    /// Create the bucket of --table if there is none
    #[arg(long)]
    pub s3_create_bucket: bool,
    /// Also tell signals, crossings, anomalies and alerts while the ticks arrive, as `tickhouse live` does
    #[arg(long, help_heading = "Events", conflicts_with_all = ["dry_run", "until_latest"])]
    pub live: bool,
    #[command(flatten)]
    pub events: EventArgs,
    /// Also serve the live page, as `tickhouse dashboard` does
    #[arg(long, help_heading = "Dashboard", conflicts_with_all = ["dry_run", "until_latest"])]
    pub dashboard: bool,
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Serve /livez, /readyz, /metrics and /status [default address: 127.0.0.1:9464]; one that others reach needs a token
    /// in TICKHOUSE_METRICS_TOKEN or TICKHOUSE_METRICS_TOKEN_FILE
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, default_missing_value = DEFAULT_LISTEN)]
    #[arg(help_heading = "Metrics", conflicts_with = "dry_run")]
    pub metrics_listen: Option<Listen>,
    /// Print the verdict of messages and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Messages of a dry run
    #[arg(long, value_name = "MESSAGES", default_value_t = 100, requires = "dry_run")]
    pub limit: u64,
}

/// How messages are read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Input")]
pub struct InputArgs {
    /// Message format; anything else is mapped in the configuration [default: canonical]
    #[arg(long, value_name = "PRESET")]
    pub input: Option<Preset>,
    /// Time zone of times without an offset
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// How times are written that are no RFC 3339, as a strftime pattern: %Y-%m-%d, %d/%m/%Y %H:%M:%S; a day begins at
    /// midnight in --zone
    #[arg(long, value_name = "PATTERN")]
    pub ts_format: Option<String>,
    /// Only this symbol; repeatable
    #[arg(long, value_name = "SYMBOL")]
    pub include: Vec<String>,
    /// Not this symbol; repeatable
    #[arg(long, value_name = "SYMBOL")]
    pub exclude: Vec<String>,
    /// Larger messages are dead letters [default: 1MiB]
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| parse_size(text))]
    pub max_message_bytes: Option<u64>,
}

fn size(text: &str) -> Result<String, String> {
    parse_size(text).map(|_| text.to_owned())
}

fn duration(text: &str) -> Result<String, String> {
    parse_duration(text).map(|_: Duration| text.to_owned())
}

fn name(value: Option<impl ValueEnum>) -> Option<String> {
    Some(value?.to_possible_value()?.get_name().to_owned())
}

impl InputArgs {
    pub fn apply(&self, layers: &mut Layers) {
        let list = |values: &[String]| (!values.is_empty()).then(|| values.to_vec());
        layers.flag("input.preset", "--input", name(self.input));
        layers.flag("input.zone", "--zone", self.zone.clone());
        layers.flag("input.ts_format", "--ts-format", self.ts_format.clone());
        layers.flag("input.include", "--include", list(&self.include));
        layers.flag("input.exclude", "--exclude", list(&self.exclude));
        let bytes = self.max_message_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        layers.flag("input.max_message_bytes", "--max-message-bytes", bytes);
    }
}

impl IngestArgs {
    pub fn apply(&self, layers: &mut Layers) {
        self.kafka.apply(layers);
        self.table.apply(layers);
        self.input.apply(layers);
        self.events.apply(layers);
        self.serve.apply(layers);
        layers.flag("metrics.listen", "--metrics-listen", self.metrics_listen.map(|listen| listen.to_string()));
        layers.flag("store.create_bucket", "--s3-create-bucket", self.s3_create_bucket.then_some(true));
        layers.flag("kafka.group", "--group", self.group.clone());
        layers.flag("kafka.instance_id", "--instance-id", self.instance_id.clone());
        layers.flag("ingest.must_exist", "--must-exist", self.must_exist.then_some(true));
        layers.flag("ingest.start", "--start", self.start.as_ref().map(ToString::to_string));
        layers.flag("ingest.on_data_loss", "--on-data-loss", name(self.on_data_loss));
        layers.flag("ingest.max_dead_share", "--max-dead-share", self.max_dead_share.map(DeadLetterShare::value));
        layers.flag("ingest.market_zone", "--market-zone", self.market_zone.clone());
        layers.flag("ingest.partition_by", "--partition-by", name(self.partition_by));
        layers.flag("ingest.flush_rows", "--flush-rows", self.flush_rows.map(i64::from));
        layers.flag("ingest.flush_bytes", "--flush-bytes", self.flush_bytes.clone());
        layers.flag("ingest.flush_interval", "--flush-interval", self.flush_interval.clone());
        layers.flag("ingest.memory", "--memory", self.memory.clone());
        layers.flag("ingest.maintain", "--maintain", name(self.maintain));
    }
}

//! Flags of `tickhouse ingest`.

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

const AFTER_HELP: &str = "\
Examples:
  tickhouse ingest --brokers localhost:9092 --topic ticks --table ./lake
  tickhouse ingest --brokers localhost:9092 --topic ticks --table ./lake --until-latest
  tickhouse ingest --brokers localhost:9092 --topic trades --input binance --dry-run
  tickhouse ingest --config tickhouse.toml --live --dashboard --metrics-listen";

/// Write a Kafka topic into Delta tables, exactly once
///
/// Every message becomes a row of ticks, a dead letter or a count. Ingest runs until SIGTERM or Ctrl-C, then commits
/// what it has read; the next run goes on at the offset after the last commit.
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct IngestArgs {
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// Consumer group [default: tickhouse- and the first 8 characters of the table id]
    #[arg(long, help_heading = "Kafka")]
    pub group: Option<String>,
    /// Id of a static member of the consumer group, so that a restart causes no rebalance
    #[arg(long, value_name = "ID", help_heading = "Kafka")]
    pub instance_id: Option<String>,
    #[command(flatten)]
    pub table: TableArgs,
    /// Create the bucket of --table if it doesn't exist
    #[arg(long, help_heading = "Table")]
    pub s3_create_bucket: bool,
    /// Fail if the lake doesn't exist, instead of creating it; it guards against a file system that isn't mounted
    #[arg(long, help_heading = "Table")]
    pub must_exist: bool,
    #[command(flatten)]
    pub input: InputArgs,
    /// Accept an input that differs from the one that the lake was created with
    #[arg(long, help_heading = "Input")]
    pub accept_input_change: bool,
    /// Where a new lake starts: earliest, latest, a time, or offsets such as 0=100,1=250 [default: earliest]
    ///
    /// Partitions that are added to the topic later start at their first message.
    #[arg(long, value_name = "START", help_heading = "Start and stop")]
    pub start: Option<StartPolicy>,
    /// Stop when the table has everything that the topic held at the start
    #[arg(long, help_heading = "Start and stop")]
    pub until_latest: bool,
    /// What to do when Kafka no longer holds the next offset [default: stop]
    #[arg(long, value_name = "POLICY", help_heading = "Start and stop")]
    pub on_data_loss: Option<DataLossPolicy>,
    /// Exit with code 3, before the commit, if a larger share of messages are dead letters; 1 never stops [default: 0.5
    /// with --until-latest and for a lake without rows, otherwise a warning]
    ///
    /// The share is taken of the first 1,000 messages, then of every 10,000.
    #[arg(long, value_name = "SHARE", help_heading = "Start and stop")]
    pub max_dead_share: Option<DeadLetterShare>,
    /// Flush at this many rows [default: 1000000]
    #[arg(long, value_name = "ROWS", help_heading = "Flush and memory")]
    pub flush_rows: Option<u32>,
    /// Flush at this many decoded bytes [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Flush and memory")]
    pub flush_bytes: Option<String>,
    /// Flush when the oldest row is this old [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Flush and memory")]
    pub flush_interval: Option<String>,
    /// Memory limit of the process [default: 512MiB]
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Flush and memory")]
    pub memory: Option<String>,
    /// Time zone of trade dates; fixed when the lake is created [default: America/New_York]
    #[arg(long, value_name = "ZONE", help_heading = "Table layout")]
    pub market_zone: Option<String>,
    /// Partitions of the table; fixed when the lake is created [default: day]
    #[arg(long, value_name = "UNIT", help_heading = "Table layout")]
    pub partition_by: Option<PartitionBy>,
    /// Maintenance of the table while ingest runs [default: compact]
    #[arg(long, value_name = "WORK", help_heading = "Maintenance")]
    pub maintain: Option<MaintainMode>,
    /// Compute signals, anomalies and alerts in the same process, as `tickhouse live` does
    #[arg(long, help_heading = "Events", conflicts_with_all = ["dry_run", "until_latest"])]
    pub live: bool,
    #[command(flatten)]
    pub events: EventArgs,
    /// Serve the live page in the same process, as `tickhouse dashboard` does
    #[arg(long, help_heading = "Dashboard", conflicts_with_all = ["dry_run", "until_latest"])]
    pub dashboard: bool,
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Serve /livez, /readyz, /metrics and /status [default address: 127.0.0.1:9464]
    ///
    /// An address that other machines reach needs a token in TICKHOUSE_METRICS_TOKEN or TICKHOUSE_METRICS_TOKEN_FILE.
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, default_missing_value = DEFAULT_LISTEN)]
    #[arg(help_heading = "Metrics", conflicts_with = "dry_run")]
    pub metrics_listen: Option<Listen>,
    /// Print how the first messages are decoded, and write nothing
    #[arg(long, help_heading = "Dry run")]
    pub dry_run: bool,
    /// Number of messages that a dry run reads
    #[arg(long, value_name = "MESSAGES", default_value_t = 100, requires = "dry_run", help_heading = "Dry run")]
    pub limit: u64,
}

/// How messages are read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Input")]
pub struct InputArgs {
    /// Message format; other formats are mapped in the configuration [default: canonical]
    #[arg(long, value_name = "PRESET")]
    pub input: Option<Preset>,
    /// Time zone of times without an offset
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// strftime pattern of times that are not RFC 3339, such as %d/%m/%Y %H:%M:%S
    ///
    /// A time of a pattern without hours is midnight in --zone.
    #[arg(long, value_name = "PATTERN")]
    pub ts_format: Option<String>,
    /// Read only this symbol; can be repeated
    #[arg(long, value_name = "SYMBOL")]
    pub include: Vec<String>,
    /// Skip this symbol; can be repeated
    #[arg(long, value_name = "SYMBOL")]
    pub exclude: Vec<String>,
    /// Largest message that is decoded; a larger one is a dead letter [default: 1MiB]
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

//! Flags of `tickhouse produce`.

use std::time::Duration;

use chrono_tz::Tz;
use clap::{Args, Subcommand};

use crate::cli::args::{KafkaArgs, TableArgs, zone};
use crate::decode::{InputSettings, Preset, TimeFormat, TimeUnit};
use crate::produce::Pace;
use crate::produce::replay::{ColumnNames, EpochUnit, FileFormat, ReplaySettings};
use crate::util::units::parse_duration;

const SIMULATE_HELP: &str = "\
Examples:
  tickhouse produce simulate --brokers localhost:9092 --topic ticks --partitions 4
  tickhouse produce simulate --brokers localhost:9092 --topic ticks \\
      --rate 0 --count 5000000 --symbols 100 --start 2026-11-20T14:30:00Z";

const REPLAY_HELP: &str = "\
Examples:
  tickhouse produce replay --brokers localhost:9092 --topic ticks a.csv 'more/*.parquet'
  tickhouse produce replay --brokers localhost:9092 --topic daily prices.csv \\
      --symbol-column Name --ts-column date --zone America/New_York
  tickhouse produce replay capture.gz --brokers localhost:9092 --topic frames \\
      --file-format stamped-lines --message-key /data/s --pace original
  tickhouse produce replay --brokers localhost:9092 --topic ticks 'years/*.csv' --resume backfill";

const LONGEST_REPLAY_NAME: usize = 200;

const PRODUCE_HELP: &str = "\
Examples:
  tickhouse produce simulate --brokers localhost:9092 --topic ticks --partitions 4
  tickhouse produce replay --brokers localhost:9092 --topic ticks prices.csv";

/// Write ticks to a Kafka topic, simulated or from files
///
/// At its end it prints how many messages the brokers acknowledged.
#[derive(Debug, Clone, Args)]
#[command(after_help = PRODUCE_HELP)]
pub struct ProduceArgs {
    #[command(subcommand)]
    pub command: ProduceCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum ProduceCommand {
    Simulate(Box<SimulateArgs>),
    Replay(Box<ReplayArgs>),
}

/// What both have in common.
#[derive(Debug, Clone, Args)]
pub struct SendArgs {
    /// Format of the messages that are made of ticks [default: that of [input] in the configuration, else that of the
    /// lake of --table, else canonical]
    #[arg(long, alias = "format", value_name = "PRESET")]
    pub message_format: Option<Preset>,
    /// Time zone of times without an offset, in files and in the message formats that have such times
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub zone: Option<Tz>,
    /// Stop after this many messages
    #[arg(long, value_name = "MESSAGES")]
    pub count: Option<u64>,
    /// Stop after this time
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// Create the topic with this many partitions if it doesn't exist
    #[arg(long, value_name = "COUNT", help_heading = "Kafka", value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// Replicas of a topic that is created [default: the brokers' default]
    #[arg(long, value_name = "COUNT", help_heading = "Kafka", requires = "partitions",
        value_parser = clap::value_parser!(i32).range(1..))]
    pub replication: Option<i32>,
    /// Set Kafka timestamps to the event times; a topic with a retention time then deletes old messages at once
    #[arg(long, help_heading = "Kafka")]
    pub event_timestamps: bool,
    #[command(flatten)]
    pub table: TableArgs,
}

/// Send simulated prices: correlated random walks, with volumes that follow the day
#[derive(Debug, Clone, Args)]
#[command(after_help = SIMULATE_HELP)]
pub struct SimulateArgs {
    /// Messages a second; 0 is as fast as the brokers accept them
    #[arg(long, value_name = "RATE", default_value = "1000", value_parser = rate)]
    pub rate: f64,
    /// Number of symbols
    #[arg(long, value_name = "COUNT", default_value = "120")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub symbols: u32,
    /// Seed of the simulation: the same seed and --start give the same messages
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub seed: u64,
    /// Event time of the first tick, as in 2026-11-20T14:30:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = start)]
    pub start: Option<i64>,
    /// Event time between two ticks [default: 1 / rate, or 1ms at rate 0]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub interval: Option<Duration>,
    /// Probability that a tick has a price 3 to 8 % off or a volume 10 to 50 times as high
    #[arg(long, value_name = "PROBABILITY", default_value = "0", value_parser = probability)]
    pub anomalies: f64,
    #[command(flatten)]
    pub send: SendArgs,
}

/// Send files: rows of CSV and Parquet become ticks, lines are sent as they are
#[derive(Debug, Clone, Args)]
#[command(after_help = REPLAY_HELP)]
pub struct ReplayArgs {
    /// Files, quoted patterns, or - for standard input, in the order in which they are sent
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<String>,
    /// Speed: original, a multiple such as 60x, or max
    #[arg(long, default_value = "max", value_parser = pace)]
    pub pace: Pace,
    /// Name of this replay: the same command continues it after a failure or a stop, and sends each message once
    ///
    /// Messages are sent in Kafka transactions, so readers need isolation.level=read_committed.
    #[arg(long, value_name = "NAME", value_parser = replay_name)]
    pub resume: Option<String>,
    #[command(flatten)]
    pub send: SendArgs,
    /// Format of the files [default: by file name extension]
    #[arg(long, value_name = "FORMAT", help_heading = "Files")]
    pub file_format: Option<FileFormat>,
    /// Unit of times that are numbers
    #[arg(long, value_name = "UNIT", help_heading = "Files")]
    pub time_unit: Option<EpochUnit>,
    /// strftime pattern of times that are not RFC 3339, such as %d/%m/%Y %H:%M:%S or %Y%m%d
    #[arg(long, value_name = "PATTERN", help_heading = "Files", value_parser = TimeFormat::new)]
    pub ts_format: Option<TimeFormat>,
    /// JSON pointer to the Kafka key in lines, as in /data/s
    #[arg(long, value_name = "POINTER", help_heading = "Files")]
    pub message_key: Option<String>,
    /// JSON pointer to the event time in lines, for --pace and --event-timestamps
    #[arg(long, value_name = "POINTER", help_heading = "Files")]
    pub message_time: Option<String>,
    #[command(flatten)]
    pub columns: ColumnArgs,
}

/// Columns of CSV and Parquet files.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Columns (default: the name of the field, in any case, or its key in [input])")]
pub struct ColumnArgs {
    #[arg(long, value_name = "NAME", help = "Column of the symbol, which is the Kafka key; required")]
    pub symbol_column: Option<String>,
    #[arg(
        long,
        value_name = "NAME",
        help = "Column of the event time: RFC 3339, a local time, a date or a number; required"
    )]
    pub ts_column: Option<String>,
    #[arg(long, value_name = "NAME", help = "Column of the opening price (a number)")]
    pub open_column: Option<String>,
    #[arg(long, value_name = "NAME", help = "Column of the highest price (a number)")]
    pub high_column: Option<String>,
    #[arg(long, value_name = "NAME", help = "Column of the lowest price (a number)")]
    pub low_column: Option<String>,
    #[arg(long, value_name = "NAME", help = "Column of the price (a number); required")]
    pub close_column: Option<String>,
    #[arg(long, value_name = "NAME", help = "Column of the volume (a number)")]
    pub volume_column: Option<String>,
    #[arg(long, value_name = "NAME", help = "Column of the trade's identity (any text)")]
    pub trade_id_column: Option<String>,
    #[arg(long, value_name = "NAME", help = "Column of where the tick comes from (any text)")]
    pub source_column: Option<String>,
}

impl ReplayArgs {
    /// `input`: how the messages will be read; it also says what files leave open about times.
    ///
    /// # Errors
    /// The input's zone or form of time can't be used.
    pub fn settings(&self, input: Option<InputSettings>) -> Result<ReplaySettings, String> {
        let unit = input.as_ref().and_then(|input| match input.time_unit? {
            TimeUnit::S => Some(EpochUnit::S),
            TimeUnit::Ms => Some(EpochUnit::Ms),
            TimeUnit::Us => Some(EpochUnit::Us),
            TimeUnit::Ns => Some(EpochUnit::Ns),
            TimeUnit::Rfc3339 | TimeUnit::Naive | TimeUnit::Auto => None,
        });
        let input_zone = input.as_ref().and_then(|input| input.zone.as_deref()).map(zone).transpose()?;
        let format = input.as_ref().and_then(|input| input.ts_format.as_deref());
        let ts_format = match &self.ts_format {
            Some(format) => Some(format.clone()),
            None => format.map(TimeFormat::new).transpose()?,
        };
        let columns = self.columns.clone();
        Ok(ReplaySettings {
            files: self.files.clone(),
            format: self.file_format,
            columns: ColumnNames {
                symbol: columns.symbol_column,
                ts: columns.ts_column,
                open: columns.open_column,
                high: columns.high_column,
                low: columns.low_column,
                close: columns.close_column,
                volume: columns.volume_column,
                trade_id: columns.trade_id_column,
                source: columns.source_column,
            },
            time_unit: self.time_unit.or(unit),
            zone: self.send.zone.or(input_zone),
            ts_format,
            input,
            message_key: self.message_key.clone(),
            message_time: self.message_time.clone(),
        })
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate >= 0.0);
    rate.ok_or_else(|| "write messages a second, as in 2000, or 0".to_owned())
}

fn probability(text: &str) -> Result<f64, String> {
    let probability = text.parse().ok().filter(|probability| (0.0..=1.0).contains(probability));
    probability.ok_or_else(|| "write a number from 0 to 1, as in 0.001".to_owned())
}

/// It is a part of the names of a transactional id and of a consumer group.
fn replay_name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_name = !text.is_empty() && text.len() <= LONGEST_REPLAY_NAME && text.chars().all(is_plain);
    let wrong = || format!("write letters, digits, '.', '_' and '-', {LONGEST_REPLAY_NAME} at most");
    is_name.then(|| text.to_owned()).ok_or_else(wrong)
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if interval.is_zero() { Err("write more than 0".to_owned()) } else { Ok(interval) }
}

/// Microseconds since the epoch.
fn start(text: &str) -> Result<i64, String> {
    let time = chrono::DateTime::parse_from_rfc3339(text);
    time.map(|time| time.timestamp_micros())
        .map_err(|_| "write a date and time with an offset, as in 2026-11-20T14:30:00Z".to_owned())
}

fn pace(text: &str) -> Result<Pace, String> {
    let speed = match text {
        "max" => return Ok(Pace::FlatOut),
        "original" => Some(1.0),
        other => other.strip_suffix('x').and_then(|number| number.parse().ok()),
    };
    let speed = speed.filter(|speed: &f64| speed.is_finite() && *speed > 0.0);
    speed.map(|speed| Pace::EventTime { speed }).ok_or_else(|| "write original, max or a multiple as in 60x".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Probe {
        #[command(flatten)]
        produce: ProduceArgs,
    }

    fn parse(line: &str) -> Result<ProduceCommand, String> {
        let words = ["produce"].into_iter().chain(line.split_whitespace());
        Probe::try_parse_from(words).map(|probe| probe.produce.command).map_err(|error| error.to_string())
    }

    #[test]
    fn simulations() {
        let Ok(ProduceCommand::Simulate(args)) = parse(
            "simulate --brokers b:1 --topic t --rate 0 --count 5 --start 2026-11-20T14:30:00Z --anomalies 0.01 \
             --message-format binance --interval 250ms",
        ) else {
            panic!("not parsed")
        };
        assert_eq!((args.rate, args.send.count, args.start), (0.0, Some(5), Some(1_795_185_000_000_000)));
        assert_eq!((args.anomalies, args.send.message_format), (0.01, Some(Preset::Binance)));
        for wrong in
            ["--rate -1", "--anomalies 2", "--symbols 0", "--start today", "--interval 0s", "--message-format x"]
        {
            assert!(parse(&format!("simulate {wrong}")).is_err(), "{wrong}");
        }
        assert!(parse("simulate --replication 3").unwrap_err().contains("--partitions"));
    }

    #[test]
    fn replays() {
        let parsed = |line: &str| match parse(line) {
            Ok(ProduceCommand::Replay(args)) => args,
            other => panic!("{other:?}"),
        };
        let args = parsed("replay a.csv b.csv --symbol-column Name --zone Asia/Kolkata --pace 60x");
        assert_eq!((args.files.len(), args.pace), (2, Pace::EventTime { speed: 60.0 }));
        let settings = args.settings(None).unwrap();
        assert_eq!(settings.columns.symbol.as_deref(), Some("Name"));
        assert_eq!(settings.zone, Some(chrono_tz::Asia::Kolkata));
        assert_eq!(parsed("replay -").pace, Pace::FlatOut);
        assert_eq!(parsed("replay - --pace original").pace, Pace::EventTime { speed: 1.0 });
        assert_eq!(parsed("replay a --resume 2026-11_back.fill").resume.as_deref(), Some("2026-11_back.fill"));
        for wrong in ["replay", "replay a --pace 0x", "replay a --pace fast", "replay a --zone Mars"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["a/b", "ä", &"x".repeat(201)] {
            let error = parse(&format!("replay a --resume {wrong}")).unwrap_err();
            assert!(error.contains("letters, digits, '.', '_' and '-', 200 at most"), "{error}");
        }
        assert!(parse("simulate --resume a").is_err());
    }
}

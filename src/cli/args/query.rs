//! Flags of `tickhouse query`.

use std::path::PathBuf;

use chrono_tz::Tz;
use clap::{ArgGroup, Args};

use crate::cli::args::{EngineArgs, FormatChoice, KafkaArgs, PastArgs, TableArgs, pair, zone};
use crate::cli::settings::Layers;
use crate::engines::QueryEngine;
use crate::query::Dialect;
use crate::util::units::{parse_size, size_text};

const AFTER_HELP: &str = "\
Examples:
  tickhouse query --list
  tickhouse query --table ./lake 'SELECT symbol, count(*) FROM ticks GROUP BY symbol'
  tickhouse query --table ./lake sma_crossover --symbol AAPL --from 2026-11-20
  tickhouse query --table s3://bucket/lake daily_summary -o summary.parquet
  tickhouse query --table ./lake
  tickhouse query --table ./lake --live --brokers localhost:9092 latest
  tickhouse query --engine trino --trino-url https://trino.example.com:8443 latest";

/// Run SQL or a named query such as sma_crossover
///
/// Without SQL or a name it opens a prompt on a terminal, and reads statements from a pipe.
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
#[command(group(ArgGroup::new("what").args(["query", "file", "list"])))]
pub struct QueryArgs {
    /// SQL, which is anything that contains a space, or the name of a query
    #[arg(value_name = "SQL|NAME")]
    pub query: Option<String>,
    /// Read the SQL from a file; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// List the named queries
    #[arg(long)]
    pub list: bool,
    /// Describe a named query: its parameters, columns and edge cases
    #[arg(long, requires = "query", conflicts_with_all = ["show_sql", "explain"])]
    pub describe: bool,
    /// Print the statement with all parameters filled in, instead of running it
    #[arg(long)]
    pub show_sql: bool,
    /// SQL dialect of --show-sql [default: that of --engine]
    #[arg(long, value_enum, requires = "show_sql")]
    pub dialect: Option<Dialect>,
    /// Print the query plan, instead of running it
    #[arg(long, conflicts_with = "show_sql")]
    pub explain: bool,
    /// Time zone of printed times, and of times in --from and --to without an offset
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    pub tz: Tz,
    /// Folder of NAME.sql files that override and extend the named queries
    #[arg(long, value_name = "DIR")]
    pub sql_dir: Option<PathBuf>,
    /// Format of the result; auto is that of the extension of --output, else a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
    /// Write the result to a file or an object such as s3://bucket/key; - is standard output
    ///
    /// The file appears when it is complete.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Show at most this many rows on a terminal, the first and the last ones; 0 shows all
    #[arg(long, value_name = "ROWS", default_value_t = 40)]
    pub max_rows: usize,
    /// Memory limit of sorts, aggregations and joins, which spill to disk beyond it
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = memory_limit)]
    pub memory_limit: u64,
    /// Register a file as a table, as in sectors=sectors.csv; csv, tsv, json, ndjson or parquet; can be repeated
    #[arg(long, value_name = "NAME=FILE", value_parser = pair)]
    pub register: Vec<(String, String)>,
    /// Engine that runs the statement; athena and trino read the tables that are registered there [default: local]
    #[arg(long, value_enum)]
    pub engine: Option<QueryEngine>,
    /// Also read what Kafka holds beyond the table, up to the current ends of its topic
    ///
    /// At the prompt each statement reads up to the ends at its start.
    #[arg(long, conflicts_with_all = ["as_of", "list", "describe", "show_sql"])]
    pub live: bool,
    /// Memory limit of the ticks beyond the table
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = tail_memory, requires = "live")]
    pub tail_memory: u64,
    #[command(flatten)]
    pub past: PastArgs,
    #[command(flatten)]
    pub ask: AskArgs,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub kafka: KafkaArgs,
    #[command(flatten)]
    pub engines: EngineArgs,
}

/// What a query is asked with, also behind its name at the prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct AskArgs {
    /// Only these symbols, separated by commas; can be repeated
    #[arg(long, value_name = "SYMBOL", value_delimiter = ',')]
    pub symbol: Vec<String>,
    /// Start at this trade date or time, as in 2026-11-20, 2026-11-20T14:30:00Z, yesterday or 2h (ago)
    ///
    /// A named query also reads the earlier rows that its windows need; your own SQL reads only ticks from there on.
    #[arg(long, value_name = "DATE|TIME")]
    pub from: Option<String>,
    /// End at this trade date or time, which is excluded
    #[arg(long, value_name = "DATE|TIME")]
    pub to: Option<String>,
    /// Read nothing before --from: windows and bars of a named query start there
    #[arg(long)]
    pub cold: bool,
    /// Length of the bars: 30s, 5m, 1h, 1d; the same as --param interval=LENGTH
    #[arg(long, value_name = "LENGTH")]
    pub interval: Option<String>,
    /// Value of a parameter of the query; can be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    pub params: Vec<(String, String)>,
}

impl AskArgs {
    /// What is not said here is taken from `other`; parameters are not, they belong to one query.
    pub fn or(mut self, other: &Self) -> Self {
        if self.symbol.is_empty() {
            self.symbol.clone_from(&other.symbol);
        }
        self.from = self.from.or_else(|| other.from.clone());
        self.to = self.to.or_else(|| other.to.clone());
        self.cold |= other.cold;
        self
    }
}

impl QueryArgs {
    pub fn apply(&self, layers: &mut Layers) {
        self.table.apply(layers);
        self.kafka.apply(layers);
        self.engines.apply(layers);
        layers.flag("engine", "--engine", self.engine.map(QueryEngine::name));
    }

    /// # Errors
    /// The brokers are named for nothing.
    pub fn require_live(&self) -> Result<(), String> {
        match !self.live && (self.kafka.brokers.is_some() || self.kafka.topic.is_some()) {
            true => {
                Err("--brokers and --topic are for --live, which reads what Kafka holds beyond the table".to_owned())
            }
            false => Ok(()),
        }
    }

    /// Asks for nothing yet.
    pub fn is_open(&self) -> bool {
        self.query.is_none() && self.file.is_none() && !self.list
    }
}

/// Less is only spilling: a statement needs some of it for each column, file and group that it has open.
const LEAST_MEMORY: u64 = 16 << 20;

fn memory_limit(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        bytes if bytes < LEAST_MEMORY => Err(format!("at least {}", size_text(LEAST_MEMORY))),
        bytes => Ok(bytes),
    }
}

fn tail_memory(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("at least 1 byte".to_owned()),
        bytes => Ok(bytes),
    }
}

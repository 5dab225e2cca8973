//! Flags of `tickhouse table`.

use chrono_tz::Tz;
use clap::{Args, Subcommand, ValueEnum};

use crate::cli::args::{FormatChoice, TableArgs, zone};
use crate::query::TimeExpression;

const AFTER_HELP: &str = "\
Examples:
  tickhouse table history --table ./lake
  tickhouse table files --table ./lake dead_letters --format json
  tickhouse table rezone --table ./lake --market-zone Asia/Kolkata --dry-run";

const HISTORY_HELP: &str = "\
Examples:
  tickhouse table history --table ./lake
  tickhouse table history --table ./lake dead_letters --limit 5";

const SCHEMA_HELP: &str = "\
Examples:
  tickhouse table schema --table ./lake
  tickhouse table schema --table ./lake --as-of 12";

const FILES_HELP: &str = "\
Examples:
  tickhouse table files --table ./lake
  tickhouse table files --table ./lake dead_letters --as-of 2h --format json";

const REZONE_HELP: &str = "\
Examples:
  tickhouse table rezone --table ./lake --market-zone Asia/Kolkata --dry-run
  tickhouse table rezone --table ./lake --market-zone Asia/Kolkata";

/// Show the versions, columns and files of a table
///
/// `table rezone` changes the time zone of the trade dates of a lake.
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct InspectArgs {
    #[command(subcommand)]
    pub command: InspectCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum InspectCommand {
    /// List the commits that the log still holds, newest first
    #[command(after_help = HISTORY_HELP)]
    History {
        /// Number of commits that are listed
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        common: InspectCommon,
    },
    /// List the columns, and the time zones of dates and times
    #[command(after_help = SCHEMA_HELP)]
    Schema {
        #[command(flatten)]
        past: PastArgs,
        #[command(flatten)]
        common: InspectCommon,
    },
    /// List the data files with their statistics, oldest partition first
    #[command(after_help = FILES_HELP)]
    Files {
        #[command(flatten)]
        past: PastArgs,
        #[command(flatten)]
        common: InspectCommon,
    },
    /// Change the time zone of all trade dates, in one commit
    ///
    /// Stop ingest and live first.
    Rezone(RezoneArgs),
}

#[derive(Debug, Clone, Args)]
#[command(after_help = REZONE_HELP)]
pub struct RezoneArgs {
    /// New time zone of trade dates: an IANA name such as Asia/Kolkata
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub market_zone: Tz,
    /// Print what would be rewritten, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub table: TableArgs,
}

#[derive(Debug, Clone, Args)]
pub struct InspectCommon {
    /// Table of the lake
    #[arg(value_enum, default_value = "ticks")]
    pub name: LakeTable,
    /// Format of the list; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
    #[command(flatten)]
    pub table: TableArgs,
}

/// Which version is read.
#[derive(Debug, Clone, Default, Args)]
pub struct PastArgs {
    /// Read this version, or the newest version of a point in time: 12, 2026-11-20T14:30:00Z, 2h (ago)
    ///
    /// Dead letters are read as of the same time.
    #[arg(long, value_name = "VERSION|TIME", value_parser = as_of)]
    pub as_of: Option<AsOfText>,
}

/// A version, or a point in time that depends on the clock and on `--tz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOfText {
    Version(u64),
    Moment(TimeExpression),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LakeTable {
    Ticks,
    #[value(name = "dead_letters", alias = "dead-letters")]
    DeadLetters,
}

fn as_of(text: &str) -> Result<AsOfText, String> {
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) {
        return text.parse().map(AsOfText::Version).map_err(|_| format!("'{text}' is too large for a version"));
    }
    TimeExpression::parse(text).map(AsOfText::Moment).map_err(|problem| format!("no version, and {problem}"))
}

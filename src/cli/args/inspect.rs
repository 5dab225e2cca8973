//! Flags of `tickhouse table`.

use chrono_tz::Tz;
use clap::{Args, Subcommand, ValueEnum};

use crate::cli::args::{FormatChoice, TableArgs, zone};
use crate::query::TimeExpression;

/// Show the versions, columns and files of a table, or change the zone of its trade dates
#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    #[command(subcommand)]
    pub command: InspectCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum InspectCommand {
    /// List the commits that the log still holds, newest first
    History {
        /// How many
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        common: InspectCommon,
    },
    /// List the columns, and of which zone dates and times are
    Schema {
        #[command(flatten)]
        past: PastArgs,
        #[command(flatten)]
        common: InspectCommon,
    },
    /// List the data files with what their statistics tell, oldest partition first
    Files {
        #[command(flatten)]
        past: PastArgs,
        #[command(flatten)]
        common: InspectCommon,
    },
    /// Give all rows the trade dates of another zone, in one commit; stop ingest and live first
    Rezone(RezoneArgs),
}

#[derive(Debug, Clone, Args)]
pub struct RezoneArgs {
    /// Zone of trade dates from then on: a name of the IANA list, such as Asia/Kolkata
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub market_zone: Tz,
    /// Say what would be rewritten, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub table: TableArgs,
}

#[derive(Debug, Clone, Args)]
pub struct InspectCommon {
    /// Which table of the lake
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
    /// Read this version, or the newest that was there at a time: 12, 2026-11-20T14:30:00Z, 2h (ago); dead letters are
    /// those of the same time
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

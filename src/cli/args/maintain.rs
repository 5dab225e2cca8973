//! Flags of `tickhouse maintain`.

use std::time::Duration;

use clap::Args;

use crate::cli::args::{FormatChoice, TableArgs};

const AFTER_HELP: &str = "\
Examples:
  tickhouse maintain --table ./lake --dry-run
  tickhouse maintain --table s3://bucket/lake --retain 2y
  tickhouse maintain --table ./lake --no-delete";

/// Compact a lake, write checkpoints, delete what is expired
///
/// Small files are merged into large sorted ones, and files that no version needs are deleted.
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct MaintainArgs {
    /// Print what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Delete nothing: neither old log files and checkpoints nor data files that no version needs
    #[arg(long)]
    pub no_delete: bool,
    /// Delete data files that no version needs when they are older than this, at least 1d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = humantime::parse_duration)]
    pub delete_after: Duration,
    /// Delete dates older than this, at least 1d, from ticks and signals, as in 90d or 2y; dead letters stay
    #[arg(long, value_name = "TIME", value_parser = retention)]
    pub retain: Option<Duration>,
    /// Merge the files of a date for the last time when none was added for this long
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = humantime::parse_duration)]
    pub settled_after: Duration,
    /// Run even if another process holds the maintenance lease; the table stays correct, work may be done twice
    #[arg(long)]
    pub ignore_lease: bool,
    /// Format of the report; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
    #[command(flatten)]
    pub table: TableArgs,
}

fn retention(text: &str) -> Result<Duration, String> {
    let keep = humantime::parse_duration(text).map_err(|error| format!("{error}; write as in 90d, 18months or 2y"))?;
    match keep < Duration::from_secs(24 * 3600) {
        true => Err("less than 1d".to_owned()),
        false => Ok(keep),
    }
}

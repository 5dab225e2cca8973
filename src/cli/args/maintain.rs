//! `tickhouse maintain`.

use std::time::Duration;

use clap::Args;

use crate::cli::args::{FormatChoice, TableArgs};

/// Keep a lake fast and small: checkpoints, small files into large sorted ones, and away with what no version needs
#[derive(Debug, Clone, Args)]
pub struct MaintainArgs {
    #[command(flatten)]
    pub table: TableArgs,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Delete nothing: neither old log files and checkpoints nor data files that no version needs
    #[arg(long)]
    pub no_delete: bool,
    /// Data files that no version needs are deleted when they are older than this; 1d at least
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = humantime::parse_duration)]
    pub delete_after: Duration,
    /// Take dates older than this out of ticks and signals, as in 90d or 2y; dead letters stay. 1d at least
    #[arg(long, value_name = "TIME", value_parser = retention)]
    pub retain: Option<Duration>,
    /// Files of a date are merged for good when none came for this long
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = humantime::parse_duration)]
    pub settled_after: Duration,
    /// Work also while another maintainer does; the table is right either way, work may be done twice
    #[arg(long)]
    pub ignore_lease: bool,
    /// Format of what is printed; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
}

fn retention(text: &str) -> Result<Duration, String> {
    let keep = humantime::parse_duration(text).map_err(|error| format!("{error}; write as in 90d, 18months or 2y"))?;
    match keep < Duration::from_secs(24 * 3600) {
        true => Err("less than 1d".to_owned()),
        false => Ok(keep),
    }
}

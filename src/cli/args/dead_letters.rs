//! Flags of `tickhouse dead-letters`.

use std::ops::Range;

use clap::{Args, Subcommand};

use crate::cli::args::{FormatChoice, InputArgs, TableArgs};
use crate::decode::RejectionReason;
use crate::query::TimeExpression;

const AFTER_HELP: &str = "\
Examples:
  tickhouse dead-letters list --table ./lake
  tickhouse dead-letters show --table ./lake --reason syntax --limit 3
  tickhouse dead-letters replay --table ./lake --config tickhouse.toml --dry-run";

const LIST_HELP: &str = "\
Examples:
  tickhouse dead-letters list --table ./lake
  tickhouse dead-letters list --table ./lake --open --format json";

const SHOW_HELP: &str = "\
Examples:
  tickhouse dead-letters show --table ./lake --reason syntax --limit 3
  tickhouse dead-letters show --table ./lake --partition 0 --offset 1234 --format ndjson";

const REPLAY_HELP: &str = "\
Examples:
  tickhouse dead-letters replay --table ./lake --config tickhouse.toml --dry-run
  tickhouse dead-letters replay --table ./lake --zone Asia/Kolkata --reason naive_ts
  tickhouse dead-letters replay --table ./lake --partition 0 --offsets 100..200";

/// List, show and replay messages that couldn't be decoded
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    pub command: DeadLettersCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum DeadLettersCommand {
    /// Count dead letters by reason and partition, with their offsets and times
    List(DeadLettersListArgs),
    /// Show dead letters with their payload
    Show(DeadLettersShowArgs),
    /// Decode open dead letters again and add their ticks
    ///
    /// Messages are read by [input] of the configuration and its flags if there are any, otherwise by the mapping of
    /// the lake. The dead letters themselves stay. The command can be repeated, also after it was killed: a dead letter
    /// whose ticks are in the table is left out.
    Replay(DeadLettersReplayArgs),
}

#[derive(Debug, Clone, Args)]
#[command(after_help = LIST_HELP)]
pub struct DeadLettersListArgs {
    /// Only dead letters of this reason
    #[arg(long, value_name = "CODE", value_parser = reason)]
    pub reason: Option<RejectionReason>,
    /// Only open ones, whose ticks are not in the table
    #[arg(long)]
    pub open: bool,
    /// Format of the list; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
    #[command(flatten)]
    pub table: TableArgs,
}

#[derive(Debug, Clone, Args)]
#[command(after_help = SHOW_HELP)]
pub struct DeadLettersShowArgs {
    /// Only dead letters of this reason
    #[arg(long, value_name = "CODE", value_parser = reason)]
    pub reason: Option<RejectionReason>,
    /// Only dead letters of this partition
    #[arg(long, value_name = "NUMBER")]
    pub partition: Option<u32>,
    /// Only dead letters of this offset
    #[arg(long, value_name = "NUMBER")]
    pub offset: Option<u64>,
    /// Show at most this many: the newest commit first, then by partition and offset
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub limit: i64,
    /// Format of the list; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
    #[command(flatten)]
    pub table: TableArgs,
}

#[derive(Debug, Clone, Args)]
#[command(after_help = REPLAY_HELP)]
pub struct DeadLettersReplayArgs {
    /// Only these reasons, separated by commas; can be repeated
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = reason)]
    pub reason: Vec<RejectionReason>,
    /// Only those that were ingested at or after this: 2026-11-20, 2026-11-20T14:30:00Z, yesterday or 2h (ago)
    ///
    /// Days and times without an offset are in UTC.
    #[arg(long, value_name = "DATE|TIME", value_parser = TimeExpression::parse)]
    pub from: Option<TimeExpression>,
    /// Only those that were ingested before this
    #[arg(long, value_name = "DATE|TIME", value_parser = TimeExpression::parse)]
    pub to: Option<TimeExpression>,
    /// Only this partition of the topic
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// Only these offsets, the end excluded, as in 100..200
    #[arg(long, value_name = "FIRST..NEXT", value_parser = offsets)]
    pub offsets: Option<Range<i64>>,
    /// Print what would become of them, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Largest number of dead letters in one commit
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub commit_letters: u64,
    /// Format of the report; json adds what can't be decoded; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub input: InputArgs,
}

fn reason(text: &str) -> Result<RejectionReason, String> {
    let found = RejectionReason::ALL.iter().copied().find(|reason| reason.as_str() == text);
    found.ok_or_else(|| {
        let known: Vec<&str> = RejectionReason::ALL.iter().map(|reason| reason.as_str()).collect();
        format!("write one of {}", known.join(", "))
    })
}

fn offsets(text: &str) -> Result<Range<i64>, String> {
    let pair = text.split_once("..");
    let pair = pair.and_then(|(first, next)| Some(first.trim().parse().ok()?..next.trim().parse().ok()?));
    pair.filter(|range: &Range<i64>| range.start >= 0 && range.start < range.end)
        .ok_or_else(|| "write the first offset and the one after the last, as in 100..200".to_owned())
}

//! `tickhouse dead-letters`.

use std::ops::Range;

use clap::{Args, Subcommand};

use crate::cli::args::{FormatChoice, InputArgs, TableArgs};
use crate::decode::RejectionReason;
use crate::query::Moment;

/// Messages that could not become ticks
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true)]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    pub command: DeadLettersCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum DeadLettersCommand {
    /// Count them by reason and partition, with their offsets and times
    List(DeadLettersListArgs),
    /// Show single ones with their payload
    Show(DeadLettersShowArgs),
    /// Decode open ones again, by the lake's mapping of now or another one, and add their ticks
    Replay(DeadLettersReplayArgs),
}

#[derive(Debug, Clone, Args)]
pub struct DeadLettersListArgs {
    #[command(flatten)]
    pub table: TableArgs,
    /// Only this reason
    #[arg(long, value_name = "CODE", value_parser = reason)]
    pub reason: Option<RejectionReason>,
    /// Only open ones: whose ticks are not in the table
    #[arg(long)]
    pub open: bool,
    /// Format; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
}

#[derive(Debug, Clone, Args)]
pub struct DeadLettersShowArgs {
    #[command(flatten)]
    pub table: TableArgs,
    /// Only this reason
    #[arg(long, value_name = "CODE", value_parser = reason)]
    pub reason: Option<RejectionReason>,
    /// Only this partition
    #[arg(long, value_name = "NUMBER")]
    pub partition: Option<u32>,
    /// Only this offset
    #[arg(long, value_name = "NUMBER")]
    pub offset: Option<u64>,
    /// So many at most: those of the newest commit first, by partition and offset
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub limit: i64,
    /// Format; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
}

/// Dead letters stay as they are. An open one has no tick in the table; what was replayed before is left out, so the
/// command can be repeated, also after it was killed. With [input] in the configuration, or a flag of it, messages are
/// read by that, else by the mapping that the lake has.
#[derive(Debug, Clone, Args)]
pub struct DeadLettersReplayArgs {
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub input: InputArgs,
    /// Only these reasons; repeatable, or separated by commas
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = reason)]
    pub reason: Vec<RejectionReason>,
    /// Only those that were ingested at or after this, as in 2026-11-20, 2026-11-20T14:30:00Z, yesterday or 2h; days and
    /// local times are of UTC
    #[arg(long, value_name = "DATE|TIME", value_parser = Moment::parse)]
    pub from: Option<Moment>,
    /// Only those that were ingested before this
    #[arg(long, value_name = "DATE|TIME", value_parser = Moment::parse)]
    pub to: Option<Moment>,
    /// Only this partition of the topic
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// Only these offsets: the first, and the one after the last, as in 100..200
    #[arg(long, value_name = "FIRST..NEXT", value_parser = offsets)]
    pub offsets: Option<Range<i64>>,
    /// Say what would become of them, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Letters of one commit, at most
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub commit_letters: u64,
    /// Format; json adds what is still bad; auto is a table on a terminal and csv in a pipe
    #[arg(long, value_enum, default_value = "auto")]
    pub format: FormatChoice,
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

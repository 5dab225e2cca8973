//! `tickhouse dead-letters replay`: replays dead letters and prints the outcome for each reason.

use std::fmt::Write;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use indicatif::HumanCount;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{DeadLettersReplayArgs, GlobalArgs};
use crate::cli::commands::ask::target::output_of;
use crate::cli::commands::print::{print, write_stderr};
use crate::cli::settings::{Settings, SettingsError};
use crate::ingest::dead_letter_replay::{DeadLetterReplaySettings, ReasonReport, ReplayFilter, ReplayReport, replay};
use crate::query::{OutputFormat, QueryClock, ResultOutput, TimeExpression, write_batch};

/// Runs the command.
///
/// # Errors
/// There is no lake, it can't be read or written, or the mapping doesn't fit it.
pub(super) async fn run(
    global: &GlobalArgs,
    args: &DeadLettersReplayArgs,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let (format, _) = output_of(args.format, None)?;
    let resolved = Settings::resolve(global.config.as_deref(), |layers| {
        args.table.apply(layers);
        args.input.apply(layers);
    })?;
    let input = resolved.has_input().then(|| resolved.settings.input.clone());
    let settings = DeadLetterReplaySettings {
        location: resolved.settings.location()?,
        store: resolved.settings.store,
        filter: wanted(args)?,
        input,
        dry_run: args.dry_run,
        dead_letters_per_commit: usize::try_from(args.commit_letters).unwrap_or(usize::MAX),
    };
    let report = replay(settings, stop).await?;
    match format {
        OutputFormat::Json => {
            let text = serde_json::to_string_pretty(&report).context("write the report as JSON")?;
            print(&format!("{text}\n"))?;
        }
        format => {
            write_batch(&rows(&report)?, format, chrono_tz::UTC, ResultOutput::to(io::stdout()))?;
        }
    }
    write_stderr(&summary(&report));
    if report.stopped {
        bail!("stopped; run it again for the {} that are left", report.all().left);
    }
    Ok(ExitCode::SUCCESS)
}

fn wanted(args: &DeadLettersReplayArgs) -> Result<ReplayFilter, SettingsError> {
    let clock = QueryClock::system(chrono_tz::UTC);
    let micros = |flag: &str, moment: Option<TimeExpression>| {
        let instant = moment.map(|moment| moment.instant(&clock)).transpose();
        let instant = instant.map_err(|problem| SettingsError::Value(format!("{flag}: {problem}")))?;
        Ok::<_, SettingsError>(instant.map(|instant| instant.timestamp_micros()))
    };
    let (from, to) = (micros("--from", args.from)?, micros("--to", args.to)?);
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(SettingsError::Value("--to: it is not after --from".to_owned()));
    }
    Ok(ReplayFilter {
        reasons: args.reason.clone(),
        from,
        to,
        partition: args.partition,
        offsets: args.offsets.clone(),
    })
}

fn rows(report: &ReplayReport) -> anyhow::Result<RecordBatch> {
    let reasons = || report.reasons.iter();
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(reasons().map(|(reason, _)| reason)));
    let count = |of: fn(&ReasonReport) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(reasons().map(|(_, report)| of(report))))
    };
    Ok(RecordBatch::try_from_iter([
        ("reason", names),
        ("letters", count(|of| of.letters)),
        ("replayed_before", count(|of| of.replayed_before)),
        ("replayed", count(|of| of.replayed)),
        ("rows", count(|of| of.rows)),
        ("still_bad", count(|of| of.still_bad)),
        ("skipped", count(|of| of.skipped)),
        ("cut", count(|of| of.cut)),
    ])?)
}

/// The summary for people; scripts use the rows or JSON.
fn summary(report: &ReplayReport) -> String {
    let mut text = String::new();
    let mut line = |content: std::fmt::Arguments<'_>| writeln!(text, "{content}").expect("a string takes all text");
    let all = report.all();
    let (replayed, rows) = (HumanCount(all.replayed), HumanCount(all.rows));
    match (report.dry_run, report.version) {
        (true, _) => {
            line(format_args!("dry run: {replayed} dead letters would become {rows} ticks; nothing was changed"))
        }
        (false, Some(version)) => {
            line(format_args!("{replayed} dead letters became {rows} ticks; table version {version}"));
        }
        (false, None) => line(format_args!("no dead letter became a tick; nothing was changed")),
    }
    if all.replayed_before > 0 {
        line(format_args!("{} were replayed before", HumanCount(all.replayed_before)));
    }
    if all.still_bad > 0 {
        let counts: Vec<String> = report.still_bad.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        line(format_args!("{} are still bad: {}", HumanCount(all.still_bad), counts.join(", ")));
    }
    for example in &report.examples {
        let (partition, offset) = (example.partition, example.offset);
        line(format_args!("  partition {partition}, offset {offset}: {}: {}", example.reason, example.detail));
    }
    if all.skipped > 0 {
        line(format_args!("{} are no ticks by this mapping, or filtered out", HumanCount(all.skipped)));
    }
    if all.cut > 0 {
        let cut = HumanCount(all.cut);
        line(format_args!("{cut} are too large: the table has only their beginning, so they can't be replayed"));
    }
    if report.ahead > 0 {
        let ahead = HumanCount(report.ahead);
        line(format_args!("{ahead} are of offsets that ingest has yet to commit: run it again after it has"));
    }
    text
}

//! `tickhouse maintain`: prints what was done for each table.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use indicatif::HumanBytes;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cli::args::{GlobalArgs, MaintainArgs};
use crate::cli::commands::ask::target::output_of;
use crate::cli::commands::print::write_stderr;
use crate::cli::settings::{Settings, SettingsError};
use crate::lake::maintenance::{
    Compaction, CompactionLimits, CompactionStats, Retention, RetentionStats, RewriteError, StopReason,
};
use crate::lake::{LakeMaintenance, LogMaintenance, MARKET_ZONE, NewFile, RetryPolicy, UnreferencedFile};
use crate::market::MarketZone;
use crate::query::{ResultOutput, write_batch};

/// Minimum age of files that may be deleted. It is longer than any new file waits for its commit.
const LEAST_AGE: Duration = Duration::from_secs(2 * NewFile::MAX_COMMIT_AGE.as_secs());

/// What was done for a table, or would be done in a dry run.
#[derive(Default)]
struct Line {
    table: &'static str,
    what: &'static str,
    files: u64,
    bytes: u64,
    into_files: Option<u64>,
    into_bytes: Option<u64>,
}

/// Runs the command.
///
/// # Errors
/// There is no lake, it can't be written, or a file is damaged.
pub(in crate::cli::commands) async fn run(
    global: &GlobalArgs,
    args: &MaintainArgs,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let (format, _) = output_of(args.format, None)?;
    let settings = Settings::resolve(global.config.as_deref(), |layers| args.table.apply(layers))?.settings;
    if args.delete_after < LEAST_AGE {
        let text = "--delete-after: less than 1d, which files of a commit under way may be old; the default is 7d";
        return Err(SettingsError::Value(text.to_owned()).into());
    }
    let mut maintenance = LakeMaintenance::open(&settings.location()?, &settings.store).await?;
    let lines = match args.dry_run {
        true => planned(&mut maintenance, args).await?,
        false => done(&mut maintenance, args, stop).await?,
    };
    write_batch(&batch(&lines)?, format, chrono_tz::UTC, ResultOutput::to(io::stdout()))?;
    Ok(ExitCode::SUCCESS)
}

fn limits(args: &MaintainArgs) -> CompactionLimits {
    let settled_ms = i64::try_from(args.settled_after.as_millis()).unwrap_or(i64::MAX);
    CompactionLimits { settled_ms, ..CompactionLimits::default() }
}

fn now_ms() -> i64 {
    Utc::now().timestamp_millis()
}

async fn unreferenced(
    maintenance: &mut LakeMaintenance,
    args: &MaintainArgs,
    now: DateTime<Utc>,
) -> anyhow::Result<Vec<UnreferencedFile>> {
    let age = TimeDelta::from_std(args.delete_after).unwrap_or(TimeDelta::MAX);
    let before = now.checked_sub_signed(age);
    let Some(before) = before else { bail!("--delete-after: there was no such time") };
    Ok(maintenance.unreferenced(before).await?)
}

/// The retention, in the time zone of the lake's trade dates.
fn retention(maintenance: &mut LakeMaintenance, args: &MaintainArgs) -> anyhow::Result<Option<Retention>> {
    let Some(keep) = args.retain else { return Ok(None) };
    let zone = maintenance.tables().first().and_then(|ticks| ticks.property(MARKET_ZONE)?.parse().ok());
    let zone = zone.with_context(|| format!("--retain: the property {MARKET_ZONE} of ticks is not a time zone"))?;
    Ok(Some(Retention::new(keep, &mut MarketZone::new(zone), now_ms())))
}

async fn planned(maintenance: &mut LakeMaintenance, args: &MaintainArgs) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    if let Some(retention) = retention(maintenance, args)? {
        for table in maintenance.tables() {
            let files = retention.expired(&table.files()?);
            if !files.is_empty() {
                table.require_rows_may_leave()?;
            }
            lines.extend((!files.is_empty()).then(|| Line {
                table: table.name,
                what: "would drop",
                files: files.len() as u64,
                bytes: files.iter().map(|file| file.bytes).sum(),
                ..Line::default()
            }));
        }
    }
    for table in maintenance.tables() {
        let jobs = Compaction::new(limits(args)).plan(table.name, &table.files()?, now_ms());
        lines.push(Line {
            table: table.name,
            what: "would compact",
            files: jobs.iter().map(|job| job.files.len() as u64).sum(),
            bytes: jobs.iter().map(|job| job.bytes).sum(),
            into_files: Some(jobs.iter().map(|job| job.cuts.len() as u64 + 1).sum()),
            into_bytes: None,
        });
        let files = table.commits_since_checkpoint().await?;
        lines.push(Line { table: table.name, what: "would write a checkpoint over commits", files, ..Line::default() });
    }
    if !args.no_delete {
        lines.extend(deletions(&unreferenced(maintenance, args, Utc::now()).await?, "would delete"));
    }
    Ok(lines)
}

async fn done(
    maintenance: &mut LakeMaintenance,
    args: &MaintainArgs,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<Line>> {
    if args.ignore_lease {
        return changed(maintenance, args, stop).await;
    }
    let holder = Uuid::new_v4().to_string();
    if let Some(until) = maintenance.lease(&holder, LakeMaintenance::LEASE).await? {
        let until = until.to_rfc3339_opts(SecondsFormat::Secs, true);
        bail!(
            "another maintainer is at work on this lake, perhaps inside ingest, or died there: wait until {until}, or \
             say --ignore-lease"
        );
    }
    let lines = changed(maintenance, args, stop).await;
    maintenance.lease(&holder, Duration::ZERO).await?;
    lines
}

async fn changed(
    maintenance: &mut LakeMaintenance,
    args: &MaintainArgs,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    let retry = RetryPolicy { cancel: stop.clone(), ..RetryPolicy::default() };
    let retention = retention(maintenance, args)?;
    for table in maintenance.tables() {
        if let Some(retention) = retention {
            let mut dropped = RetentionStats::default();
            let ended = retention.run(table, &retry, stop, &mut dropped).await;
            if dropped.files > 0 {
                write_stderr(&format!("{}: {} rows of old dates dropped\n", table.name, dropped.rows));
                let RetentionStats { files, bytes, .. } = dropped;
                lines.push(Line { table: table.name, what: "dropped", files, bytes, ..Line::default() });
            }
            left_to_another(ended, table.name)?;
        }
        let (started, mut all) = (Instant::now(), CompactionStats::default());
        let mut compaction = Compaction::new(limits(args));
        let ended = compaction.run(table, &retry, stop, now_ms, |done| all.add(done)).await;
        left_to_another(ended, table.name)?;
        if all.jobs > 0 {
            let rate = HumanBytes((all.bytes_before as f64 / started.elapsed().as_secs_f64()) as u64);
            write_stderr(&format!("{}: {} rows compacted, {rate}/s\n", table.name, all.rows));
        }
        lines.push(Line {
            table: table.name,
            what: "compacted",
            files: all.files_before,
            bytes: all.bytes_before,
            into_files: Some(all.files_after),
            into_bytes: Some(all.bytes_after),
        });
    }
    let logs = maintenance.run(LogMaintenance { commits: 1, clean: !args.no_delete }, Utc::now()).await?;
    let of_logs = |what, files: usize| Line { table: "all", what, files: files as u64, ..Line::default() };
    lines.push(of_logs("checkpoints written", logs.checkpoints));
    if !args.no_delete {
        lines.push(of_logs("log files deleted", logs.log_files_deleted));
        lines.push(of_logs("temporary files deleted", maintenance.remove_temporary_files().await?));
        let now = maintenance.earlier_now().await?;
        let files = unreferenced(maintenance, args, now).await?;
        maintenance.delete(&files).await?;
        lines.extend(deletions(&files, "deleted"));
    }
    Ok(lines)
}

fn left_to_another(ended: Result<StopReason, RewriteError>, table: &str) -> anyhow::Result<()> {
    match ended.map_err(plain)? {
        StopReason::Done => {}
        StopReason::Conflict => write_stderr(&format!("{table}: another maintainer is at work; left to it\n")),
        StopReason::Cancelled => bail!("stopped; what was committed before stays"),
    }
    Ok(())
}

/// Unwraps an error of the lake, so that the exit code can be derived from it.
pub(in crate::cli::commands) fn plain(error: RewriteError) -> anyhow::Error {
    match error {
        RewriteError::Lake(error) => error.into(),
        error => error.into(),
    }
}

fn deletions(files: &[UnreferencedFile], what: &'static str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for file in files {
        let place = lines.iter().position(|line| line.table == file.table).unwrap_or_else(|| {
            lines.push(Line { table: file.table, what, ..Line::default() });
            lines.len() - 1
        });
        lines[place].files += 1;
        lines[place].bytes += file.bytes;
    }
    lines
}

fn batch(lines: &[Line]) -> anyhow::Result<RecordBatch> {
    let texts = |of: fn(&Line) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(lines.iter().map(of))) };
    let counts = |of: fn(&Line) -> Option<u64>| -> ArrayRef { Arc::new(lines.iter().map(of).collect::<UInt64Array>()) };
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("table", texts(|line| line.table), false),
        ("what", texts(|line| line.what), false),
        ("files", counts(|line| Some(line.files)), false),
        ("bytes", counts(|line| Some(line.bytes)), false),
        ("into_files", counts(|line| line.into_files), true),
        ("into_bytes", counts(|line| line.into_bytes), true),
    ])?)
}

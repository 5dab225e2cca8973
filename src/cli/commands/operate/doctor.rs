//! `tickhouse doctor`: prints the checks to standard output, and what was not checked to standard error.

use std::fmt::Write;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use tokio_util::sync::CancellationToken;

use crate::check::doctor::{CheckStatus, DoctorCheck, DoctorReport, DoctorSettings, ExpectedProperties, run_checks};
use crate::cli::args::{DoctorArgs, FormatChoice, GlobalArgs};
use crate::cli::commands::ask::target::output_of;
use crate::cli::commands::exit::FINDINGS;
use crate::cli::commands::print::{print, write_stderr};
use crate::cli::settings::{Resolved, Settings};
use crate::decode::Decoder;
use crate::ingest::MaintainMode;
use crate::live::Rules;
use crate::query::{OutputFormat, ResultOutput, write_batch};

const CONFIGURATION: &str = "configuration";
const CORRECT: &str = "correct it; `tickhouse config show` shows where each value comes from";

/// Runs the command.
///
/// # Errors
/// The location is invalid, or standard output can't be written.
pub(in crate::cli::commands) async fn run(
    global: &GlobalArgs,
    args: &DoctorArgs,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let resolved = match Settings::resolve(global.config.as_deref(), |layers| args.apply(layers)) {
        Ok(resolved) => resolved,
        Err(error) => {
            let checks = vec![DoctorCheck::fail(CONFIGURATION, error.to_string(), CORRECT)];
            let not_checked = vec!["the rest: nothing says what is to be checked".to_owned()];
            return show(&DoctorReport { checks, not_checked, ..DoctorReport::default() }, args.format);
        }
    };
    let location = resolved.settings.location()?;
    let settings = &resolved.settings;
    let kafka = (!settings.kafka.brokers.is_empty()).then(|| settings.kafka.clone());
    let doctor = DoctorSettings {
        location,
        store: settings.store.clone(),
        kafka,
        expected: expected(&resolved)?,
        deletes: settings.ingest.maintain == MaintainMode::Full,
        fix: args.fix,
    };
    let mut checks = configuration(settings).await;
    let mut report = tokio::select! {
        biased;
        () = stop.cancelled() => bail!("stopped before the check was done"),
        report = run_checks(&doctor) => report?,
    };
    checks.append(&mut report.checks);
    report.checks = checks;
    show(&report.judged(), args.format)
}

/// Checks the configuration for errors that ingest and live detect without sending requests.
async fn configuration(settings: &Settings) -> Vec<DoctorCheck> {
    let mut problems = Vec::new();
    match settings.ingest.validate() {
        Ok(zone) => problems.extend(Decoder::new(&settings.input, zone).err().map(|error| error.to_string())),
        Err(problem) => problems.push(problem),
    }
    problems.extend(settings.live.validate().err());
    problems.extend(settings.live.require_own_topic(&settings.kafka.topic).err());
    problems.extend(Rules::plan(&settings.live.rules).await.err().map(|error| error.to_string()));
    if problems.is_empty() {
        return vec![DoctorCheck::ok(CONFIGURATION, "ingest and live take it")];
    }
    problems.into_iter().map(|problem| DoctorCheck::fail(CONFIGURATION, problem, CORRECT)).collect()
}

/// The table properties that were configured explicitly. Defaults are not compared with an existing lake.
fn expected(resolved: &Resolved) -> anyhow::Result<ExpectedProperties> {
    let settings = &resolved.settings;
    let input = resolved.has_input().then(|| serde_json::to_string(&settings.input)).transpose();
    Ok(ExpectedProperties {
        topic: resolved.is_set("kafka.topic").then(|| settings.kafka.topic.clone()),
        market_zone: resolved.is_set("ingest.market_zone").then(|| settings.ingest.market_zone.clone()),
        partition_by: resolved.is_set("ingest.partition_by").then_some(settings.ingest.partition_by),
        input: input.context("write the input as JSON")?,
    })
}

fn show(report: &DoctorReport, format: FormatChoice) -> anyhow::Result<ExitCode> {
    let (format, _) = output_of(format, None)?;
    match format {
        OutputFormat::Json => {
            let text = serde_json::to_string_pretty(report).context("write the report as JSON")?;
            print(&format!("{text}\n"))?;
        }
        format => {
            write_batch(&rows(&report.checks)?, format, chrono_tz::UTC, ResultOutput::to(io::stdout()))?;
        }
    }
    write_stderr(&summary(report));
    Ok(if report.healthy { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
}

fn rows(checks: &[DoctorCheck]) -> anyhow::Result<RecordBatch> {
    let column =
        |of: fn(&DoctorCheck) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(checks.iter().map(of))) };
    Ok(RecordBatch::try_from_iter([
        ("check", column(|check| check.check.clone())),
        ("status", column(|check| check.status.to_string())),
        ("detail", column(|check| check.detail.clone())),
        ("fix", column(|check| check.fix.clone())),
    ])?)
}

/// The summary for people; scripts use the exit code and JSON.
fn summary(report: &DoctorReport) -> String {
    let mut text = String::new();
    let mut line = |content: std::fmt::Arguments<'_>| writeln!(text, "{content}").expect("a string takes all text");
    for missing in &report.not_checked {
        line(format_args!("not checked: {missing}"));
    }
    if let Some(copies) = &report.copies {
        line(format_args!("copies of what was changed are in {copies} under the root of the lake"));
    }
    let count = |status: CheckStatus| report.checks.iter().filter(|check| check.status == status).count();
    let counts = [
        (CheckStatus::Fail, "wrong"),
        (CheckStatus::Warn, "to review"),
        (CheckStatus::Fixed, "fixed"),
        (CheckStatus::Ok, "ok"),
    ];
    let counts = counts.map(|(status, word)| (count(status), word)).into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
    line(format_args!("{}", counts.join(", ")));
    text
}

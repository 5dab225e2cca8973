//! `tickhouse verify`: prints findings to standard output, and what was checked to standard error.

use std::fmt::Write;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use indicatif::{HumanBytes, HumanCount};
use tokio_util::sync::CancellationToken;

use crate::check::verify::{Finding, VerifyProgress, VerifyReport, VerifySettings, verify};
use crate::cli::args::{GlobalArgs, VerifyArgs};
use crate::cli::commands::ask::progress::ProgressLine;
use crate::cli::commands::ask::target::output_of;
use crate::cli::commands::exit::FINDINGS;
use crate::cli::commands::print::{print, write_stderr};
use crate::cli::settings::{Settings, SettingsError};
use crate::query::{OutputFormat, ResultOutput, write_batch};

/// Runs the command.
///
/// # Errors
/// There is no lake, or it can't be checked.
pub(in crate::cli::commands) async fn run(
    global: &GlobalArgs,
    args: &VerifyArgs,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let (format, _) = output_of(args.format, None)?;
    let resolve = Settings::resolve(global.config.as_deref(), |layers| {
        args.table.apply(layers);
        args.kafka.apply(layers);
    });
    let settings = resolve?.settings;
    if !args.against_kafka && (args.kafka.brokers.is_some() || args.kafka.topic.is_some()) {
        let text = "--brokers and --topic: verify asks Kafka only with --against-kafka; add it, or leave them out";
        return Err(SettingsError::Value(text.to_owned()).into());
    }
    let kafka = args.against_kafka.then_some(&settings.kafka).cloned();
    if let Some(kafka) = &kafka {
        if kafka.brokers.is_empty() {
            return Err(SettingsError::Value("--against-kafka: say with --brokers where Kafka is".to_owned()).into());
        }
        kafka.warn_of_plaintext();
    }
    let settings = VerifySettings { location: settings.location()?, store: settings.store, kafka, limit: args.limit };
    let progress = Arc::new(VerifyProgress::default());
    let line = ProgressLine::verifying(Arc::clone(&progress));
    let report = tokio::select! {
        biased;
        () = stop.cancelled() => bail!("stopped before the check was done"),
        report = verify(&settings, &progress) => report?,
    };
    drop(line);
    match format {
        OutputFormat::Json => {
            let text = serde_json::to_string_pretty(&report).context("write the report as JSON")?;
            print(&format!("{text}\n"))?;
        }
        format => {
            if !(report.healthy && format == OutputFormat::Table) {
                write_batch(&rows(&report.findings)?, format, chrono_tz::UTC, ResultOutput::to(io::stdout()))?;
            }
        }
    }
    write_stderr(&summary(&report));
    Ok(if report.healthy { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
}

fn rows(findings: &[Finding]) -> anyhow::Result<RecordBatch> {
    let column =
        |of: fn(&Finding) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(findings.iter().map(of))) };
    Ok(RecordBatch::try_from_iter([
        ("table", column(|finding| finding.table)),
        ("what", column(|finding| finding.kind.name())),
        ("where", column(|finding| &finding.location)),
        ("detail", column(|finding| &finding.detail)),
        ("fix", column(|finding| finding.fix)),
    ])?)
}

/// The summary for people; scripts use the exit code and JSON.
fn summary(report: &VerifyReport) -> String {
    let mut text = String::new();
    let mut line = |content: std::fmt::Arguments<'_>| writeln!(text, "{content}").expect("a string takes all text");
    for table in &report.tables {
        line(format_args!(
            "{} version {}: {} rows in {} files, {}",
            table.table,
            table.version,
            HumanCount(table.rows),
            HumanCount(table.files),
            HumanBytes(table.bytes),
        ));
    }
    if let Some(kafka) = &report.kafka {
        line(format_args!(
            "topic {}: {} records compared, {} rows and {} dead letters",
            kafka.topic,
            HumanCount(kafka.records),
            HumanCount(kafka.rows),
            HumanCount(kafka.dead_letters),
        ));
    }
    for missing in &report.not_checked {
        line(format_args!("not checked: {missing}"));
    }
    for note in &report.notes {
        line(format_args!("note: {note}"));
    }
    if report.healthy {
        line(format_args!("healthy; {:.1} s", report.seconds));
        return text;
    }
    let counts: Vec<String> = report.counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
    line(format_args!("findings: {}", counts.join(", ")));
    let all: u64 = report.counts.values().sum();
    if all > report.findings.len() as u64 {
        line(format_args!("listed are {} of {all}; --limit lists more", report.findings.len()));
    }
    text
}

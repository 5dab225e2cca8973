//! `tickhouse live`: evaluates signals and rules on the ticks in Kafka.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{GlobalArgs, LiveArgs};
use crate::cli::commands::print::write_stderr;
use crate::cli::settings::Settings;
use crate::ingest::StartPolicy;
use crate::live::{Event, EventSender, LiveSpec, LiveSummary, open};

/// Capacity of the queue of printed events, in batches.
const PRINT_QUEUE: usize = 64;

/// Runs the command.
///
/// # Errors
/// See [`open`] and [`crate::live::Live::run`].
pub(in crate::cli::commands) async fn run(
    global: &GlobalArgs,
    args: &LiveArgs,
    stop: CancellationToken,
) -> anyhow::Result<ExitCode> {
    let settings = Settings::resolve(global.config.as_deref(), |layers| args.apply(layers))?.settings;
    let (printer, printing) = printer(settings.live.print);
    let mut spec = spec(&settings)?;
    spec.printer = printer;
    let live = tokio::select! {
        biased;
        () = stop.cancelled() => {
            write_stderr("stopped before anything was read\n");
            return Ok(ExitCode::SUCCESS);
        }
        live = open(spec, &stop) => live?,
    };
    settings.kafka.warn_of_plaintext();
    tracing::info!(table = settings.table, rules = settings.live.rules.len(), "live");
    let summary = Box::pin(live.run(stop)).await;
    // The printer ends when its queue is closed.
    printing.await.context("print events")??;
    write_stderr(&ending(&summary?));
    Ok(ExitCode::SUCCESS)
}

/// The live task as configured, without a printer and without a dashboard.
pub(in crate::cli::commands) fn spec(settings: &Settings) -> anyhow::Result<LiveSpec> {
    Ok(LiveSpec {
        location: settings.location()?,
        store: settings.store.clone(),
        kafka: settings.kafka.clone(),
        settings: settings.live.clone(),
        records: true,
        log_maintenance: settings.ingest.log_maintenance(),
        keeps_bars: false,
        printer: None,
        updates: broadcast::Sender::new(1),
        from_earliest: settings.ingest.start == StartPolicy::Earliest,
    })
}

/// Starts a task that prints each event as a line on standard output.
pub(in crate::cli::commands) fn printer(wanted: bool) -> (Option<EventSender>, JoinHandle<io::Result<()>>) {
    if !wanted {
        return (None, tokio::spawn(async { Ok(()) }));
    }
    let (sender, mut events) = mpsc::channel::<Vec<Arc<Event>>>(PRINT_QUEUE);
    let task = tokio::spawn(async move {
        while let Some(events) = events.recv().await {
            let text: String = events.iter().map(|event| event.line() + "\n").collect();
            let mut out = io::stdout().lock();
            match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                written => written?,
            }
        }
        Ok(())
    });
    (Some(sender), task)
}

/// The summary that is printed when the command stops.
fn ending(summary: &LiveSummary) -> String {
    let progress = &summary.progress;
    let mut text = format!("{} events of {} ticks", progress.events, progress.ticks);
    if progress.late > 0 {
        text.push_str(&format!(", {} late ticks left out", progress.late));
    }
    if progress.scattered_symbols > 0 {
        text.push_str(&format!(", {} symbols in several partitions", progress.scattered_symbols));
    }
    if let Some(version) = summary.version {
        text.push_str(&format!("; version {version} of signals"));
    }
    let next: Vec<String> = summary.next.iter().map(|(partition, next)| format!("{partition}={next}")).collect();
    text.push_str(&format!("\nnext offsets {}\n", next.join(",")));
    text
}

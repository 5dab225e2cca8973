//! `tickhouse ingest`: starts the ingest and prints a summary at the end.

use std::process::ExitCode;

use anyhow::{Context, ensure};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{GlobalArgs, IngestArgs};
use crate::cli::commands::ask::live::printer;
use crate::cli::commands::data_in::sidecars::{Sidecars, Wanted, check};
use crate::cli::commands::data_in::{dry_run, recovery_command};
use crate::cli::commands::operate::metrics::{Listening, view};
use crate::cli::commands::print::write_stderr;
use crate::cli::settings::{Resolved, Settings, SettingsError};
use crate::ingest::{IngestDaemon, IngestError, IngestSpec, IngestStatus};
use crate::lake::{Lake, LakeError, Location};
use crate::serve::metrics::View;

/// Runs the command.
///
/// # Errors
/// See [`IngestDaemon::open`] and [`IngestDaemon::run`].
pub(in crate::cli::commands) async fn run(
    global: &GlobalArgs,
    args: &IngestArgs,
    stop: CancellationToken,
) -> anyhow::Result<ExitCode> {
    let resolved = Settings::resolve(global.config.as_deref(), |layers| args.apply(layers))?;
    let settings = resolved.settings.clone();
    if args.dry_run {
        let limit = args.limit;
        return tokio::task::spawn_blocking(move || dry_run::run(&settings, limit, &stop)).await?;
    }
    let status = watch::Sender::default();
    let view = view(&settings, status.subscribe());
    let listening = Listening::start(&settings, view.clone())?;
    let ended = ingest(global, args, resolved, status, view, stop).await;
    // The error of the ingest determines the exit code, so it is returned before that of the server.
    let listened = listening.end().await;
    let ended = ended?;
    listened?;
    Ok(ended)
}

async fn ingest(
    global: &GlobalArgs,
    args: &IngestArgs,
    resolved: Resolved,
    status: watch::Sender<IngestStatus>,
    view: View,
    stop: CancellationToken,
) -> anyhow::Result<ExitCode> {
    let settings = resolved.settings.clone();
    let location = settings.location()?;
    require_market_zone(&resolved, &location).await?;
    let wanted = match (args.live, args.dashboard) {
        (false, false) => None,
        (true, false) => Some(Wanted::Live),
        (false, true) => Some(Wanted::Page),
        (true, true) => Some(Wanted::LiveAndPage),
    };
    if wanted.is_some() {
        check(&settings).await?;
    }
    let spec = IngestSpec {
        location: location.clone(),
        store: settings.store.clone(),
        kafka: settings.kafka.clone(),
        input: settings.input.clone(),
        settings: settings.ingest.clone(),
        until_latest: args.until_latest,
        accept_input_change: args.accept_input_change,
    };
    let way_out = |error| recovery_command::show(error, global, &resolved);
    let Some(daemon) = IngestDaemon::open_with_status(spec, status, &stop).await.map_err(way_out)? else {
        ensure!(!args.until_latest, "stopped before anything was read; run it again");
        write_stderr("stopped before anything was read\n");
        return Ok(ExitCode::SUCCESS);
    };
    if daemon.is_new_lake {
        tracing::warn!(
            table = %location,
            "there was no lake, so a new one was made; if there should be one, stop and mount its file system; \
             --must-exist refuses to make one"
        );
    }
    tracing::info!(table = %location, group = daemon.group, "ingesting");
    let over = stop.child_token();
    let (printer, printing) = printer(settings.live.print && args.live);
    let sidecars = match wanted {
        Some(wanted) => Some(Sidecars::start(&settings, wanted, Some(view), printer, &over).await?),
        None => None,
    };
    let last = daemon.status();
    let status = Box::pin(daemon.run(stop)).await;
    over.cancel();
    let sidecars = match sidecars {
        Some(sidecars) => sidecars.join().await,
        None => Ok(()),
    };
    let printed = printing.await.context("print events");
    // The error of the ingest determines the exit code, so it is returned before those of the other tasks.
    if let Err(IngestError::Unreached(_)) = &status {
        write_stderr(&ending(&last.borrow()));
    }
    let status = status.map_err(way_out)?;
    sidecars?;
    printed??;
    write_stderr(&ending(&status));
    Ok(ExitCode::SUCCESS)
}

/// Requires an explicit market zone for a new lake if the zone of times in messages differs from the default market
/// zone. The user probably expects trade dates in that zone.
///
/// # Errors
/// There is no lake yet, and the market zone is not set.
async fn require_market_zone(resolved: &Resolved, location: &Location) -> anyhow::Result<()> {
    let settings = &resolved.settings;
    let default = &settings.ingest.market_zone;
    let zone = settings.input.zone.as_ref().filter(|zone| *zone != default && !is_utc(zone));
    let Some(zone) = zone.filter(|_| !resolved.is_set("ingest.market_zone")) else { return Ok(()) };
    match Lake::open(location, &settings.store).await {
        Err(LakeError::NoTable { .. }) => Err(SettingsError::Value(format!(
            "--zone {zone} (input.zone) is the zone of times in messages, and trade dates of a new lake would be of \
             {default}, so that a session in {zone} may have two dates: say --market-zone {zone}, or --market-zone \
             {default} if it is meant (ingest.market_zone)"
        ))
        .into()),
        // If the lake can't be opened, the ingest itself reports why.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn is_utc(zone: &str) -> bool {
    ["UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu"].contains(&zone)
}

/// The offsets and the table version, printed when the ingest stops.
fn ending(status: &IngestStatus) -> String {
    let counts = &status.committed;
    let mut text = format!(
        "committed {} rows of {} messages, {} dead letters, {} skipped; table version {}\n",
        counts.rows,
        counts.stored_offsets + counts.dead + counts.skipped,
        counts.dead,
        counts.skipped,
        status.version
    );
    if status.already_applied > 0 {
        text.push_str(&format!("{} messages came again and were in the table already\n", status.already_applied));
    }
    let next: Vec<String> = status.next.iter().map(|(partition, next)| format!("{partition}={next}")).collect();
    if !next.is_empty() {
        text.push_str(&format!("next offsets {}\n", next.join(",")));
    }
    text
}

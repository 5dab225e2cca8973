//! `tickhouse table rezone`: changes the time zone of a lake's trade dates.

use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono_tz::Tz;
use indicatif::HumanBytes;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cli::args::{GlobalArgs, RezoneArgs};
use crate::cli::commands::operate::maintain::plain;
use crate::cli::commands::print::{report, write_stderr};
use crate::cli::settings::Settings;
use crate::lake::maintenance::{Rezone, RezoneOutcome};
use crate::lake::{LakeMaintenance, MARKET_ZONE, MaintainedTable, RetryPolicy};

/// Number of files between two progress lines.
const REPORT_FILES: u64 = 100;

/// Runs the command.
///
/// # Errors
/// There is no lake, it can't be written, or another process writes to it. After an error, each table has either the
/// old zone or the new one.
pub(in crate::cli::commands) async fn run(
    global: &GlobalArgs,
    args: &RezoneArgs,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let settings = Settings::resolve(global.config.as_deref(), |layers| args.table.apply(layers))?.settings;
    let location = settings.location()?;
    let mut maintenance = LakeMaintenance::open(&location, &settings.store).await?;
    if args.dry_run {
        for table in dated(&mut maintenance) {
            let name = table.name;
            let files = Rezone { table, zone: args.market_zone }.files().map_err(plain)?;
            let bytes = HumanBytes(files.iter().map(|file| file.bytes).sum());
            report(&format!("{name}: would rewrite {} files ({bytes})\n", files.len()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    // The lease has its own handle, because it is renewed while the tables are rewritten.
    let lease = LakeMaintenance::open(&location, &settings.store).await?;
    let holder = Uuid::new_v4().to_string();
    if let Some(until) = lease.lease(&holder, LakeMaintenance::LEASE).await? {
        bail!(
            "a maintainer is at work on this lake, perhaps inside ingest, or died there: stop ingest and live, and \
             wait until {}",
            until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        );
    }
    let renewed = async {
        loop {
            tokio::time::sleep(LakeMaintenance::LEASE / 3).await;
            if let Err(error) = lease.lease(&holder, LakeMaintenance::LEASE).await {
                tracing::warn!(%error, "the lease of maintenance was not renewed, trying again");
            }
        }
    };
    let rewritten = tokio::select! {
        rewritten = rewrite(&mut maintenance, args.market_zone, stop) => rewritten,
        () = renewed => Ok(()),
    };
    let released = lease.lease(&holder, std::time::Duration::ZERO).await;
    rewritten?;
    released?;
    let zone = args.market_zone;
    write_stderr(&format!("start ingest with --market-zone {zone} from now on (ingest.market_zone = \"{zone}\")\n"));
    Ok(ExitCode::SUCCESS)
}

/// The tables that have trade dates.
fn dated(maintenance: &mut LakeMaintenance) -> impl Iterator<Item = &mut MaintainedTable> {
    maintenance.tables().iter_mut().filter(|table| table.name != "dead_letters")
}

async fn rewrite(maintenance: &mut LakeMaintenance, zone: Tz, stop: &CancellationToken) -> anyhow::Result<()> {
    let retry = RetryPolicy { cancel: stop.clone(), ..RetryPolicy::default() };
    for table in dated(maintenance) {
        let name = table.name;
        table.load().await?;
        // The zone and the dates are changed in one commit, so a table with the new zone is already done.
        if table.property(MARKET_ZONE) == Some(zone.name()) {
            report(&format!("{name}: trade dates are of {zone} already\n"))?;
            continue;
        }
        let rezone = Rezone { table, zone };
        let mut next = REPORT_FILES;
        let progress = |done: &crate::lake::maintenance::RezoneStats| {
            if done.files_before >= next {
                next += REPORT_FILES;
                write_stderr(&format!("{name}: {} files, {}\n", done.files_before, HumanBytes(done.bytes_before)));
            }
        };
        match rezone.run(&retry, stop, progress).await.map_err(plain).with_context(|| format!("rewrite {name}"))? {
            RezoneOutcome::Done(done) => report(&format!(
                "{name}: trade dates are of {zone}; {} of {} rows in {} files have another date, {} files came for \
                 them\n",
                done.moved, done.rows, done.files_before, done.files_after
            ))?,
            RezoneOutcome::Conflict => bail!(
                "{name} is as it was, for somebody wrote to it meanwhile: stop ingest, live and maintain, and say it \
                 again"
            ),
        }
    }
    Ok(())
}

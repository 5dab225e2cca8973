//! `tickhouse dashboard`: starts the server and prints its address.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::cli::args::{DashboardArgs, GlobalArgs};
use crate::cli::commands::ask::page::{place, source_of};
use crate::cli::commands::data_in::sidecars::{Sidecars, Wanted, check};
use crate::cli::commands::print::write_stderr;
use crate::cli::settings::Settings;
use crate::serve::dashboard::Server;

/// Runs the command.
///
/// # Errors
/// The settings are not allowed, or the port is in use.
pub(in crate::cli::commands) async fn run(
    global: &GlobalArgs,
    args: &DashboardArgs,
    stop: CancellationToken,
) -> anyhow::Result<ExitCode> {
    let settings = Settings::resolve(global.config.as_deref(), |layers| args.apply(layers))?.settings;
    if !settings.kafka.brokers.is_empty() {
        check(&settings).await?;
        let sidecars = Sidecars::start(&settings, Wanted::Page, None, None, &stop).await?;
        write_stderr("Ctrl-C ends it\n");
        sidecars.join().await?;
        return Ok(ExitCode::SUCCESS);
    }
    let server = Server::bind(&settings.dashboard, source_of(&settings)?, None, None).await?;
    write_stderr(&place(&server, &settings.dashboard));
    write_stderr("it shows what is in the table, since no --brokers are given; Ctrl-C ends it\n");
    server.run(stop).await?;
    Ok(ExitCode::SUCCESS)
}

//! Parse, start the log, hand the shutdown token to the command, leave with its exit code.

use std::process::ExitCode;

use tickhouse::cli::args::Cli;
use tickhouse::cli::{commands, telemetry};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A second signal leaves at once.
const SECOND_SIGNAL: i32 = 130;

fn main() -> ExitCode {
    let cli = Cli::from_process();
    if let Err(error) = telemetry::start(&cli.global, cli.command.default_log()) {
        commands::write_stderr(&format!("error: {error}\n"));
        return ExitCode::from(commands::USAGE);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            commands::write_stderr(&format!("error: start the runtime: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        let stop = CancellationToken::new();
        // From here on, before anything begins: a signal without its handler kills.
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let keeps_interrupts = commands::keeps_interrupts(&cli.command);
        let signals = tokio::spawn(watch_signals([interrupt, terminate], stop.clone(), keeps_interrupts));
        let result = commands::run(cli, stop).await;
        signals.abort();
        result
    });
    // Whatever still hangs in a request ends with the process: the Delta kernel panics when its runtime ends first.
    std::mem::forget(runtime);
    result.unwrap_or_else(|error| {
        commands::write_stderr(&format!("error: {error:#}\n"));
        commands::exit_code(&error)
    })
}

async fn watch_signals([mut interrupt, mut terminate]: [Signal; 2], stop: CancellationToken, keeps_interrupts: bool) {
    for leave in [false, true] {
        tokio::select! {
            _ = interrupt.recv(), if !keeps_interrupts => {}
            _ = terminate.recv() => {}
        }
        if leave {
            std::process::exit(SECOND_SIGNAL);
        }
        stop.cancel();
    }
}

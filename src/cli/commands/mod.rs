//! The subcommands, one file for each. The files only connect other modules and print results.

pub mod ask;
pub mod data_in;
mod exit;
mod operate;
mod print;
mod set_up;

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::cli::args::{Cli, Command};
use crate::cli::settings::Settings;
use exit::is_reader_gone;
pub use exit::{USAGE, exit_code};
pub use print::write_stderr;

/// Runs the subcommand.
///
/// # Errors
/// The subcommand failed; [`exit_code`] returns the exit code for the error.
pub async fn run(cli: Cli, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    let result = match &cli.command {
        Command::Ingest(args) => data_in::ingest::run(&cli.global, args, stop).await,
        Command::Demo(args) => data_in::demo::run(args, stop).await,
        Command::Produce(args) => data_in::produce::run(&cli.global, args, stop).await,
        Command::Query(args) => ask::query::run(&cli.global, args, stop).await,
        Command::Live(args) => ask::live::run(&cli.global, args, stop).await,
        Command::Alerts(args) => ask::alerts::run(&cli.global, args, stop).await,
        Command::Table(args) => operate::table::run(&cli.global, args, &stop).await,
        Command::Offsets(args) => operate::offsets::run(&cli.global, args, &stop).await,
        Command::DeadLetters(args) => operate::dead_letters::run(&cli.global, args, stop).await,
        Command::Maintain(args) => operate::maintain::run(&cli.global, args, &stop).await,
        Command::Verify(args) => operate::verify::run(&cli.global, args, &stop).await,
        Command::Doctor(args) => operate::doctor::run(&cli.global, args, &stop).await,
        Command::Dashboard(args) => ask::dashboard::run(&cli.global, args, stop).await,
        Command::Catalog(args) => set_up::catalog::run(&cli.global, args, stop).await,
        Command::Probe(args) => operate::probe::run(args).await,
        Command::Config(args) => set_up::config::run(&cli.global, args).await,
        Command::Completions(args) => set_up::config::completions(args),
        Command::ConsumeOnly(args) => {
            let settings = Settings::resolve(cli.global.config.as_deref(), |layers| args.apply(layers))?.settings;
            tokio::task::spawn_blocking(move || data_in::consume_only::run(&settings, &stop)).await?
        }
    };
    match result {
        Err(error) if is_reader_gone(&error) => Ok(ExitCode::SUCCESS),
        result => result,
    }
}

/// Whether Ctrl-C ends only the running statement, and not the command.
pub fn keeps_interrupts(command: &Command) -> bool {
    matches!(command, Command::Query(args) if args.is_open() && ask::repl::is_interactive())
}

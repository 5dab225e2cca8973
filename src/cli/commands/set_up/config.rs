//! `tickhouse config show` and `tickhouse completions`: print the settings and the shell completions.

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Context;

use crate::cli::args::{Cli, CompletionsArgs, ConfigArgs, ConfigCommand, GlobalArgs};
use crate::cli::commands::print::{print, report};
use crate::cli::settings::Settings;
use crate::live::Rules;

/// Runs `tickhouse config`.
///
/// # Errors
/// The configuration can't be read, or `ingest` would refuse it.
pub(in crate::cli::commands) async fn run(global: &GlobalArgs, args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let ConfigCommand::Show(flags) = &args.command;
    let resolved = Settings::resolve(global.config.as_deref(), |layers| flags.apply(layers))?;
    let mut text = String::new();
    for (key, value, origin) in resolved.listing()? {
        let origin = origin.map_or_else(|| "default".to_owned(), ToString::to_string);
        match value {
            Some(value) => writeln!(text, "{key} = {value}  # {origin}"),
            None => writeln!(text, "# {key} is not set"),
        }
        .expect("a string takes all text");
    }
    report(&text)?;
    resolved.settings.validate()?;
    Rules::plan(&resolved.settings.live.rules).await?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the completions for a shell.
///
/// # Errors
/// Standard output can't be written.
pub(in crate::cli::commands) fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::definition(), "tickhouse", &mut script);
    print(&String::from_utf8(script).context("print the completions")?)?;
    Ok(ExitCode::SUCCESS)
}

//! `tickhouse catalog`: registers the tables and named queries of a lake with other engines.

mod athena;
mod glue;
mod manifest;
mod place;
mod scripts;
mod trino;
mod views;

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::cli::args::{CatalogArgs, CatalogCommand, GlobalArgs};

/// Runs the command.
///
/// # Errors
/// The engine doesn't support the location of the lake, or rejects the registration.
pub(in crate::cli::commands) async fn run(
    global: &GlobalArgs,
    args: &CatalogArgs,
    stop: CancellationToken,
) -> anyhow::Result<ExitCode> {
    match &args.command {
        CatalogCommand::Glue(args) => glue::run(global, args, &stop).await?,
        CatalogCommand::Athena(args) => athena::run(global, args, &stop).await?,
        CatalogCommand::Trino(args) => trino::run(global, args, &stop).await?,
        CatalogCommand::Spark(args) => scripts::spark(global, args, &stop).await?,
        CatalogCommand::Duckdb(args) => scripts::duckdb(global, args, &stop).await?,
        CatalogCommand::Clickhouse(args) => scripts::clickhouse(global, args, &stop).await?,
        CatalogCommand::Manifest(args) => manifest::run(global, args, &stop).await?,
    }
    Ok(ExitCode::SUCCESS)
}

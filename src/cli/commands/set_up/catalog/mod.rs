//! `tickhouse catalog`: the tables and named queries of a lake in other engines.

mod athena;
mod glue;
mod manifest;
mod scripts;
mod trino;

use std::process::ExitCode;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{CatalogArgs, CatalogCommand, GlobalArgs, TableArgs, ViewArgs};
use crate::cli::commands::print::tell;
use crate::cli::settings::{Layers, Settings};
use crate::engines::registration::{LeftOut, Root, RootError, TABLES, View, Views};
use crate::lake::{Lake, Location};
use crate::query::{Catalog, Dialect, QueryError};

/// # Errors
/// The engine can't know such a lake, or refuses it.
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

/// Where an engine without settings of its own keeps the tables.
const DEFAULT_SCHEMA: &str = "tickhouse";

/// Where the lake is.
struct Place {
    settings: Settings,
    location: Location,
}

impl Place {
    fn of(global: &GlobalArgs, table: &TableArgs) -> anyhow::Result<Self> {
        Self::with(global, table, |_| {})
    }

    /// As [`Self::of`], with the flags of an engine.
    fn with(global: &GlobalArgs, table: &TableArgs, flags: impl FnOnce(&mut Layers)) -> anyhow::Result<Self> {
        let layers = |layers: &mut Layers| {
            table.apply(layers);
            flags(layers);
        };
        let settings = Settings::resolve(global.config.as_deref(), layers)?.settings;
        let location = settings.location()?;
        Ok(Self { settings, location })
    }

    /// Opens the lake, which also shows that it is there.
    async fn lake(&self, stop: &CancellationToken) -> anyhow::Result<Lake> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(QueryError::Cancelled.into()),
            lake = Lake::open(&self.location, &self.settings.store) => lake.context("open the lake"),
        }
    }

    /// Where the engine sees the lake: as the user says, or by the engine's own rule.
    fn root(
        &self,
        given: Option<&str>,
        of_engine: impl FnOnce(&Location) -> Result<Root, RootError>,
    ) -> Result<Root, RootError> {
        given.map_or_else(|| of_engine(&self.location), Root::given)
    }
}

/// The views that are asked for.
fn views_of(args: &ViewArgs, dialect: Dialect, schema: &[&str]) -> anyhow::Result<Views> {
    if args.no_views {
        return Ok(Views::default());
    }
    Ok(Views::of(&Catalog::load(args.sql_dir.as_deref())?, &args.view, dialect, schema)?)
}

/// Says on standard error what was made of what.
fn summarize(what: &str, schema: &str, views: &Views) {
    for LeftOut { name, reason } in &views.left_out {
        tell(&format!("no view {name}: {reason}\n"));
    }
    tell(&format!("{what}: {}\n", contents(schema, &views.made, &views.left_out)));
}

fn contents(schema: &str, made: &[View], left_out: &[LeftOut]) -> String {
    let tables = TABLES.len();
    let without = match left_out.len() {
        0 => String::new(),
        count => format!(", without {count} that the engine can't say"),
    };
    format!("{tables} tables ({}) and {} views in {schema}{without}", TABLES.join(", "), made.len())
}

//! `tickhouse catalog glue`: registers the tables in the Glue Data Catalog.

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::place::Place;
use crate::cli::args::{GlobalArgs, GlueArgs};
use crate::cli::commands::print::{print, write_stderr};
use crate::engines::registration::glue::{GlueClient, GlueTable, RegistrationOutcome, requests};
use crate::engines::registration::{LakeRoot, TABLES};
use crate::lake::Lake;
use crate::query::QueryError;

/// Runs the command.
///
/// # Errors
/// There is no lake on S3, a table of the same name has another location, or Glue can't be reached or rejects a
/// request.
pub(super) async fn run(global: &GlobalArgs, args: &GlueArgs, stop: &CancellationToken) -> anyhow::Result<()> {
    let place = Place::with(global, &args.place.table, |layers| {
        layers.flag("athena.database", "--schema", args.place.schema.clone());
    })?;
    let root = place.root(args.place.location.as_deref(), |location| LakeRoot::of_aws("Glue", location))?;
    let root = root.require_s3("Glue")?;
    let tables = tables_of(&place.lake(stop).await?, &root)?;
    let database = &place.settings.athena.database;
    if args.dry_run {
        let text = serde_json::to_string_pretty(&requests(database, &tables)).context("write the requests as JSON")?;
        return print(&format!("{text}\n"));
    }
    let client = GlueClient::new(&place.settings.glue, &place.settings.store).await?;
    let outcomes = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(QueryError::Cancelled.into()),
        outcomes = client.register(database, &tables, args.replace) => outcomes?,
    };
    for (table, outcome) in tables.iter().zip(outcomes) {
        let outcome = match outcome {
            RegistrationOutcome::Created => "created",
            RegistrationOutcome::Updated => "updated",
            RegistrationOutcome::Unchanged => "unchanged",
        };
        write_stderr(&format!("{database}.{}: {outcome}, at {}\n", table.name, table.location));
    }
    Ok(())
}

pub(super) fn tables_of(lake: &Lake, root: &LakeRoot) -> anyhow::Result<Vec<GlueTable>> {
    let views = TABLES.into_iter().zip([lake.ticks()?, lake.dead_letters()?]);
    Ok(views.map(|(name, view)| GlueTable::of(name, root, &view)).collect())
}

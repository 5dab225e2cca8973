//! `tickhouse catalog athena`: creates tables and views with Athena statements.

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::glue::tables_of;
use super::place::Place;
use super::views::{summarize, views_of};
use crate::cli::args::{AthenaCatalogArgs, GlobalArgs};
use crate::cli::commands::print::print;
use crate::engines::registration::glue::GlueClient;
use crate::engines::registration::{LakeRoot, athena_statements, script};
use crate::engines::{AthenaClient, AthenaSettings};
use crate::query::{Dialect, QueryError};

/// A database that every account has, as the context of the statement that creates another database.
const DEFAULT_DATABASE: &str = "default";

/// Runs the command.
///
/// # Errors
/// There is no lake on S3, or Athena can't be reached or rejects a statement.
pub(super) async fn run(global: &GlobalArgs, args: &AthenaCatalogArgs, stop: &CancellationToken) -> anyhow::Result<()> {
    let place = Place::with(global, &args.place.table, |layers| {
        args.engines.apply(layers);
        layers.flag("athena.database", "--schema", args.place.schema.clone());
    })?;
    let settings = &place.settings.athena;
    let root = place.root(args.place.location.as_deref(), |location| LakeRoot::of_aws("Athena", location))?;
    let root = root.require_s3("Athena")?;
    let views = views_of(&args.views, Dialect::Athena, &[&settings.database])?;
    let statements = athena_statements(&settings.database, &root, &views.made);
    if args.dry_run {
        print(&script(&statements))?;
        summarize("these statements make", &settings.database, &views);
        return Ok(());
    }
    // Athena keeps an existing table, even if it has another location, so that is checked before.
    let tables = tables_of(&place.lake(stop).await?, &root)?;
    let glue = GlueClient::new(&place.settings.glue, &place.settings.store).await?;
    glue.require_free(&settings.database, &tables).await?;
    let outside = AthenaSettings { database: DEFAULT_DATABASE.to_owned(), ..settings.clone() };
    let outside = AthenaClient::new(&outside, &place.settings.store).await?;
    let inside = AthenaClient::new(settings, &place.settings.store).await?;
    for (at, statement) in statements.iter().enumerate() {
        let client = if at == 0 { &outside } else { &inside };
        let run = client.run(statement, stop).await;
        let first_line = || statement.lines().next().unwrap_or_default().to_owned();
        run.map_err(QueryError::from).with_context(first_line)?;
    }
    summarize("Athena has", &settings.database, &views);
    Ok(())
}

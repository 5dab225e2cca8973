//! `tickhouse catalog trino`: creates tables and views with Trino statements.

use anyhow::{Context, bail};
use arrow::array::AsArray;
use tokio_util::sync::CancellationToken;

use super::place::Place;
use super::views::{summarize, views_of};
use crate::cli::args::{GlobalArgs, TrinoCatalogArgs};
use crate::cli::commands::print::{print, write_stderr};
use crate::engines::registration::{LakeRoot, TableRegistration, create_schema, create_view, script, trino_statements};
use crate::engines::{EngineError, TrinoClient};
use crate::query::{Dialect, QueryError};

/// Runs the command.
///
/// # Errors
/// There is no lake, or Trino can't be reached or rejects a statement.
pub(super) async fn run(global: &GlobalArgs, args: &TrinoCatalogArgs, stop: &CancellationToken) -> anyhow::Result<()> {
    let place = Place::with(global, &args.place.table, |layers| {
        args.engines.apply(layers);
        layers.flag("trino.schema", "--schema", args.place.schema.clone());
    })?;
    let settings = &place.settings.trino;
    let (catalog, schema) = (settings.catalog.as_str(), settings.schema.as_str());
    let root = place.root(args.place.location.as_deref(), LakeRoot::of_trino)?;
    let views = views_of(&args.views, Dialect::Trino, &[catalog, schema])?;
    if args.dry_run {
        print(&script(&trino_statements(catalog, schema, &root, &views.made)))?;
        summarize("these statements make", schema, &views);
        return Ok(());
    }
    // With `--location`, the lake may only be reachable for Trino, so it is not opened here.
    if args.place.location.is_none() {
        place.lake(stop).await?;
    }
    let client = TrinoClient::new(settings)?;
    client.run(&create_schema(catalog, schema), stop).await.context("create the schema")?;
    for registration in TableRegistration::all(catalog, schema, &root) {
        let outcome = register(&client, &registration, args.replace, stop).await?;
        write_stderr(&format!("{}: {outcome} at {}\n", registration.table, registration.location));
    }
    for view in &views.made {
        let made = client.run(&create_view(catalog, schema, view), stop).await;
        made.map_err(QueryError::from).with_context(|| format!("create the view {}", view.name))?;
    }
    summarize("Trino has", &format!("{catalog}.{schema}"), &views);
    Ok(())
}

/// Registers a table, and describes the outcome.
async fn register(
    client: &TrinoClient,
    registration: &TableRegistration,
    replace: bool,
    stop: &CancellationToken,
) -> anyhow::Result<&'static str> {
    let TableRegistration { table, register, unregister, .. } = registration;
    match client.run(register, stop).await {
        Ok(_) => return Ok("registered"),
        Err(EngineError::Refused(refusal)) if refusal.message.contains("already exists") => {}
        Err(error) => return Err(error).with_context(|| format!("register {table}")),
    }
    let shown = client.run(&registration.show, stop).await.with_context(|| format!("read the location of {table}"))?;
    let text: String = shown.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten()).collect();
    if registration.is_in(&text) {
        return Ok("already registered");
    }
    if !replace {
        bail!(EngineError::Usage(format!(
            "Trino has another table {table}, not the one at {}: choose another --schema, or --replace it",
            registration.location
        )));
    }
    client.run(unregister, stop).await.with_context(|| format!("unregister {table}"))?;
    let was = text.lines().find(|line| line.contains("location = ")).unwrap_or_default().trim();
    let lost = || format!("register {table}, which Trino has no more (it had it with {was})");
    client.run(register, stop).await.with_context(lost)?;
    Ok("registered again")
}

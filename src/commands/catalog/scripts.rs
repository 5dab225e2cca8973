//! Engines without a server to talk to: a script for their own shell.

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::super::print::{print, tell};
use super::{DEFAULT_SCHEMA, Place, summarize, views_of};
use crate::catalog::{Root, Views, clickhouse_statements, duckdb_statements, script, spark_statements};
use crate::cli::{ClickhouseArgs, GlobalArgs, ScriptArgs};
use crate::lake::S3Access;
use crate::query::Dialect;

/// # Errors
/// There is no lake, a view is asked for wrongly, or the script can't be written.
pub(super) async fn spark(global: &GlobalArgs, args: &ScriptArgs, stop: &CancellationToken) -> anyhow::Result<()> {
    let (place, views) = begin(global, args, Dialect::Spark, stop).await?;
    let root = place.root(args.place.location.as_deref(), |location| Ok(Root::of_spark(location)))?;
    write(args, Dialect::Spark, &spark_statements(schema_of(args), &root, &views.made), &views)
}

/// # Errors
/// As [`spark`].
pub(super) async fn duckdb(global: &GlobalArgs, args: &ScriptArgs, stop: &CancellationToken) -> anyhow::Result<()> {
    let (place, views) = begin(global, args, Dialect::Duckdb, stop).await?;
    let root = place.root(args.place.location.as_deref(), |location| Ok(Root::of_duckdb(location)))?;
    let access = S3Access::of(&place.location, &place.settings.store)?;
    let statements = duckdb_statements(schema_of(args), &root, &access, &views.made);
    write(args, Dialect::Duckdb, &statements, &views)
}

/// # Errors
/// As [`spark`].
pub(super) async fn clickhouse(
    global: &GlobalArgs,
    args: &ClickhouseArgs,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let ClickhouseArgs { script, named_collection } = args;
    let (place, views) = begin(global, script, Dialect::Clickhouse, stop).await?;
    let access = S3Access::of(&place.location, &place.settings.store)?;
    let root = place.root(script.place.location.as_deref(), |location| Root::of_clickhouse(location, &access))?;
    if root.is_path() {
        tell(
            "ClickHouse reads a folder only if it is below user_files_path of the server (chdb: the working folder)\n",
        );
    }
    let statements = clickhouse_statements(schema_of(script), &root, named_collection.as_deref(), &views.made);
    write(script, Dialect::Clickhouse, &statements, &views)
}

fn schema_of(args: &ScriptArgs) -> &str {
    args.place.schema.as_deref().unwrap_or(DEFAULT_SCHEMA)
}

async fn begin(
    global: &GlobalArgs,
    args: &ScriptArgs,
    dialect: Dialect,
    stop: &CancellationToken,
) -> anyhow::Result<(Place, Views)> {
    let place = Place::of(global, &args.place.table)?;
    let views = views_of(&args.views, dialect, &[schema_of(args)])?;
    if !args.dry_run {
        place.lake(stop).await?;
    }
    Ok((place, views))
}

fn write(args: &ScriptArgs, dialect: Dialect, statements: &[String], views: &Views) -> anyhow::Result<()> {
    let text = script(statements);
    match args.output.as_deref().filter(|path| path.as_os_str() != "-") {
        Some(path) => std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?,
        None => print(&text)?,
    }
    summarize(&format!("a script for {}", dialect.engine()), schema_of(args), views);
    Ok(())
}

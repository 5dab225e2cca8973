//! Engines that get a script for their own shell. For ClickHouse, the statements can also be sent over HTTP.

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::place::{DEFAULT_SCHEMA, Place};
use super::views::{summarize, views_of};
use crate::cli::args::{ClickhouseArgs, GlobalArgs, ScriptArgs};
use crate::cli::commands::print::{print, write_stderr};
use crate::engines::registration::{
    EngineViews, LakeRoot, clickhouse_statements, duckdb_statements, script, spark_statements,
};
use crate::engines::{ClickhouseClient, EngineError};
use crate::lake::S3Access;
use crate::query::{Dialect, QueryError};

/// Writes the script for Spark.
///
/// # Errors
/// There is no lake, a requested view is invalid, or the script can't be written.
pub(super) async fn spark(global: &GlobalArgs, args: &ScriptArgs, stop: &CancellationToken) -> anyhow::Result<()> {
    let place = Place::of(global, &args.place.table)?;
    let views = begin(&place, args, Dialect::Spark, stop).await?;
    let root = place.root(args.place.location.as_deref(), |location| Ok(LakeRoot::of_spark(location)))?;
    write(args, Dialect::Spark, &spark_statements(schema_of(args), &root, &views.made), &views)
}

/// Writes the script for DuckDB.
///
/// # Errors
/// The same as for [`spark`].
pub(super) async fn duckdb(global: &GlobalArgs, args: &ScriptArgs, stop: &CancellationToken) -> anyhow::Result<()> {
    let place = Place::of(global, &args.place.table)?;
    let views = begin(&place, args, Dialect::Duckdb, stop).await?;
    let root = place.root(args.place.location.as_deref(), |location| Ok(LakeRoot::of_duckdb(location)))?;
    let access = S3Access::of(&place.location, &place.settings.store)?;
    let statements = duckdb_statements(schema_of(args), &root, &access, &views.made);
    write(args, Dialect::Duckdb, &statements, &views)
}

/// Writes the script for ClickHouse, or sends its statements to the server.
///
/// # Errors
/// The same as for [`spark`], and the server can't be reached or rejects a statement.
pub(super) async fn clickhouse(
    global: &GlobalArgs,
    args: &ClickhouseArgs,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let (script, collection) = (&args.script, args.named_collection.as_deref());
    let place = Place::with(global, &script.place.table, |layers| args.apply(layers))?;
    let views = begin(&place, script, Dialect::Clickhouse, stop).await?;
    let access = S3Access::of(&place.location, &place.settings.store)?;
    let root = place.root(script.place.location.as_deref(), |location| LakeRoot::of_clickhouse(location, &access))?;
    if root.is_path() {
        write_stderr(
            "ClickHouse reads a folder only if it is below user_files_path of the server (chdb: the working folder)\n",
        );
    }
    let statements = clickhouse_statements(schema_of(script), &root, collection, &views.made);
    let settings = &place.settings.clickhouse;
    let Some(url) = settings.url.as_deref().filter(|_| !script.dry_run && script.output.is_none()) else {
        return write(script, Dialect::Clickhouse, &statements, &views);
    };
    let client = ClickhouseClient::new(url, settings)?;
    for statement in &statements {
        let run = stop.run_until_cancelled(client.run(statement)).await.unwrap_or(Err(EngineError::Cancelled));
        let first_line = || statement.lines().next().unwrap_or_default().to_owned();
        run.map_err(QueryError::from).with_context(first_line)?;
    }
    summarize("ClickHouse has", schema_of(script), &views);
    Ok(())
}

fn schema_of(args: &ScriptArgs) -> &str {
    args.place.schema.as_deref().unwrap_or(DEFAULT_SCHEMA)
}

async fn begin(
    place: &Place,
    args: &ScriptArgs,
    dialect: Dialect,
    stop: &CancellationToken,
) -> anyhow::Result<EngineViews> {
    let views = views_of(&args.views, dialect, &[schema_of(args)])?;
    if !args.dry_run {
        place.lake(stop).await?;
    }
    Ok(views)
}

fn write(args: &ScriptArgs, dialect: Dialect, statements: &[String], views: &EngineViews) -> anyhow::Result<()> {
    let text = script(statements);
    match args.output.as_deref().filter(|path| path.as_os_str() != "-") {
        Some(path) => std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?,
        None => print(&text)?,
    }
    summarize(&format!("a script for {}", dialect.engine()), schema_of(args), views);
    Ok(())
}

//! Statements of `tickhouse query` that another engine runs.

use anyhow::Context;
use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;
use tokio_util::sync::CancellationToken;

use crate::cli::args::QueryArgs;
use crate::cli::commands::ask::progress::ProgressLine;
use crate::cli::commands::ask::target::{Target, fit_of};
use crate::cli::commands::print::{print, write_stderr};
use crate::cli::settings::Settings;
use crate::engines::{AthenaClient, EngineAnswer, EngineClient, QueryEngine, TrinoClient};
use crate::lake::StoreSettings;
use crate::query::{OutputFormat, QueryError, write_stream};

/// Refuses the interactive prompt for another engine.
///
/// # Errors
/// The engine is not the local one: it runs one statement at a time.
pub(in crate::cli::commands) fn refuse_prompt(engine: QueryEngine) -> Result<(), QueryError> {
    match engine {
        QueryEngine::Local => Ok(()),
        other => Err(QueryError::Usage(format!(
            "--engine {} takes one statement: name it, or read it with -f -; the prompt is for --engine local",
            other.name()
        ))),
    }
}

/// Runs a statement and writes its result.
///
/// # Errors
/// The engine can't be reached or rejects the statement, or the result can't be written.
pub(in crate::cli::commands) async fn answer(
    client: &EngineClient,
    sql: &str,
    args: &QueryArgs,
    format: OutputFormat,
    (target, store): (&Target<'_>, &StoreSettings),
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let line = ProgressLine::elsewhere(client.progress());
    if args.explain {
        let mut plan = client.execute(&format!("EXPLAIN {sql}"), stop).await.map_err(QueryError::from)?;
        let text = lines(&mut plan, stop).await;
        plan.close().await;
        drop(line);
        return print(&text?);
    }
    let mut rows = client.execute(sql, stop).await.map_err(QueryError::from)?;
    let schema = rows.schema();
    let write = async |output| write_stream(&schema, rows.batches(), format, args.tz, output, stop).await;
    let written = target.fill(store, &line, fit_of(args), stop, write).await;
    let scanned = rows.scanned();
    rows.close().await;
    drop(line);
    if let Some(scanned) = scanned {
        write_stderr(&format!("{scanned}\n"));
    }
    written
}

/// Refuses flags that only the local engine supports, and suggests an alternative.
fn refuse_local_flags(engine: QueryEngine, args: &QueryArgs) -> Result<(), QueryError> {
    let refused = [
        (
            args.past.as_of.is_some(),
            "--as-of",
            "the registered table is read at its newest version; use --engine local",
        ),
        (!args.register.is_empty(), "--register", "load the file into a table there, or use --engine local"),
    ];
    match refused.iter().find(|(is_given, ..)| *is_given) {
        Some((_, flag, way)) => Err(QueryError::Usage(format!("{flag} is not for --engine {}: {way}", engine.name()))),
        None => Ok(()),
    }
}

/// The client for the engine; `None` if this process runs the statement.
///
/// # Errors
/// The settings for reaching the engine are incomplete, or a flag is not supported by it.
pub(in crate::cli::commands) async fn client_of(
    settings: &Settings,
    args: &QueryArgs,
) -> Result<Option<EngineClient>, QueryError> {
    if settings.engine != QueryEngine::Local {
        refuse_local_flags(settings.engine, args)?;
    }
    Ok(match settings.engine {
        QueryEngine::Local => None,
        QueryEngine::Athena => Some(EngineClient::Athena(AthenaClient::new(&settings.athena, &settings.store).await?)),
        QueryEngine::Trino => Some(EngineClient::Trino(TrinoClient::new(&settings.trino)?)),
    })
}

/// The values of the first column, one line per row.
async fn lines(answer: &mut EngineAnswer, stop: &CancellationToken) -> anyhow::Result<String> {
    let mut text = String::new();
    loop {
        let next = stop.run_until_cancelled(answer.next()).await.ok_or(QueryError::Cancelled)?;
        let Some(batch) = next.map_err(QueryError::from)? else { return Ok(text) };
        for row in texts(&batch)? {
            text.push_str(row.trim_end());
            text.push('\n');
        }
    }
}

fn texts(batch: &RecordBatch) -> anyhow::Result<Vec<&str>> {
    let column = batch.columns().first().context("read the plan: it has no column")?;
    let column = column.as_string_opt::<i32>().context("read the plan: it is no text")?;
    Ok((0..column.len()).filter(|row| !column.is_null(*row)).map(|row| column.value(row)).collect())
}

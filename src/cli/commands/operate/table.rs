//! `tickhouse table`: lists versions, columns and files of a table.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::cli::args::{GlobalArgs, InspectArgs, InspectCommand, InspectCommon, LakeTable, PastArgs};
use crate::cli::commands::ask::tables::version_of;
use crate::cli::commands::ask::target::output_of;
use crate::cli::commands::operate::rezone;
use crate::cli::settings::Settings;
use crate::lake::{DataFile, Lake, TableCommit, TableView};
use crate::query::{QueryError, ResultOutput, sql_type, write_batch};

/// Runs the command.
///
/// # Errors
/// There is no lake, or its log can't be read.
pub(in crate::cli::commands) async fn run(
    global: &GlobalArgs,
    args: &InspectArgs,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let common = match &args.command {
        InspectCommand::Rezone(args) => return rezone::run(global, args, stop).await,
        InspectCommand::History { common, .. }
        | InspectCommand::Schema { common, .. }
        | InspectCommand::Files { common, .. } => common,
    };
    let (format, _) = output_of(common.format, None)?;
    let listed = async {
        let lake = open(global, common).await?;
        Ok(match &args.command {
            InspectCommand::History { limit, .. } => history(&match common.name {
                LakeTable::Ticks => lake.ticks_history(*limit).await?,
                LakeTable::DeadLetters => lake.dead_letters_history(*limit).await?,
            })?,
            InspectCommand::Schema { past, .. } => {
                let lake = at(lake, past).await?;
                schema(&view(&lake, common)?.schema, lake.market_zone())?
            }
            InspectCommand::Files { past, .. } => files(&view(&at(lake, past).await?, common)?)?,
            InspectCommand::Rezone(_) => anyhow::bail!("rezone lists nothing"),
        })
    };
    let rows: anyhow::Result<RecordBatch> = tokio::select! {
        biased;
        () = stop.cancelled() => Err(QueryError::Cancelled.into()),
        rows = listed => rows,
    };
    write_batch(&rows?, format, chrono_tz::UTC, ResultOutput::to(io::stdout()))?;
    Ok(ExitCode::SUCCESS)
}

async fn open(global: &GlobalArgs, common: &InspectCommon) -> anyhow::Result<Lake> {
    let settings = Settings::resolve(global.config.as_deref(), |layers| common.table.apply(layers))?.settings;
    Lake::open(&settings.location()?, &settings.store).await.context("open the lake")
}

async fn at(lake: Lake, past: &PastArgs) -> anyhow::Result<Lake> {
    Ok(match version_of(past, chrono_tz::UTC)? {
        Some(as_of) => lake.at(as_of).await?,
        None => lake,
    })
}

fn view(lake: &Lake, common: &InspectCommon) -> anyhow::Result<TableView> {
    Ok(match common.name {
        LakeTable::Ticks => lake.ticks()?,
        LakeTable::DeadLetters => lake.dead_letters()?,
    })
}

fn history(commits: &[TableCommit]) -> anyhow::Result<RecordBatch> {
    let number =
        |of: fn(&TableCommit) -> Option<u64>| -> ArrayRef { Arc::new(commits.iter().map(of).collect::<UInt64Array>()) };
    let text = |of: fn(&TableCommit) -> Option<&str>| -> ArrayRef {
        Arc::new(commits.iter().map(of).collect::<StringArray>())
    };
    let times = commits.iter().map(|commit| commit.time.map(|time| time.timestamp_millis()));
    let times: TimestampMillisecondArray = times.collect();
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("version", number(|commit| Some(commit.version)), false),
        ("time", Arc::new(times.with_timezone("UTC")) as ArrayRef, true),
        ("operation", text(|commit| commit.operation.as_deref()), true),
        ("rows_added", number(|commit| commit.rows_added), true),
        ("files_added", number(|commit| Some(commit.files_added)), false),
        ("files_removed", number(|commit| Some(commit.files_removed)), false),
        ("bytes_added", number(|commit| Some(commit.bytes_added)), false),
        ("engine", text(|commit| commit.engine.as_deref()), true),
        ("reason", text(|commit| commit.reason.as_deref()), true),
    ])?)
}

fn schema(schema: &SchemaRef, market_zone: Option<&str>) -> anyhow::Result<RecordBatch> {
    let fields = schema.fields();
    let names: StringArray = fields.iter().map(|field| Some(field.name())).collect();
    let kinds: StringArray = fields.iter().map(|field| Some(sql_type(field.data_type()))).collect();
    let nullable: BooleanArray = fields.iter().map(|field| Some(field.is_nullable())).collect();
    // The partition column comes last. Its values are only in the paths of the files.
    let partition: BooleanArray = (1..=fields.len()).map(|at| Some(at == fields.len())).collect();
    let zone = |field: &FieldRef| match field.data_type() {
        DataType::Timestamp(..) => Some("UTC"),
        DataType::Date32 if field.name().starts_with("trade_") => market_zone,
        DataType::Date32 => Some("UTC"),
        _ => None,
    };
    let zones: StringArray = fields.iter().map(zone).collect();
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("column", Arc::new(names) as ArrayRef, false),
        ("type", Arc::new(kinds), false),
        ("nullable", Arc::new(nullable), false),
        ("partition", Arc::new(partition), false),
        ("zone", Arc::new(zones), true),
    ])?)
}

/// The statistics of a file in the Delta log.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Bounds {
    min_values: Map<String, Value>,
    max_values: Map<String, Value>,
}

fn files(view: &TableView) -> anyhow::Result<RecordBatch> {
    let mut all: Vec<(&DataFile, Bounds)> = Vec::with_capacity(view.files.len());
    for file in &view.files {
        let bounds = file.stats.as_deref().map(serde_json::from_str).transpose();
        all.push((file, bounds.with_context(|| format!("read the statistics of {}", file.path))?.unwrap_or_default()));
    }
    all.sort_by_key(|(file, _)| (file.partition_value, file.path.clone()));
    let number = |of: fn(&DataFile) -> Option<u64>| -> ArrayRef {
        Arc::new(all.iter().map(|(file, _)| of(file)).collect::<UInt64Array>())
    };
    let bound = |column: &str, of: fn(&Bounds) -> &Map<String, Value>| -> ArrayRef {
        let value = |bounds| of(bounds).get(column).and_then(Value::as_str).map(str::to_owned);
        Arc::new(all.iter().map(|(_, bounds)| value(bounds)).collect::<StringArray>())
    };
    let paths: StringArray = all.iter().map(|(file, _)| Some(file.path.to_string())).collect();
    let dates: Date32Array = all.iter().map(|(file, _)| Some(file.partition_value)).collect();
    let mut columns = vec![
        (view.partition_column.clone(), Arc::new(dates) as ArrayRef),
        ("rows".to_owned(), number(|file| file.rows)),
        ("bytes".to_owned(), number(|file| Some(file.bytes))),
    ];
    for column in ["symbol", "ts", "reason"].into_iter().filter(|column| view.schema.index_of(column).is_ok()) {
        columns.push((format!("min_{column}"), bound(column, |bounds| &bounds.min_values)));
        columns.push((format!("max_{column}"), bound(column, |bounds| &bounds.max_values)));
    }
    columns.push(("path".to_owned(), Arc::new(paths)));
    Ok(RecordBatch::try_from_iter(columns)?)
}

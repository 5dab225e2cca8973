//! The destination and format of a result, and how many of its rows a terminal shows.

use std::io::{self, IsTerminal};
use std::path::Path;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{FormatChoice, QueryArgs};
use crate::cli::commands::ask::progress::ProgressLine;
use crate::cli::commands::print::write_stderr;
use crate::lake::{Location, StoreSettings, store_result};
use crate::query::{OutputFormat, QueryError, ResultOutput, TableFit};

/// How a table is fitted to the terminal for a single statement.
pub(in crate::cli::commands) fn fit_of(args: &QueryArgs) -> Option<TableFit> {
    terminal_fit((args.max_rows > 0).then_some(args.max_rows), "--max-rows 0, --format csv or -o FILE show all")
}

/// How a table is fitted to the terminal; `None` if standard output is not a terminal.
pub(in crate::cli::commands) fn terminal_fit(rows: Option<usize>, way_to_all: &'static str) -> Option<TableFit> {
    let (terminal_size::Width(width), _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(TableFit { width: usize::from(width), rows, way_to_all })
}

/// The destination of a result.
pub(in crate::cli::commands) enum Target<'a> {
    Stdout,
    File(&'a Path),
    Object(Location),
}

impl<'a> Target<'a> {
    pub(in crate::cli::commands) fn of(output: Option<&'a Path>) -> Result<Self, QueryError> {
        let Some(path) = output else { return Ok(Self::Stdout) };
        match path.to_str().filter(|text| text.starts_with("s3://") || text.starts_with("s3a://")) {
            Some(target) => object_at(target).map(Self::Object),
            None => Ok(Self::File(path)),
        }
    }

    /// Writes the result to the destination. An object is stored only after `write` has written all of it. On a
    /// terminal, tables are cut to `fit`.
    pub(in crate::cli::commands) async fn fill(
        &self,
        store: &StoreSettings,
        line: &ProgressLine,
        fit: Option<TableFit>,
        stop: &CancellationToken,
        write: impl AsyncFnOnce(ResultOutput) -> Result<u64, QueryError>,
    ) -> anyhow::Result<()> {
        let (rows, name) = match self {
            Self::Stdout => {
                write(ResultOutput::to(line.before_stdout()).fitting(fit)).await?;
                return Ok(());
            }
            Self::File(path) => (write(ResultOutput::to_file(path)?).await?, path.display().to_string()),
            Self::Object(object) => {
                let folder = tempfile::tempdir().context("make a temporary folder")?;
                let file = folder.path().join("result");
                let rows = write(ResultOutput::to_file(&file)?).await?;
                let file = tokio::fs::File::open(&file).await.context("read the result")?;
                if !store_result(object, store, file, stop).await? {
                    return Err(QueryError::Cancelled.into());
                }
                (rows, object.to_string())
            }
        };
        let plural = if rows == 1 { "" } else { "s" };
        write_stderr(&format!("wrote {rows} row{plural} to {name}\n"));
        Ok(())
    }
}

/// The object of the store that receives the result.
fn object_at(target: &str) -> Result<Location, QueryError> {
    let usage = |problem: String| QueryError::Usage(format!("-o {target}: {problem}"));
    match Location::parse(target).map_err(|error| usage(error.to_string()))? {
        Location::S3 { prefix, .. } if prefix.is_empty() || target.ends_with('/') => {
            Err(usage("name an object, as in s3://bucket/results/answer.parquet".to_owned()))
        }
        location => Ok(location),
    }
}

/// The format, and the file if there is one. The path `-` stands for standard output.
pub(in crate::cli::commands) fn output_of(
    format: FormatChoice,
    path: Option<&Path>,
) -> Result<(OutputFormat, Option<&Path>), QueryError> {
    let path = path.filter(|path| path.as_os_str() != "-");
    let terminal = path.is_none() && io::stdout().is_terminal();
    let format = match format {
        FormatChoice::Auto => OutputFormat::auto(path, terminal)?,
        FormatChoice::Is(format) => format,
    };
    if terminal && format.is_binary() {
        return Err(QueryError::Usage("this format is not for a terminal: write it to a file with -o".to_owned()));
    }
    if path.is_some() && format == OutputFormat::Null {
        return Err(QueryError::Usage("the format null writes nothing: leave out -o".to_owned()));
    }
    Ok((format, path))
}

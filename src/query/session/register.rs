//! The user's files as tables alongside those of the lake, to join with.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::prelude::{CsvReadOptions, JsonReadOptions, ParquetReadOptions, SessionContext};

use crate::query::error::QueryError;
use crate::query::named::header::is_name;
use crate::query::session::query_session::QuerySession;
use crate::query::session::tables::TableInfo;
use crate::query::sql::problems::error_text::{first_lines, innermost};
use crate::util::delimiter::delimiter_of;

/// Columns that hold identifiers whatever their values look like, in any case.
const TEXTS: [&str; 14] = [
    "symbol",
    "source",
    "ticker",
    "sym",
    "code",
    "stock_code",
    "security_id",
    "isin",
    "cusip",
    "sedol",
    "figi",
    "ric",
    "wkn",
    "mic",
];
/// A longer line of names is none.
const MAX_HEADER_BYTES: u64 = 1 << 20;
const FORMS: &str = "csv, tsv, json, ndjson, jsonl or parquet";

impl QuerySession {
    /// Makes a file known as a table; its ending selects the format, CSV has a line of names.
    ///
    /// # Errors
    /// The name is taken or no name, the file is missing, or not what its ending says.
    pub async fn register_file(&mut self, name: &str, file: &str) -> Result<(), QueryError> {
        let usage = |problem: String| QueryError::usage(format!("--register {name}={file}: {problem}"));
        if !is_name(name) {
            return Err(usage("a table's name holds a-z, 0-9 and _ only".to_owned()));
        }
        if self.tables().iter().any(|table| table.name == name) {
            return Err(usage(format!("there is a table '{name}' already")));
        }
        let path = std::path::absolute(file).map_err(|error| usage(error.to_string()))?;
        let opened = File::open(&path).map_err(|error| usage(error.to_string()))?;
        if path.is_dir() {
            return Err(usage("it is a folder: name a file".to_owned()));
        }
        let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned()).unwrap_or_default();
        let dotted = format!(".{ending}");
        let place = url::Url::from_file_path(&path).map_err(|()| usage("the path is no URL".to_owned()))?;
        let place = place.as_str();
        let context = self.context();
        let registered = match ending.to_lowercase().as_str() {
            ending @ ("csv" | "tsv") => {
                let delimiter = match ending {
                    "csv" => delimiter_in(&opened).map_err(|error| usage(error.to_string()))?,
                    _ => b'\t',
                };
                let options = CsvReadOptions::new().file_extension(&dotted).delimiter(delimiter);
                register_csv(context, name, place, opened, options).await
            }
            "json" | "ndjson" | "jsonl" => {
                let lines = !is_array(opened).map_err(|error| usage(error.to_string()))?;
                let options = JsonReadOptions::default().file_extension(&dotted).newline_delimited(lines);
                context.register_json(name, place, options).await
            }
            "parquet" => {
                context.register_parquet(name, place, ParquetReadOptions::default().file_extension(&dotted)).await
            }
            _ => return Err(usage(format!("the ending is not that of a known format: use {FORMS}"))),
        };
        registered.map_err(|error| usage(first_lines(innermost(&error))))?;
        let table = context.table_provider(name).await.map_err(QueryError::Session)?;
        if table.schema().fields().is_empty() {
            return Err(usage("it has no columns: the first line of a CSV names them".to_owned()));
        }
        self.add_table(TableInfo { name: name.to_owned(), schema: table.schema(), rows: None, files: 1, times: None });
        Ok(())
    }
}

/// Types are guessed, but identifiers stay text, and so do columns with leading zeros: 005930 is no number.
async fn register_csv(
    context: &SessionContext,
    name: &str,
    place: &str,
    file: File,
    options: CsvReadOptions<'_>,
) -> datafusion::common::Result<()> {
    context.register_csv(name, place, options.clone()).await?;
    let guessed = context.table_provider(name).await?.schema();
    let (schema, delimiter) = (Arc::clone(&guessed), options.delimiter);
    let padded = tokio::task::spawn_blocking(move || padded_columns(file, &schema, delimiter)).await;
    let padded = padded.map_err(|error| DataFusionError::External(error.into()))??;
    let is_text = |at: usize, field: &Field| {
        padded.contains(&at) || TEXTS.iter().any(|text| text.eq_ignore_ascii_case(field.name().trim()))
    };
    let typed = guessed.fields().iter().enumerate().map(|(at, field)| match is_text(at, field) {
        true => Arc::new(Field::clone(field).with_data_type(DataType::Utf8)),
        false => Arc::clone(field),
    });
    let schema = Schema::new(typed.collect::<Vec<_>>());
    context.deregister_table(name)?;
    context.register_csv(name, place, options.schema(&schema)).await
}

/// Positions of the columns that were taken for numbers and hold a value like 0005, anywhere in the file.
fn padded_columns(file: File, guessed: &Schema, delimiter: u8) -> Result<BTreeSet<usize>, ArrowError> {
    let numeric: Vec<usize> =
        (0..guessed.fields().len()).filter(|at| guessed.field(*at).data_type().is_numeric()).collect();
    if numeric.is_empty() {
        return Ok(BTreeSet::new());
    }
    let texts: Vec<Field> =
        guessed.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true)).collect();
    let batches = ReaderBuilder::new(Arc::new(Schema::new(texts)))
        .with_header(true)
        .with_delimiter(delimiter)
        .with_projection(numeric.clone())
        .build(file)?;
    let mut padded = BTreeSet::new();
    for batch in batches {
        let batch = batch?;
        for (at, column) in numeric.iter().zip(batch.columns()) {
            if column.as_string::<i32>().iter().flatten().any(is_padded) {
                padded.insert(*at);
            }
        }
        if padded.len() == numeric.len() {
            break;
        }
    }
    Ok(padded)
}

fn is_padded(text: &str) -> bool {
    let text = text.trim_start_matches(['-', '+']).as_bytes();
    matches!(text, [b'0', b'0'..=b'9', ..])
}

/// What separates the columns of a CSV file, which is left at its beginning.
fn delimiter_in(mut file: &File) -> std::io::Result<u8> {
    let mut header = Vec::new();
    file.take(MAX_HEADER_BYTES).read_to_end(&mut header)?;
    file.rewind()?;
    Ok(delimiter_of(&header))
}

/// One JSON array in place of a value a line.
fn is_array(file: File) -> std::io::Result<bool> {
    for byte in BufReader::new(file).bytes() {
        let byte = byte?;
        if !byte.is_ascii_whitespace() {
            return Ok(byte == b'[');
        }
    }
    Ok(false)
}

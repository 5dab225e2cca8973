//! One encoder a format, each batch written when it comes, so memory stays bounded.

use std::io::Write;

use arrow::csv;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{JsonArray, LineDelimited, Writer as JsonWriter};
use arrow::record_batch::RecordBatch;
use chrono_tz::Tz;
use datafusion::execution::SendableRecordBatchStream;
use futures::{Stream, StreamExt, TryStreamExt};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tokio_util::sync::CancellationToken;

use super::cell::GridStyle;
use super::formats::OutputFormat;
use super::grid::GridWriter;
use super::output::{ResultOutput, Sink};
use super::text::ResultColumns;
use crate::query::error::QueryError;
use crate::query::session::query_session::run_error;

/// Rows of a row group of a Parquet result; held in memory until it is full.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Writes every batch of `stream`; returns the number of rows.
///
/// # Errors
/// The query fails, the output can't be written, `stop` is cancelled. A file is then left as it was.
pub async fn write_all(
    stream: SendableRecordBatchStream,
    format: OutputFormat,
    zone: Tz,
    output: ResultOutput,
    stop: &CancellationToken,
) -> Result<u64, QueryError> {
    let schema = stream.schema();
    write_stream(&schema, stream.map_err(|error| run_error(&error)), format, zone, output, stop).await
}

/// As [`write_all`], for batches that come from elsewhere.
///
/// # Errors
/// As [`write_all`].
pub async fn write_stream<S, E>(
    schema: &SchemaRef,
    mut stream: S,
    format: OutputFormat,
    zone: Tz,
    output: ResultOutput,
    stop: &CancellationToken,
) -> Result<u64, QueryError>
where
    S: Stream<Item = Result<RecordBatch, E>> + Unpin,
    QueryError: From<E>,
{
    let mut writer = ResultWriter::new(format, zone, output, schema)?;
    loop {
        let batch = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(QueryError::Cancelled),
            batch = stream.next() => batch,
        };
        match batch {
            Some(batch) => {
                writer.write(&batch?)?;
                // Rows may come without a wait, so this yields to the task that watches for Ctrl-C.
                tokio::task::yield_now().await;
            }
            None => return writer.finish(),
        }
    }
}

/// Writes rows that are there already.
///
/// # Errors
/// The output can't be written.
pub fn write_batch(
    batch: &RecordBatch,
    format: OutputFormat,
    zone: Tz,
    output: ResultOutput,
) -> Result<u64, QueryError> {
    let mut writer = ResultWriter::new(format, zone, output, &batch.schema())?;
    writer.write(batch)?;
    writer.finish()
}

pub(super) struct ResultWriter {
    encoder: FormatEncoder,
    columns: ResultColumns,
    output: ResultOutput,
    rows: u64,
}

enum FormatEncoder {
    Grid(GridWriter<Sink>),
    Csv(csv::Writer<Sink>),
    Json(JsonWriter<Sink, JsonArray>),
    Ndjson(JsonWriter<Sink, LineDelimited>),
    Parquet(Box<ArrowWriter<Sink>>),
    Arrow(StreamWriter<Sink>),
    Null(Sink),
}

impl ResultWriter {
    pub(super) fn new(
        format: OutputFormat,
        zone: Tz,
        mut output: ResultOutput,
        schema: &SchemaRef,
    ) -> Result<Self, QueryError> {
        let sink = output.sink();
        let columns = ResultColumns::of(schema, zone, format);
        // What a value was decides where it stands in its cell.
        let grid = |sink, style, fit| GridWriter::new(sink, schema, style, fit);
        let schema = columns.schema();
        let encoder = match format {
            OutputFormat::Table => Ok(FormatEncoder::Grid(grid(sink, GridStyle::Table, output.fit()))),
            OutputFormat::Markdown => Ok(FormatEncoder::Grid(grid(sink, GridStyle::Markdown, None))),
            OutputFormat::Csv | OutputFormat::CsvSpreadsheet => {
                let mut writer = csv::WriterBuilder::new().with_header(true).build(sink);
                // The header also when there are no rows.
                writer
                    .write(&RecordBatch::new_empty(std::sync::Arc::clone(schema)))
                    .map(|()| FormatEncoder::Csv(writer))
            }
            OutputFormat::Json => Ok(FormatEncoder::Json(json_options().build(sink))),
            OutputFormat::Ndjson => Ok(FormatEncoder::Ndjson(json_options().build(sink))),
            OutputFormat::Parquet => {
                parquet_writer(sink, schema).map(|writer| FormatEncoder::Parquet(Box::new(writer)))
            }
            OutputFormat::Arrow => StreamWriter::try_new(sink, schema).map(FormatEncoder::Arrow),
            OutputFormat::Null => Ok(FormatEncoder::Null(sink)),
        };
        let encoder = encoder.map_err(|error| output.error(error))?;
        Ok(Self { encoder, columns, output, rows: 0 })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        self.rows += batch.num_rows() as u64;
        let batch = self.columns.apply(batch).map_err(|error| QueryError::Run(error.to_string()))?;
        let written = match &mut self.encoder {
            FormatEncoder::Grid(grid) => grid.write(&batch),
            FormatEncoder::Csv(writer) => writer.write(&batch),
            FormatEncoder::Json(writer) => writer.write(&batch),
            FormatEncoder::Ndjson(writer) => writer.write(&batch),
            FormatEncoder::Parquet(writer) => writer.write(&batch).map_err(ArrowError::from),
            FormatEncoder::Arrow(writer) => writer.write(&batch),
            FormatEncoder::Null(_) => Ok(()),
        };
        written.map_err(|error| self.output.error(error))
    }

    pub(super) fn finish(self) -> Result<u64, QueryError> {
        let Self { encoder, output, rows, .. } = self;
        let finished = match encoder {
            FormatEncoder::Grid(grid) => grid.finish(),
            FormatEncoder::Csv(writer) => flush(writer.into_inner()),
            FormatEncoder::Json(mut writer) => writer.finish().and_then(|()| {
                let mut sink = writer.into_inner();
                sink.write_all(b"\n")?;
                flush(sink)
            }),
            FormatEncoder::Ndjson(mut writer) => writer.finish().and_then(|()| flush(writer.into_inner())),
            FormatEncoder::Parquet(writer) => writer.into_inner().map_err(ArrowError::from).and_then(flush),
            FormatEncoder::Arrow(mut writer) => writer.finish().and_then(|()| writer.into_inner()).and_then(flush),
            FormatEncoder::Null(sink) => flush(sink),
        };
        finished.map_err(|error| output.error(error))?;
        output.finish()?;
        Ok(rows)
    }
}

fn flush(mut sink: Sink) -> Result<(), ArrowError> {
    Ok(sink.flush()?)
}

fn json_options() -> arrow::json::WriterBuilder {
    arrow::json::WriterBuilder::new().with_explicit_nulls(true)
}

fn parquet_writer(sink: Sink, schema: &SchemaRef) -> Result<ArrowWriter<Sink>, ArrowError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    Ok(ArrowWriter::try_new(sink, std::sync::Arc::clone(schema), Some(properties))?)
}

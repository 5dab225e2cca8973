//! CSV and Parquet files: record batches of named columns -> ticks.

use std::fmt;
use std::io::{BufRead, Cursor, Read};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchReader, StringArray};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::columns::{numbers, texts, times};
use super::error::ReplayError;
use super::files::InputFile;
use super::names::ColumnMapping;
use super::settings::ReplaySettings;
use super::time::TimeParser;
use crate::market::Tick;
use crate::util::delimiter::delimiter_of;

const BATCH_ROWS: usize = 4_096;
const MAX_HEADER_BYTES: u64 = 1 << 20;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Values of one batch; a missing column has no rows.
#[derive(Debug, Default)]
struct TickBatch {
    rows: usize,
    symbol: Option<StringArray>,
    ts: Vec<Option<i64>>,
    close: Vec<Option<f64>>,
    open: Vec<Option<f64>>,
    high: Vec<Option<f64>>,
    low: Vec<Option<f64>>,
    volume: Vec<Option<f64>>,
    trade_id: Option<StringArray>,
    source: Option<StringArray>,
}

/// Reads a file batch by batch.
pub(super) struct TableReader {
    name: String,
    batches: Box<dyn RecordBatchReader + Send>,
    mapping: ColumnMapping,
    times: TimeParser,
    report: String,
    batch: TickBatch,
    /// Rows of the batches before the present one, or before the one that is being loaded.
    before: u64,
    /// The present row of the batch is the one before this.
    next: usize,
}

impl fmt::Debug for TableReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableReader").field("name", &self.name).field("before", &self.before).finish_non_exhaustive()
    }
}

impl TableReader {
    pub(super) fn csv(input: &InputFile, settings: &ReplaySettings, times: TimeParser) -> Result<Self, ReplayError> {
        let mut reader = input.text()?;
        let mut line = Vec::new();
        let mut limited = reader.by_ref().take(MAX_HEADER_BYTES);
        limited.read_until(b'\n', &mut line).map_err(|source| input.failed(source))?;
        let wrong = |problem: String| ReplayError::Content { file: input.name.clone(), problem };
        let bytes = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line);
        let (schema, _) = Format::default()
            .with_header(true)
            .with_delimiter(delimiter_of(bytes))
            .infer_schema(Cursor::new(bytes), Some(0))
            .map_err(|error| wrong(format!("its first line names no columns: {error}")))?;
        let header: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let mapping = ColumnMapping::new(&input.name, &settings.columns, settings.input.as_ref(), &header)?;
        let fields: Vec<Field> = header.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
        let batches = ReaderBuilder::new(Arc::new(Schema::new(fields)))
            .with_delimiter(delimiter_of(bytes))
            .with_batch_size(BATCH_ROWS)
            .with_projection(mapping.projection(&header))
            .build_buffered(reader)
            .map_err(|error| wrong(error.to_string()))?;
        let report = mapping.report(&input.name, &header);
        Ok(Self::new(input, Box::new(batches), mapping, times, report))
    }

    pub(super) fn parquet(
        input: &InputFile,
        settings: &ReplaySettings,
        times: TimeParser,
    ) -> Result<Self, ReplayError> {
        let wrong = |problem: String| ReplayError::Content { file: input.name.clone(), problem };
        let file = input.file()?.ok_or(ReplayError::ParquetFromStdin)?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| wrong(error.to_string()))?;
        let header: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        let mapping = ColumnMapping::new(&input.name, &settings.columns, settings.input.as_ref(), &header)?;
        let mask = ProjectionMask::roots(builder.parquet_schema(), mapping.projection(&header));
        let batches = builder
            .with_batch_size(BATCH_ROWS)
            .with_projection(mask)
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        let report = mapping.report(&input.name, &header);
        Ok(Self::new(input, Box::new(batches), mapping, times, report))
    }

    fn new(
        input: &InputFile,
        batches: Box<dyn RecordBatchReader + Send>,
        mapping: ColumnMapping,
        times: TimeParser,
        report: String,
    ) -> Self {
        let name = input.name.clone();
        Self { name, batches, mapping, times, report, batch: TickBatch::default(), before: 0, next: 0 }
    }

    /// Which columns were taken and which were left.
    pub(super) fn report(&self) -> &str {
        &self.report
    }

    /// Moves to the next row; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool, ReplayError> {
        self.next += 1;
        while self.next > self.batch.rows {
            let Some(batch) = self.batches.next() else { return Ok(false) };
            let batch =
                batch.map_err(|error| ReplayError::Content { file: self.name.clone(), problem: error.to_string() })?;
            self.before += self.batch.rows as u64;
            self.batch = self.load(&batch)?;
            self.next = 1;
        }
        Ok(true)
    }

    fn load(&self, batch: &RecordBatch) -> Result<TickBatch, ReplayError> {
        let column = |name: &str| {
            let missing =
                || ReplayError::Content { file: self.name.clone(), problem: format!("column '{name}' is gone") };
            batch.column_by_name(name).ok_or_else(missing)
        };
        let wrong =
            |name: &str, (row, problem): (usize, String)| self.wrong(row, &format!("column '{name}': {problem}"));
        let doubles = |name: &str| numbers(column(name)?).map_err(|error| wrong(name, error));
        let optional = |name: &Option<String>| name.as_deref().map_or(Ok(Vec::new()), doubles);
        let strings = |name: &str| texts(column(name)?).map_err(|error| wrong(name, error));
        let mapping = &self.mapping;
        Ok(TickBatch {
            rows: batch.num_rows(),
            symbol: Some(strings(&mapping.symbol)?),
            ts: times(column(&mapping.ts)?, &self.times).map_err(|error| wrong(&mapping.ts, error))?,
            close: doubles(&mapping.close)?,
            open: optional(&mapping.open)?,
            high: optional(&mapping.high)?,
            low: optional(&mapping.low)?,
            volume: optional(&mapping.volume)?,
            trade_id: mapping.trade_id.as_deref().map(strings).transpose()?,
            source: mapping.source.as_deref().map(strings).transpose()?,
        })
    }

    /// Rows count from 1; the header of a CSV file is none.
    fn wrong(&self, row_of_batch: usize, problem: &str) -> ReplayError {
        let row = self.before + row_of_batch as u64 + 1;
        ReplayError::Row { file: self.name.clone(), row, problem: problem.to_owned() }
    }

    /// The present row.
    pub(super) fn tick(&self) -> Result<Tick<'_>, ReplayError> {
        let (batch, row) = (&self.batch, self.next - 1);
        let required = |name: &str| ReplayError::Row {
            file: self.name.clone(),
            row: self.before + self.next as u64,
            problem: format!("column '{name}' is empty"),
        };
        let double = |values: &[Option<f64>]| values.get(row).copied().flatten();
        Ok(Tick {
            symbol: text_at(&batch.symbol, row).ok_or_else(|| required(&self.mapping.symbol))?,
            ts: batch.ts[row].ok_or_else(|| required(&self.mapping.ts))?,
            open: double(&batch.open),
            high: double(&batch.high),
            low: double(&batch.low),
            close: double(&batch.close).ok_or_else(|| required(&self.mapping.close))?,
            volume: double(&batch.volume),
            trade_id: text_at(&batch.trade_id, row),
            source: text_at(&batch.source, row),
        })
    }
}

fn text_at(array: &Option<StringArray>, row: usize) -> Option<&str> {
    array.as_ref().filter(|array| array.is_valid(row)).map(|array| array.value(row))
}

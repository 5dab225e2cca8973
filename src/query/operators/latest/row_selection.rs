//! The rows of a file that can be among the last of their symbol.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, DictionaryArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::file::metadata::ParquetMetaData;

use super::dictionary::{ColumnPages, parquet_error, texts};
use crate::lake::footer_says_sorted;
use crate::query::operators::rolling::{FileSpan, SYMBOL};

/// Row groups whose symbols are decoded side by side.
const DECODED_AT_ONCE: usize = 2;

/// What was found so far, in files that begin later than those to come.
#[derive(Debug)]
pub(super) struct RowChooser {
    reader: Arc<dyn ParquetFileReaderFactory>,
    /// Rows wanted of each symbol.
    rows: usize,
    /// For each symbol, where files begin that have rows of it, and how many were chosen there.
    found: HashMap<String, Vec<(i64, usize)>>,
}

/// A file whose footer and symbols are known.
pub(super) struct OpenedFile {
    pub span: FileSpan,
    footer: Arc<ParquetMetaData>,
    /// The index of the symbol column.
    symbol: usize,
    /// The symbols of each row group; `None` if only a scan would find them.
    names: Vec<Option<Vec<String>>>,
}

impl OpenedFile {
    /// # Errors
    /// The file can't be read.
    pub(super) async fn of(span: FileSpan, readers: &Arc<dyn ParquetFileReaderFactory>) -> Result<Self> {
        let mut reader = open(readers, &span.file)?;
        let footer = reader.get_metadata(None).await.map_err(parquet_error)?;
        let columns = footer.file_metadata().schema_descr();
        let symbol = columns.columns().iter().position(|column| column.path().string() == SYMBOL);
        let symbol = symbol.ok_or_else(|| exec_datafusion_err!("{} has no column {SYMBOL}", span.path()))?;
        let chunks: Vec<_> = footer.row_groups().iter().map(|group| group.column(symbol)).collect();
        let names = texts(reader.as_mut(), &chunks).await?;
        Ok(Self { span, footer, symbol, names })
    }
}

/// A symbol's consecutive rows in a row group.
type NamedRun = (String, Range<usize>);

impl RowChooser {
    pub(super) fn new(reader: Arc<dyn ParquetFileReaderFactory>, rows: usize) -> Self {
        Self { reader, rows, found: HashMap::new() }
    }

    /// Rows up to this time can't be among the last of the symbol.
    fn is_complete(&self, symbol: &str, last: i64) -> bool {
        let later = self.found.get(symbol).into_iter().flatten().filter(|(first, _)| *first > last);
        later.map(|(_, rows)| rows).sum::<usize>() >= self.rows
    }

    /// `None` where no row of the file matters. Files come in descending order of their last time.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) async fn choose(&mut self, file: &OpenedFile) -> Result<Option<ParquetAccessPlan>> {
        let OpenedFile { span, footer, symbol, names } = file;
        let mut wanted: Vec<bool> = names
            .iter()
            .map(|names| names.as_ref().is_none_or(|names| names.iter().any(|name| !self.is_complete(name, span.last))))
            .collect();
        if !wanted.contains(&true) {
            return Ok(None);
        }
        if footer_says_sorted(footer) {
            self.keep_last_groups(names, footer, span.last, &mut wanted);
            return self.last_of_runs(span, footer, *symbol, &wanted).await.map(Some);
        }
        // Not counted as found: a dictionary may hold more than its rows.
        let access = |wanted| if wanted { RowGroupAccess::Scan } else { RowGroupAccess::Skip };
        Ok(Some(ParquetAccessPlan::new(wanted.into_iter().map(access).collect())))
    }

    /// A symbol's last rows are in the last row group that has it, and in the one before where it begins there.
    fn keep_last_groups(
        &self,
        names: &[Option<Vec<String>>],
        footer: &ParquetMetaData,
        last: i64,
        wanted: &mut [bool],
    ) {
        let mut groups_of: HashMap<&str, usize> = HashMap::new();
        for (group, names) in names.iter().enumerate().rev() {
            let is_large = footer.row_group(group).num_rows() as usize >= self.rows;
            let (Some(names), true) = (names, is_large) else { continue };
            let mut matters = false;
            for name in names.iter().filter(|name| !self.is_complete(name, last)) {
                let groups = groups_of.entry(name).or_default();
                *groups += 1;
                matters |= *groups <= 2;
            }
            wanted[group] = matters;
        }
    }

    /// The rows of a sorted file: those at the end of each symbol's.
    async fn last_of_runs(
        &mut self,
        span: &FileSpan,
        footer: &Arc<ParquetMetaData>,
        symbol: usize,
        wanted: &[bool],
    ) -> Result<ParquetAccessPlan> {
        let groups: Vec<usize> = (0..wanted.len()).filter(|group| wanted[*group]).rev().collect();
        let chunk = |group: &usize| {
            let (start, length) = footer.row_group(*group).column(symbol).byte_range();
            start..start + length
        };
        let mut reader = open(&self.reader, &span.file)?;
        let symbols = ColumnPages::read(reader.as_mut(), groups.iter().map(chunk).collect()).await?;
        let metadata = numbering_symbols(footer)?;
        let mut decoded = stream::iter(groups)
            .map(|group| {
                let (symbols, metadata) = (symbols.clone(), metadata.clone());
                let task = SpawnedTask::spawn(async move { runs(symbols, metadata, group, symbol) });
                async move {
                    task.join_unwind().await.map_err(|error| {
                        exec_datafusion_err!(
                            "decode symbols: \
                    {error}"
                        )
                    })?
                }
            })
            .buffered(DECODED_AT_ONCE);
        let mut access = vec![RowGroupAccess::Skip; wanted.len()];
        let mut in_file: HashMap<String, usize> = HashMap::new();
        while let Some((group, runs)) = decoded.try_next().await? {
            let mut chosen: Vec<Range<usize>> = Vec::new();
            for (name, rows) in runs.into_iter().rev() {
                let is_complete = self.is_complete(&name, span.last);
                let have = in_file.entry(name).or_default();
                let take = rows.len().min(self.rows - (*have).min(self.rows));
                if take > 0 && !is_complete {
                    *have += take;
                    chosen.push(rows.end - take..rows.end);
                }
            }
            chosen.reverse();
            let rows = footer.row_group(group).num_rows() as usize;
            if !chosen.is_empty() {
                let selection = RowSelection::from_consecutive_ranges(chosen.into_iter(), rows);
                access[group] = RowGroupAccess::Selection(selection);
            }
        }
        for (name, rows) in in_file {
            self.found.entry(name).or_default().push((span.first, rows));
        }
        Ok(ParquetAccessPlan::new(access))
    }
}

fn open(factory: &Arc<dyn ParquetFileReaderFactory>, file: &PartitionedFile) -> Result<Box<dyn AsyncFileReader>> {
    let metrics = ExecutionPlanMetricsSet::new();
    Ok(factory.create_reader(0, file.clone(), file.metadata_size_hint, &metrics)?)
}

/// Reads symbols as numbers of their dictionary, which are enough to separate runs.
fn numbering_symbols(footer: &Arc<ParquetMetaData>) -> Result<ArrowReaderMetadata> {
    let plain = ArrowReaderMetadata::try_new(Arc::clone(footer), ArrowReaderOptions::new()).map_err(parquet_error)?;
    let fields = plain.schema().fields().iter().map(|field| match field.name() == SYMBOL {
        true => Arc::new(
            Field::clone(field)
                .with_data_type(DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))),
        ),
        false => Arc::clone(field),
    });
    let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), plain.schema().metadata().clone());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    ArrowReaderMetadata::try_new(Arc::clone(footer), options).map_err(parquet_error)
}

/// The runs of symbols in a row group.
fn runs(
    symbols: ColumnPages,
    metadata: ArrowReaderMetadata,
    group: usize,
    symbol: usize,
) -> Result<(usize, Vec<NamedRun>)> {
    let rows = metadata.metadata().row_group(group).num_rows() as usize;
    let mask = ProjectionMask::leaves(metadata.parquet_schema(), [symbol]);
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(symbols, metadata);
    let batches = builder.with_projection(mask).with_row_groups(vec![group]).with_batch_size(rows).build();
    let (mut runs, mut start): (Vec<NamedRun>, usize) = (Vec::new(), 0);
    for batch in batches.map_err(parquet_error)? {
        let batch = batch?;
        let column: &DictionaryArray<Int32Type> = batch.column(0).as_dictionary();
        let (keys, values) = (column.keys().values(), column.values().as_string::<i32>());
        if column.null_count() > 0 {
            return Err(exec_datafusion_err!("a symbol is NULL"));
        }
        for same in keys.chunk_by(|one, other| one == other) {
            let (name, end) = (values.value(same[0] as usize), start + same.len());
            match runs.last_mut() {
                Some((last, rows)) if last == name => rows.end = end,
                _ => runs.push((name.to_owned(), start..end)),
            }
            start = end;
        }
    }
    Ok((group, runs))
}

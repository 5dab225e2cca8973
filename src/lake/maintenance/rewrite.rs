//! Some files of a date become others with the same rows.
//!
//! ```text
//!  files ── a batch of each ──> Merge (which rows come next) ──> Output per stretch of time ──> multipart upload
//! ```
//!
//! Memory is bounded in bytes by [`Memory`], whatever the sizes of files and rows: of inputs that are open at once, of
//! rows that wait to be encoded, and of row groups that wait to be written.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::compute::{cast, concat_batches, interleave_record_batch};
use arrow::datatypes::{FieldRef, Schema, SchemaRef, TimestampMicrosecondType};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use futures::future::try_join_all;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{AsyncArrowWriter, ParquetRecordBatchStreamBuilder, async_reader::ParquetRecordBatchStream};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use tokio_util::sync::CancellationToken;

use super::memory::{Memory, held, largest_row_group};
use super::merge::{Merge, MergeError, Step};
use super::statistics::FileStatistics;
use crate::lake::{
    DataFile, FileError, LakeError, NewFile, StoredFile, TableView, batch_rows, footer_says_sorted, new_data_path,
    ticks_properties, zstd_properties,
};

/// Rows that are decoded at once, of each input; fewer where they are large.
const BATCH_ROWS: usize = 4 * 1024;
/// Rows that are encoded at once.
const WRITE_ROWS: usize = 16 * 1024;
/// Runs this short are copied row by row.
const SHORT_RUN: usize = 8;
/// Decoded bytes at which a row group ends, however well they compress: readers decode whole batches of rows.
pub(super) const ROW_GROUP_DECODED: usize = 64 << 20;
/// Parts of an upload: S3 takes 10,000 of them, from 5 MiB on.
const PART_BYTES: usize = 5 << 20;
/// Parts of one file on their way: one while the next is filled.
const PARTS_AT_ONCE: usize = 2;

/// Why files are not rewritten. The table is as it was; what was uploaded is an orphan at most.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Written by another program, in no order that is known; readers read it, and it stays as it is.
    #[error("{0} is not in the order of ticks: another program wrote it")]
    Foreign(Path),
    /// Written by another program or under a larger memory limit; readers read it, and it stays as it is.
    #[error("{path} has a row group of {bytes} bytes, more than the memory of a compaction ({memory} bytes)")]
    RowGroup { path: Path, bytes: u64, memory: u64 },
    #[error("{path}: {detail}; tickhouse verify tells more")]
    Damaged { path: Path, detail: String },
    #[error("{path}: {cause}")]
    Merge { path: Path, cause: MergeError },
    #[error("write {path}: {detail}")]
    Write { path: String, detail: String },
    #[error("stopped")]
    Stopped,
}

/// How the rows of a table follow each other in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By symbol and time, as [`SORT_ORDER`] has it.
    Ticks,
    /// File after file, as they came.
    AsTheyCame,
}

/// What is to be made of which files.
pub(super) struct Rewrite<'a> {
    pub view: &'a TableView,
    pub files: &'a [DataFile],
    /// Of all of them; days since 1970-01-01.
    pub partition_value: i32,
    /// See [`super::plan::Job::cuts`]; for ticks alone.
    pub cuts: &'a [i64],
    pub order: Order,
    /// Names of the columns that statistics are kept of, with commas.
    pub statistics: &'a str,
    pub memory: Memory,
}

/// A file whose footer was read.
pub(super) struct Opened {
    path: Path,
    stored: StoredFile,
    builder: ParquetRecordBatchStreamBuilder<StoredFile>,
}

struct Source {
    path: Path,
    file: StoredFile,
    stream: ParquetRecordBatchStream<StoredFile>,
    /// The batch that is being merged.
    batch: RecordBatch,
}

impl Rewrite<'_> {
    /// Opens the files, or as many of the first ones as the memory is enough for.
    ///
    /// # Errors
    /// A file can't be read, isn't what its footer says, or has a row group that is too large.
    pub(super) async fn open(&self) -> Result<Vec<Opened>, RewriteError> {
        let mut opened = try_join_all(self.files.iter().map(|file| self.open_file(file))).await?;
        let memory = self.memory.largest_row_group();
        for Opened { path, builder, .. } in &opened {
            let bytes = largest_row_group(builder.metadata());
            if bytes > memory {
                return Err(RewriteError::RowGroup { path: path.clone(), bytes, memory });
            }
        }
        if self.order == Order::Ticks {
            opened.truncate(self.memory.inputs(opened.iter().map(|opened| held(opened.builder.metadata()))));
        }
        Ok(opened)
    }

    /// Stores the new files of those that were opened; nothing names them yet.
    ///
    /// # Errors
    /// A file can't be read, isn't what its footer says, or the store can't be written.
    pub(super) async fn run(
        &self,
        opened: Vec<Opened>,
        stop: &CancellationToken,
    ) -> Result<Vec<NewFile>, RewriteError> {
        let schema = schema_of_files(self.view);
        let sources = opened.into_iter().map(|opened| Source::new(opened, &schema));
        let mut sources = sources.collect::<Result<Vec<_>, _>>()?;
        let row_group = self.memory.row_group(self.cuts.len() + 1);
        let output = |_| Output::new(&schema, self.statistics, row_group);
        let mut outputs: Vec<Output> = (0..=self.cuts.len()).map(output).collect();
        let result = match self.order {
            Order::Ticks => self.merge(&schema, &mut sources, &mut outputs, stop).await,
            Order::AsTheyCame => self.append(&schema, &mut sources, &mut outputs[0], stop).await,
        };
        let mut files = Vec::new();
        for output in outputs {
            match &result {
                Ok(()) => files.extend(output.finish(self).await?),
                Err(_) => output.abort().await,
            }
        }
        result.map(|()| files)
    }

    async fn open_file(&self, file: &DataFile) -> Result<Opened, RewriteError> {
        let stored = whole_file(self.view, file).await?;
        let built = ParquetRecordBatchStreamBuilder::new(stored.clone()).await;
        let builder = built.map_err(|error| read_error(&stored, &file.path, error))?;
        let footer = builder.metadata();
        if self.order == Order::Ticks && !footer_says_sorted(footer) {
            return Err(RewriteError::Foreign(file.path.clone()));
        }
        let rows = footer.file_metadata().num_rows();
        if u64::try_from(rows).ok() != file.rows {
            let detail = format!("it has {rows} rows, the log says {}", file.rows.unwrap_or(0));
            return Err(RewriteError::Damaged { path: file.path.clone(), detail });
        }
        Ok(Opened { path: file.path.clone(), stored, builder })
    }

    async fn merge(
        &self,
        schema: &SchemaRef,
        sources: &mut [Source],
        outputs: &mut [Output],
        stop: &CancellationToken,
    ) -> Result<(), RewriteError> {
        let mut merge = Merge::new(sources.len());
        let mut unencoded = 0;
        let failed = |source: &Source, cause| RewriteError::Merge { path: source.path.clone(), cause };
        loop {
            match merge.step().map_err(|(input, cause)| failed(&sources[input], cause))? {
                Step::Done => return Ok(()),
                Step::Wanted(input) => {
                    if stop.is_cancelled() {
                        return Err(RewriteError::Stopped);
                    }
                    let source = &mut sources[input];
                    let batch = source.next(schema).await?;
                    merge.give(input, batch.as_ref()).map_err(|cause| failed(source, cause))?;
                    // Outputs keep batches for as long as a single row of them waits.
                    unencoded += batch.as_ref().map_or(0, RecordBatch::get_array_memory_size);
                    if unencoded >= self.memory.unencoded() {
                        unencoded = 0;
                        for output in &mut *outputs {
                            output.encode(self).await?;
                        }
                    }
                    source.batch = batch.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(schema)));
                }
                Step::Run(input, rows) => {
                    let batch = &sources[input].batch;
                    for (output, rows) in self.shares(batch, rows) {
                        outputs[output].push(self, batch, rows).await?;
                    }
                }
            }
        }
    }

    /// Which rows go into which output.
    fn shares(&self, batch: &RecordBatch, rows: Range<usize>) -> Vec<(usize, Range<usize>)> {
        let times = batch.column_by_name("ts").filter(|_| !self.cuts.is_empty());
        let Some(times) = times else { return vec![(0, rows)] };
        let times = times.as_primitive::<TimestampMicrosecondType>().values();
        let output = |row: usize| self.cuts.partition_point(|cut| *cut <= times[row]);
        let mut shares = Vec::new();
        let mut start = rows.start;
        while start < rows.end {
            let of = output(start);
            let end = (start + 1..rows.end).find(|row| output(*row) != of).unwrap_or(rows.end);
            shares.push((of, start..end));
            start = end;
        }
        shares
    }

    async fn append(
        &self,
        schema: &SchemaRef,
        sources: &mut [Source],
        output: &mut Output,
        stop: &CancellationToken,
    ) -> Result<(), RewriteError> {
        let mut unencoded = 0;
        for source in sources {
            while let Some(batch) = source.next(schema).await? {
                if stop.is_cancelled() {
                    return Err(RewriteError::Stopped);
                }
                output.push(self, &batch, 0..batch.num_rows()).await?;
                unencoded += batch.get_array_memory_size();
                if unencoded >= self.memory.unencoded() {
                    unencoded = 0;
                    output.encode(self).await?;
                }
            }
        }
        Ok(())
    }

    fn properties(&self) -> WriterProperties {
        match self.order {
            Order::Ticks => ticks_properties(),
            Order::AsTheyCame => zstd_properties(),
        }
    }
}

impl Source {
    fn new(opened: Opened, schema: &SchemaRef) -> Result<Self, RewriteError> {
        let Opened { path, stored: file, builder } = opened;
        let at_once = batch_rows(builder.metadata(), BATCH_ROWS);
        let stream = builder.with_batch_size(at_once).build().map_err(|error| read_error(&file, &path, error))?;
        Ok(Self { path, file, stream, batch: RecordBatch::new_empty(Arc::clone(schema)) })
    }

    async fn next(&mut self, schema: &SchemaRef) -> Result<Option<RecordBatch>, RewriteError> {
        let read = self.stream.try_next().await;
        let batch = read.map_err(|error| read_error(&self.file, &self.path, error))?;
        let fitted = batch.map(|batch| fitted(&batch, schema)).transpose();
        fitted.map_err(|detail| RewriteError::Damaged { path: self.path.clone(), detail })
    }
}

/// Columns of the files: all of the table but the one that is in the path.
pub(super) fn schema_of_files(view: &TableView) -> SchemaRef {
    let in_file = |field: &&FieldRef| *field.name() != view.partition_column;
    Arc::new(Schema::new(view.schema.fields().iter().filter(in_file).cloned().collect::<Vec<_>>()))
}

/// # Errors
/// It is not there, or has another size than the log says.
pub(super) async fn whole_file(view: &TableView, file: &DataFile) -> Result<StoredFile, RewriteError> {
    let stored = view.stored(file);
    let size = stored.size().await?;
    if size == Some(file.bytes) {
        return Ok(stored);
    }
    let size = size.map_or_else(|| "it is not in the store".to_owned(), |size| format!("{size} bytes are there"));
    let detail = format!("{size}, the log says {}", file.bytes);
    Err(RewriteError::Damaged { path: file.path.clone(), detail })
}

pub(super) fn read_error(file: &StoredFile, path: &Path, error: ParquetError) -> RewriteError {
    match file.error(error) {
        FileError::Store(error) => RewriteError::Lake(error),
        FileError::Missing => RewriteError::Damaged { path: path.clone(), detail: "it is not in the store".to_owned() },
        FileError::Damaged(detail) => RewriteError::Damaged { path: path.clone(), detail },
    }
}

/// The columns of the table; those that the file is older than are NULL.
pub(super) fn fitted(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let column = |field: &FieldRef| -> Result<ArrayRef, String> {
        let Some(column) = batch.column_by_name(field.name()) else {
            return match field.is_nullable() {
                true => Ok(new_null_array(field.data_type(), batch.num_rows())),
                false => Err(format!("it has no column {}", field.name())),
            };
        };
        match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            false => cast(column, field.data_type()).map_err(|error| error.to_string()),
        }
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| error.to_string())
}

/// A file that is being written.
struct Output {
    schema: SchemaRef,
    statistics: FileStatistics,
    /// Rows that are not encoded yet.
    pieces: Vec<(RecordBatch, Range<usize>)>,
    rows: usize,
    /// Encoded bytes at which a row group ends, where rows don't end it before.
    row_group: usize,
    /// Decoded bytes of the row group so far.
    decoded: usize,
    /// From the first row on.
    upload: Option<(String, AsyncArrowWriter<BufWriter>)>,
    begun: DateTime<Utc>,
}

impl Output {
    fn new(schema: &SchemaRef, statistics: &str, row_group: usize) -> Self {
        Self {
            schema: Arc::clone(schema),
            statistics: FileStatistics::new(schema, statistics),
            pieces: Vec::new(),
            rows: 0,
            row_group,
            decoded: 0,
            upload: None,
            begun: Utc::now(),
        }
    }

    async fn push(
        &mut self,
        rewrite: &Rewrite<'_>,
        batch: &RecordBatch,
        rows: Range<usize>,
    ) -> Result<(), RewriteError> {
        self.rows += rows.len();
        self.pieces.push((batch.clone(), rows));
        // Of large rows a batch has few.
        if self.rows >= WRITE_ROWS || self.pieces.len() >= WRITE_ROWS { self.encode(rewrite).await } else { Ok(()) }
    }

    async fn encode(&mut self, rewrite: &Rewrite<'_>) -> Result<(), RewriteError> {
        if self.pieces.is_empty() {
            return Ok(());
        }
        let (path, writer) = match &mut self.upload {
            Some(upload) => upload,
            None => {
                let column = &rewrite.view.partition_column;
                let path = new_data_path(column, rewrite.partition_value)
                    .map_err(|error| RewriteError::Write { path: column.clone(), detail: error.to_string() })?;
                let failed =
                    |error: ParquetError| RewriteError::Write { path: path.clone(), detail: error.to_string() };
                let store: Arc<dyn ObjectStore> = Arc::clone(&rewrite.view.store);
                let upload = BufWriter::with_capacity(store, Path::from(path.as_str()), PART_BYTES)
                    .with_max_concurrency(PARTS_AT_ONCE);
                let options = ArrowWriterOptions::new().with_properties(rewrite.properties());
                let options = options.with_skip_arrow_metadata(rewrite.order == Order::Ticks);
                let writer = AsyncArrowWriter::try_new_with_options(upload, Arc::clone(&self.schema), options);
                let writer = writer.map_err(failed)?;
                self.upload.insert((path, writer))
            }
        };
        let failed = |error: ParquetError| RewriteError::Write { path: path.clone(), detail: error.to_string() };
        let pieces = std::mem::take(&mut self.pieces);
        let batch = assemble(&self.schema, &pieces, self.rows).map_err(|error| failed(error.into()))?;
        self.rows = 0;
        self.statistics.add(&batch);
        let bytes = batch.get_array_memory_size();
        writer.write(&batch).await.map_err(failed)?;
        self.decoded = if writer.in_progress_rows() == 0 { 0 } else { self.decoded + bytes };
        if writer.in_progress_size() >= self.row_group || self.decoded >= ROW_GROUP_DECODED {
            self.decoded = 0;
            writer.flush().await.map_err(failed)?;
        }
        Ok(())
    }

    /// `None` where no row came.
    async fn finish(mut self, rewrite: &Rewrite<'_>) -> Result<Option<NewFile>, RewriteError> {
        self.encode(rewrite).await?;
        let Some((path, mut writer)) = self.upload else { return Ok(None) };
        let finished = writer.finish().await;
        finished.map_err(|error| RewriteError::Write { path: path.clone(), detail: error.to_string() })?;
        Ok(Some(NewFile {
            bytes: writer.bytes_written() as i64,
            rows: self.statistics.rows as i64,
            partition_value: rewrite.partition_value,
            stats: self.statistics.to_json(),
            made: self.begun,
            path,
        }))
    }

    /// What was sent so far is dropped by the store; if it can't be told, it stays until the store forgets it.
    async fn abort(self) {
        let Some((path, writer)) = self.upload else { return };
        if let Err(error) = writer.into_inner().abort().await {
            tracing::debug!(path, %error, "an unfinished upload stays behind");
        }
    }
}

fn assemble(
    schema: &SchemaRef,
    pieces: &[(RecordBatch, Range<usize>)],
    rows: usize,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    if let [(batch, range)] = pieces {
        return Ok(batch.slice(range.start, range.len()));
    }
    if rows >= pieces.len() * SHORT_RUN {
        let slices: Vec<RecordBatch> =
            pieces.iter().map(|(batch, range)| batch.slice(range.start, range.len())).collect();
        return concat_batches(schema, &slices);
    }
    let mut batches: Vec<&RecordBatch> = Vec::new();
    let mut places: Vec<(usize, usize)> = Vec::with_capacity(rows);
    for (batch, range) in pieces {
        let is_same = |other: &&RecordBatch| Arc::ptr_eq(other.column(0), batch.column(0));
        let at = batches.iter().position(is_same).unwrap_or_else(|| {
            batches.push(batch);
            batches.len() - 1
        });
        places.extend(range.clone().map(|row| (at, row)));
    }
    interleave_record_batch(&batches, &places)
}

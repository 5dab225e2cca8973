//! Rewrites some files of a date into others with the same rows.
//!
//! ```text
//!  files ── a batch of each ──> Merge (which rows come next) ──> Output per time range ──> multipart upload
//! ```
//!
//! Memory is bounded in bytes by [`CompactionMemory`], whatever the sizes of files and rows: of inputs that are open at
//! once, of rows that wait to be encoded, and of row groups that wait to be written.

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

use super::memory::{CompactionMemory, bytes_while_read, largest_row_group};
use super::merge::{Merge, MergeError, MergeStep};
use super::statistics::FileStatistics;
use crate::lake::{
    DataFile, FileError, LakeError, NewFile, StoredFile, TableView, batch_rows, footer_says_sorted, new_data_path,
    ticks_properties, zstd_properties,
};

/// Rows of each input that are decoded at once; fewer if rows are large.
const BATCH_ROWS: usize = 4 * 1024;
/// Rows that are encoded at once.
const WRITE_ROWS: usize = 16 * 1024;
/// Runs this short are copied row by row.
const SHORT_RUN: usize = 8;
/// Decoded bytes at which a row group ends, however well it compresses, because readers decode complete batches of
/// rows.
pub(super) const ROW_GROUP_DECODED: usize = 64 << 20;
/// Size of a part of an upload: S3 accepts 10,000 parts of at least 5 MiB.
const PART_BYTES: usize = 5 << 20;
/// Concurrent uploads of parts of one file: one is sent while the next is filled.
const PARTS_AT_ONCE: usize = 2;

/// Why files are not rewritten. The table is unchanged; uploaded files are orphans.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Another program wrote the file in an unknown order. It is readable and stays as it is.
    #[error("{0} is not in the order of ticks: another program wrote it")]
    Foreign(Path),
    /// Another program, or a run with a larger memory limit, wrote the file. It is readable and stays as it is.
    #[error("{path} has a row group of {bytes} bytes, more than the memory of a compaction ({memory} bytes)")]
    RowGroup { path: Path, bytes: u64, memory: u64 },
    #[error("{path}: {detail}; run `tickhouse verify` for details")]
    Damaged { path: Path, detail: String },
    #[error("{path}: {cause}")]
    Merge { path: Path, cause: MergeError },
    #[error("write {path}: {detail}")]
    Write { path: String, detail: String },
    #[error("stopped")]
    Stopped,
}

/// Order of the rows in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowOrder {
    /// By symbol and time, as in [`SORT_ORDER`].
    Ticks,
    /// The files one after the other, each in its own order.
    AsStored,
}

/// A rewrite of some files of one partition.
pub(super) struct Rewrite<'a> {
    pub view: &'a TableView,
    pub files: &'a [DataFile],
    /// Partition value of all the files; days since 1970-01-01.
    pub partition_value: i32,
    /// See [`super::plan::CompactionJob::cuts`]; only ticks have cuts.
    pub cuts: &'a [i64],
    pub order: RowOrder,
    /// Comma-separated names of the columns with statistics.
    pub statistics: &'a str,
    pub memory: CompactionMemory,
}

/// A file whose footer was read.
pub(super) struct OpenedFile {
    path: Path,
    stored: StoredFile,
    builder: ParquetRecordBatchStreamBuilder<StoredFile>,
}

struct RewriteInput {
    path: Path,
    file: StoredFile,
    stream: ParquetRecordBatchStream<StoredFile>,
    /// The current batch.
    batch: RecordBatch,
}

impl Rewrite<'_> {
    /// Opens the files, or as many of the first ones as fit into the memory.
    ///
    /// # Errors
    /// A file can't be read, contradicts its footer, or has a row group that is too large.
    pub(super) async fn open(&self) -> Result<Vec<OpenedFile>, RewriteError> {
        let mut opened = try_join_all(self.files.iter().map(|file| self.open_file(file))).await?;
        let memory = self.memory.largest_row_group();
        for OpenedFile { path, builder, .. } in &opened {
            let bytes = largest_row_group(builder.metadata());
            if bytes > memory {
                return Err(RewriteError::RowGroup { path: path.clone(), bytes, memory });
            }
        }
        if self.order == RowOrder::Ticks {
            opened
                .truncate(self.memory.inputs(opened.iter().map(|opened| bytes_while_read(opened.builder.metadata()))));
        }
        Ok(opened)
    }

    /// Writes the new files from the opened ones; nothing references them yet.
    ///
    /// # Errors
    /// A file can't be read or contradicts its footer, or the store can't be written.
    pub(super) async fn run(
        &self,
        opened: Vec<OpenedFile>,
        stop: &CancellationToken,
    ) -> Result<Vec<NewFile>, RewriteError> {
        let schema = schema_of_files(self.view);
        let sources = opened.into_iter().map(|opened| RewriteInput::new(opened, &schema));
        let mut sources = sources.collect::<Result<Vec<_>, _>>()?;
        let row_group = self.memory.row_group(self.cuts.len() + 1);
        let output = |_| RewriteOutput::new(&schema, self.statistics, row_group);
        let mut outputs: Vec<RewriteOutput> = (0..=self.cuts.len()).map(output).collect();
        let result = match self.order {
            RowOrder::Ticks => self.merge(&schema, &mut sources, &mut outputs, stop).await,
            RowOrder::AsStored => self.append(&schema, &mut sources, &mut outputs[0], stop).await,
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

    async fn open_file(&self, file: &DataFile) -> Result<OpenedFile, RewriteError> {
        let stored = require_complete_file(self.view, file).await?;
        let built = ParquetRecordBatchStreamBuilder::new(stored.clone()).await;
        let builder = built.map_err(|error| read_error(&stored, &file.path, error))?;
        let footer = builder.metadata();
        if self.order == RowOrder::Ticks && !footer_says_sorted(footer) {
            return Err(RewriteError::Foreign(file.path.clone()));
        }
        let rows = footer.file_metadata().num_rows();
        if u64::try_from(rows).ok() != file.rows {
            let detail = format!("it has {rows} rows, the log says {}", file.rows.unwrap_or(0));
            return Err(RewriteError::Damaged { path: file.path.clone(), detail });
        }
        Ok(OpenedFile { path: file.path.clone(), stored, builder })
    }

    async fn merge(
        &self,
        schema: &SchemaRef,
        sources: &mut [RewriteInput],
        outputs: &mut [RewriteOutput],
        stop: &CancellationToken,
    ) -> Result<(), RewriteError> {
        let mut merge = Merge::new(sources.len());
        let mut unencoded = 0;
        let failed = |source: &RewriteInput, cause| RewriteError::Merge { path: source.path.clone(), cause };
        loop {
            match merge.step().map_err(|(input, cause)| failed(&sources[input], cause))? {
                MergeStep::Done => return Ok(()),
                MergeStep::Wanted(input) => {
                    if stop.is_cancelled() {
                        return Err(RewriteError::Stopped);
                    }
                    let source = &mut sources[input];
                    let batch = source.next(schema).await?;
                    merge.give(input, batch.as_ref()).map_err(|cause| failed(source, cause))?;
                    // Outputs keep a batch in memory until its last row is encoded.
                    unencoded += batch.as_ref().map_or(0, RecordBatch::get_array_memory_size);
                    if unencoded >= self.memory.unencoded() {
                        unencoded = 0;
                        for output in &mut *outputs {
                            output.encode(self).await?;
                        }
                    }
                    source.batch = batch.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(schema)));
                }
                MergeStep::Run(input, rows) => {
                    let batch = &sources[input].batch;
                    for (output, rows) in self.shares(batch, rows) {
                        outputs[output].push(self, batch, rows).await?;
                    }
                }
            }
        }
    }

    /// Splits rows between the outputs.
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
        sources: &mut [RewriteInput],
        output: &mut RewriteOutput,
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
            RowOrder::Ticks => ticks_properties(),
            RowOrder::AsStored => zstd_properties(),
        }
    }
}

impl RewriteInput {
    fn new(opened: OpenedFile, schema: &SchemaRef) -> Result<Self, RewriteError> {
        let OpenedFile { path, stored: file, builder } = opened;
        let at_once = batch_rows(builder.metadata(), BATCH_ROWS);
        let stream = builder.with_batch_size(at_once).build().map_err(|error| read_error(&file, &path, error))?;
        Ok(Self { path, file, stream, batch: RecordBatch::new_empty(Arc::clone(schema)) })
    }

    async fn next(&mut self, schema: &SchemaRef) -> Result<Option<RecordBatch>, RewriteError> {
        let read = self.stream.try_next().await;
        let batch = read.map_err(|error| read_error(&self.file, &self.path, error))?;
        let fitted = batch.map(|batch| conform_to_schema(&batch, schema)).transpose();
        fitted.map_err(|detail| RewriteError::Damaged { path: self.path.clone(), detail })
    }
}

/// Columns of the files: all columns of the table except for the partition column, which is in the path.
pub(super) fn schema_of_files(view: &TableView) -> SchemaRef {
    let in_file = |field: &&FieldRef| *field.name() != view.partition_column;
    Arc::new(Schema::new(view.schema.fields().iter().filter(in_file).cloned().collect::<Vec<_>>()))
}

/// # Errors
/// The file doesn't exist, or its size differs from that in the log.
pub(super) async fn require_complete_file(view: &TableView, file: &DataFile) -> Result<StoredFile, RewriteError> {
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

/// The columns of the table; columns that were added after the file was written are NULL.
pub(super) fn conform_to_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, String> {
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
struct RewriteOutput {
    schema: SchemaRef,
    statistics: FileStatistics,
    /// Rows that are not encoded yet.
    pieces: Vec<(RecordBatch, Range<usize>)>,
    rows: usize,
    /// Encoded bytes at which a row group ends, unless the row limit ends it before.
    row_group: usize,
    /// Decoded bytes of the row group so far.
    decoded: usize,
    /// `None` until the first row.
    upload: Option<(String, AsyncArrowWriter<BufWriter>)>,
    begun: DateTime<Utc>,
}

impl RewriteOutput {
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
        // A batch has only few large rows, so the pieces are counted as well.
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
                let options = options.with_skip_arrow_metadata(rewrite.order == RowOrder::Ticks);
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

    /// The new file; `None` if it has no rows.
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

    /// Aborts the upload. If the store can't be reached, the parts stay until the store expires them.
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
    let mut indices: Vec<(usize, usize)> = Vec::with_capacity(rows);
    for (batch, range) in pieces {
        let is_same = |other: &&RecordBatch| Arc::ptr_eq(other.column(0), batch.column(0));
        let at = batches.iter().position(is_same).unwrap_or_else(|| {
            batches.push(batch);
            batches.len() - 1
        });
        indices.extend(range.clone().map(|row| (at, row)));
    }
    interleave_record_batch(&batches, &indices)
}

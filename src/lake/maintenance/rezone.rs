//! Rewrites the trade dates of a table to another market zone.
//!
//! ```text
//!  each file with rows of another date ── batch ──> a writer for each new date ──> one commit: all removed, all added
//! ```
//!
//! Memory is bounded by one batch and one row group for each new date of a file, whatever the table's size. Files whose
//! rows keep their date are not rewritten. The table has the old zone until the commit, and the new one from then on.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Date32Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{AsyncArrowWriter, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use tokio_util::sync::CancellationToken;

use super::rewrite::{
    ROW_GROUP_DECODED, RewriteError, conform_to_schema, read_error, require_complete_file, schema_of_files,
};
use super::statistics::{FileStatistics, times_of};
use crate::lake::{
    DataFile, MaintainedTable, NewFile, ReplaceOutcome, Replacement, RetryPolicy, TableView, batch_rows,
    footer_says_sorted, new_data_path, ticks_properties, zstd_properties,
};
use crate::market::{MarketZone, PartitionBy};

const TRADE_DATE: &str = "trade_date";
/// Rows that are decoded at once; fewer if they are large.
const BATCH_ROWS: usize = 4 * 1024;
/// Encoded bytes at which a row group ends, unless the row limit ends it before.
const ROW_GROUP_BYTES: usize = 8 << 20;
/// Parts of an upload.
const PART_BYTES: usize = 5 << 20;
/// Delta writers may cut times of statistics to milliseconds.
const CUT_MICROS: i64 = 999;

/// What was rewritten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RezoneStats {
    /// Number of files that were rewritten, and of the files that replace them.
    pub files_before: u64,
    pub files_after: u64,
    pub bytes_before: u64,
    pub rows: u64,
    /// Rows whose date changed.
    pub moved: u64,
}

/// What became of it.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RezoneOutcome {
    Done(RezoneStats),
    /// Another writer committed meanwhile: the table is unchanged.
    Conflict,
}

/// A change of the market zone of a table.
pub struct Rezone<'a> {
    pub table: &'a mut MaintainedTable,
    pub zone: chrono_tz::Tz,
}

impl Rezone<'_> {
    /// Files that have, or may have, rows of another date.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn files(&self) -> Result<Vec<DataFile>, RewriteError> {
        let view = self.table.files()?;
        let mut zone = MarketZone::new(self.zone);
        Ok(view.files.iter().filter(|file| !keeps_its_date(&view, file, &mut zone)).cloned().collect())
    }

    /// Rewrites these files and commits them together with the zone. `progress` is called after each file.
    ///
    /// # Errors
    /// The store can't be read or written, or a file is damaged: the table is unchanged.
    pub async fn run(
        self,
        retry: &RetryPolicy,
        stop: &CancellationToken,
        mut progress: impl FnMut(&RezoneStats),
    ) -> Result<RezoneOutcome, RewriteError> {
        let base = self.table.maintenance_base().await?;
        let view = self.table.files()?;
        let removed = self.files()?;
        let statistics = self.table.property("delta.dataSkippingStatsColumns").unwrap_or_default().to_owned();
        let mut rewriter = RezoneRewriter {
            view: &view,
            schema: schema_of_files(&view),
            by: PartitionBy::of_column(&view.partition_column),
            zone: MarketZone::new(self.zone),
            statistics: &statistics,
            done: RezoneStats::default(),
        };
        let mut added = Vec::new();
        for file in &removed {
            added.extend(rewriter.rewrite(file, stop).await?);
            progress(&rewriter.done);
            if self.table.has_newer().await? {
                return Ok(RezoneOutcome::Conflict);
            }
        }
        let done = rewriter.done;
        let replacement = Replacement {
            base,
            removed: &removed,
            added: &added,
            partition_column: &view.partition_column,
            expired: None,
            market_zone: Some(self.zone.name()),
            now_ms: Utc::now().timestamp_millis(),
        };
        Ok(match self.table.replace(&replacement, retry).await? {
            ReplaceOutcome::Committed { .. } => RezoneOutcome::Done(done),
            ReplaceOutcome::Conflict => RezoneOutcome::Conflict,
        })
    }
}

/// Whether, by the times in its statistics, all rows of a file keep the date in its path.
fn keeps_its_date(view: &TableView, file: &DataFile, zone: &mut MarketZone) -> bool {
    let times = times_of(file.stats.as_deref(), "ts").filter(|_| view.partition_column == TRADE_DATE);
    times.is_some_and(|(oldest, newest)| {
        [oldest, newest.saturating_add(CUT_MICROS)].map(|ts| zone.trade_date(ts)) == [file.partition_value; 2]
    })
}

struct RezoneRewriter<'a> {
    view: &'a TableView,
    schema: SchemaRef,
    /// `None` for a table that is not partitioned by trade date.
    by: Option<PartitionBy>,
    zone: MarketZone,
    statistics: &'a str,
    done: RezoneStats,
}

impl RezoneRewriter<'_> {
    async fn rewrite(&mut self, file: &DataFile, stop: &CancellationToken) -> Result<Vec<NewFile>, RewriteError> {
        let stored = require_complete_file(self.view, file).await?;
        let built = ParquetRecordBatchStreamBuilder::new(stored.clone()).await;
        let builder = built.map_err(|error| read_error(&stored, &file.path, error))?;
        let is_sorted = footer_says_sorted(builder.metadata());
        let at_once = batch_rows(builder.metadata(), BATCH_ROWS);
        let stream = builder.with_batch_size(at_once).build();
        let mut stream = stream.map_err(|error| read_error(&stored, &file.path, error))?;
        let mut writers: BTreeMap<i32, RezoneWriter> = BTreeMap::new();
        let written = async {
            let mut read = 0;
            while let Some(batch) = stream.try_next().await.map_err(|error| read_error(&stored, &file.path, error))? {
                if stop.is_cancelled() {
                    return Err(RewriteError::Stopped);
                }
                let damaged = |detail| RewriteError::Damaged { path: file.path.clone(), detail };
                let batch = conform_to_schema(&batch, &self.schema).map_err(damaged)?;
                read += batch.num_rows() as i64;
                for (value, rows) in
                    self.dated(&batch, file.partition_value).map_err(|error| damaged(error.to_string()))?
                {
                    let writer = match writers.entry(value) {
                        std::collections::btree_map::Entry::Occupied(writer) => writer.into_mut(),
                        std::collections::btree_map::Entry::Vacant(entry) => {
                            entry.insert(RezoneWriter::new(self.view, &self.schema, self.statistics, value, is_sorted)?)
                        }
                    };
                    writer.write(&rows).await?;
                }
            }
            match u64::try_from(read).ok() == file.rows {
                true => Ok(()),
                false => Err(RewriteError::Damaged {
                    path: file.path.clone(),
                    detail: format!("it has {read} rows, the log says {}", file.rows.unwrap_or(0)),
                }),
            }
        };
        let written = written.await;
        let mut files = Vec::with_capacity(writers.len());
        for (_, writer) in writers {
            match &written {
                Ok(()) => files.push(writer.finish().await?),
                Err(_) => writer.abort().await,
            }
        }
        written?;
        self.done.files_before += 1;
        self.done.bytes_before += file.bytes;
        self.done.files_after += files.len() as u64;
        self.done.rows += files.iter().map(|file| file.rows.unsigned_abs()).sum::<u64>();
        Ok(files)
    }

    /// Splits rows by their new partition, with new trade dates if the files have that column.
    fn dated(&mut self, batch: &RecordBatch, old: i32) -> Result<Vec<(i32, RecordBatch)>, arrow::error::ArrowError> {
        let times = batch
            .column_by_name("ts")
            .ok_or_else(|| arrow::error::ArrowError::SchemaError("no column ts".to_owned()))?;
        let times = times.as_primitive::<TimestampMicrosecondType>().values();
        let dates: Vec<i32> = times.iter().map(|ts| self.zone.trade_date(*ts)).collect();
        let values: Vec<i32> = dates.iter().map(|date| self.by.map_or(*date, |by| by.value(*date))).collect();
        let mut batch = batch.clone();
        if let Some((at, _)) = self.schema.column_with_name(TRADE_DATE) {
            let before = batch.column(at).as_primitive::<arrow::datatypes::Date32Type>().values();
            self.done.moved += before.iter().zip(&dates).filter(|(before, now)| before != now).count() as u64;
            let mut columns = batch.columns().to_vec();
            columns[at] = Arc::new(Date32Array::from(dates)) as ArrayRef;
            batch = RecordBatch::try_new(batch.schema(), columns)?;
        } else {
            self.done.moved += values.iter().filter(|value| **value != old).count() as u64;
        }
        let mut all = values.clone();
        all.sort_unstable();
        all.dedup();
        let share = |value: i32| {
            let rows: BooleanArray = values.iter().map(|of_row| Some(*of_row == value)).collect();
            Ok((value, filter_record_batch(&batch, &rows)?))
        };
        all.into_iter().map(share).collect()
    }
}

/// A file that is being written.
struct RezoneWriter {
    path: String,
    partition_value: i32,
    statistics: FileStatistics,
    writer: AsyncArrowWriter<BufWriter>,
    /// Bytes of the row group that is being written, decoded.
    decoded: usize,
    begun: DateTime<Utc>,
}

impl RezoneWriter {
    fn new(
        view: &TableView,
        schema: &SchemaRef,
        statistics: &str,
        partition_value: i32,
        is_sorted: bool,
    ) -> Result<Self, RewriteError> {
        let path = new_data_path(&view.partition_column, partition_value);
        let path = path.map_err(|error| failed(&view.partition_column, error))?;
        let store: Arc<dyn ObjectStore> = Arc::clone(&view.store);
        let upload = BufWriter::with_capacity(store, Path::from(path.as_str()), PART_BYTES);
        // Rows keep the order that they have, and a file that is in the order of ticks says so.
        let properties: WriterProperties = if is_sorted { ticks_properties() } else { zstd_properties() };
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(is_sorted);
        let writer = AsyncArrowWriter::try_new_with_options(upload, Arc::clone(schema), options);
        let writer = writer.map_err(|error| failed(&path, error))?;
        let statistics = FileStatistics::new(schema, statistics);
        Ok(Self { path, partition_value, statistics, writer, decoded: 0, begun: Utc::now() })
    }

    async fn write(&mut self, rows: &RecordBatch) -> Result<(), RewriteError> {
        self.statistics.add(rows);
        self.writer.write(rows).await.map_err(|error| failed(&self.path, error))?;
        self.decoded += rows.get_array_memory_size();
        if self.writer.in_progress_size() >= ROW_GROUP_BYTES || self.decoded >= ROW_GROUP_DECODED {
            self.decoded = 0;
            self.writer.flush().await.map_err(|error| failed(&self.path, error))?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<NewFile, RewriteError> {
        self.writer.finish().await.map_err(|error| failed(&self.path, error))?;
        Ok(NewFile {
            bytes: self.writer.bytes_written() as i64,
            rows: self.statistics.rows as i64,
            partition_value: self.partition_value,
            stats: self.statistics.to_json(),
            made: self.begun,
            path: self.path,
        })
    }

    /// Aborts the upload.
    async fn abort(self) {
        if let Err(error) = self.writer.into_inner().abort().await {
            tracing::debug!(path = self.path, %error, "an unfinished upload stays behind");
        }
    }
}

fn failed(path: &str, error: ParquetError) -> RewriteError {
    RewriteError::Write { path: path.to_owned(), detail: error.to_string() }
}

//! Reads all files of a table, several at a time, and collects their contents.
//!
//! The memory in use is a compressed row group and a batch for each file that is being read, plus [`QUEUE`] batches of
//! identities.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::{FutureExt, TryStreamExt};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::error::VerifyError;
use super::finding::{FindingKind, Findings};
use super::identities::RowKeys;
use super::progress::VerifyProgress;
use super::rows::{FileRows, IdentityBatch, TableRules};
use crate::lake::{AuditedTable, FileError, LoggedFile, LoggedVersion, StoredFile, batch_rows, offset_bounds};

/// Maximum number of files that are decoded at once. There is at most one for each core: further ones would wait for a
/// core with a row group in memory.
const READERS: usize = 4;
/// Capacity of the queue, in batches of 8,192 identities; a full queue takes 3 MiB.
const QUEUE: usize = 16;
const BATCH_ROWS: usize = 8_192;

/// Offsets of the newest epoch that a table may contain.
pub(super) struct Bounds {
    pub epoch: i32,
    pub partitions: BTreeMap<i32, Range<i64>>,
}

/// The contents of the files of a table.
#[derive(Debug, Default)]
pub(super) struct TableContents {
    pub rows: u64,
    pub bytes: u64,
    pub files: u64,
    /// Files that are missing or can't be read.
    pub unreadable: u64,
    pub identities: RowKeys,
    /// Columns of the table that some files lack.
    pub lacking: BTreeSet<String>,
    /// Number of files whose statistics have times truncated to milliseconds, by the tool that wrote the files.
    pub cut_times: BTreeMap<String, u64>,
}

/// The result of reading one file.
struct FileRead {
    file: LoggedFile,
    rows: u64,
    is_complete: bool,
    wrong: Vec<(FindingKind, String)>,
    /// Columns of the table that the file lacks.
    lacks: Vec<String>,
    has_cut_times: bool,
}

/// Reads all files and collects their contents.
///
/// # Errors
/// The store doesn't respond.
pub(super) async fn read_all(
    table: &AuditedTable,
    version: &LoggedVersion,
    rules: TableRules,
    bounds: Option<&Bounds>,
    findings: &mut Findings,
    progress: &Arc<VerifyProgress>,
) -> Result<TableContents, VerifyError> {
    let sizes = if version.files.is_empty() { HashMap::new() } else { table.sizes().await? };
    progress.expect_files(version.files.len());
    let rules = Arc::new(rules);
    let (sender, mut batches) = mpsc::channel(QUEUE);
    let mut waiting = version.files.iter().cloned();
    let mut reading = JoinSet::new();
    let mut contents = TableContents::default();
    loop {
        while reading.len() < readers()
            && let Some(file) = waiting.next()
        {
            let stored = table.file(&file);
            let size = sizes.get(&file.path).copied();
            let (rules, sender, progress) = (Arc::clone(&rules), sender.clone(), Arc::clone(progress));
            reading.spawn(async move {
                let known = file.clone();
                let read = read(file, stored, size, &rules, &sender, &progress);
                // A reader that panics on damaged pages must not end the check of the other files.
                AssertUnwindSafe(read).catch_unwind().await.unwrap_or_else(|_| {
                    Ok(unreadable(known, FindingKind::FileUnreadable, "the Parquet reader gave up on it".to_owned()))
                })
            });
        }
        tokio::select! {
            biased;
            Some(batch) = batches.recv() => keep(&mut contents.identities, &batch, &rules, bounds, findings),
            read = reading.join_next() => {
                let Some(read) = read else { break };
                let read = read.map_err(|error| VerifyError::Reader(error.to_string()))??;
                progress.read_file();
                contents.files += 1;
                contents.bytes += read.file.bytes;
                contents.rows += read.rows;
                contents.lacking.extend(read.lacks);
                if read.has_cut_times {
                    *contents.cut_times.entry(writer_of(&read.file)).or_default() += 1;
                }
                contents.unreadable += u64::from(!read.is_complete);
                for (what, mut detail) in read.wrong {
                    if what == FindingKind::Statistics {
                        detail.push_str(&format!("; written by {}", writer_of(&read.file)));
                    }
                    findings.add(rules.table, what, || (read.file.path.to_string(), detail));
                }
            }
        }
    }
    drop(sender);
    while let Some(batch) = batches.recv().await {
        keep(&mut contents.identities, &batch, &rules, bounds, findings);
    }
    Ok(contents)
}

pub(super) fn readers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(READERS)
}

async fn read(
    file: LoggedFile,
    stored: StoredFile,
    listed: Option<u64>,
    rules: &TableRules,
    identities: &mpsc::Sender<IdentityBatch>,
    progress: &VerifyProgress,
) -> Result<FileRead, VerifyError> {
    // The file may have been written after the store was listed.
    let size = if listed.is_some() { listed } else { stored.size().await? };
    let logged = file.bytes;
    match size {
        None => return Ok(unreadable(file, FindingKind::FileMissing, "the log has it, the store doesn't".to_owned())),
        Some(size) if size < logged => {
            return Ok(unreadable(file, FindingKind::FileTruncated, format!("{size} bytes of {logged} are there")));
        }
        Some(size) if size > logged => {
            return Ok(unreadable(file, FindingKind::FileSize, format!("it has {size} bytes, the log says {logged}")));
        }
        Some(_) => {}
    }
    let mut rows = FileRows::new(rules, &file);
    match read_rows(&stored, &mut rows, identities, progress).await {
        Ok(columns) if columns.is_empty() => {
            let (lacks, has_cut_times) = (rows.lacking(), rows.has_cut_times());
            Ok(FileRead { file, rows: rows.rows(), is_complete: true, wrong: rows.finish(), lacks, has_cut_times })
        }
        Ok(columns) => Ok(unreadable(file, FindingKind::Column, columns.join("; "))),
        Err(FileError::Store(error)) => Err(error.into()),
        Err(FileError::Missing) => {
            Ok(unreadable(file, FindingKind::FileMissing, "it disappeared while it was read".to_owned()))
        }
        Err(FileError::Damaged(detail)) => Ok(unreadable(file, FindingKind::FileUnreadable, detail)),
    }
}

fn unreadable(file: LoggedFile, what: FindingKind, detail: String) -> FileRead {
    let logged_rows = describe_logged_rows(&file).map_or_else(String::new, |logged_rows| format!("; {logged_rows}"));
    let wrong = vec![(what, format!("{detail}{logged_rows}"))];
    FileRead { file, rows: 0, is_complete: false, wrong, lacks: Vec::new(), has_cut_times: false }
}

/// The tool that wrote a file, as named by the commit that added it. A checkpoint doesn't contain the name.
fn writer_of(file: &LoggedFile) -> String {
    file.writer.as_deref().unwrap_or("a tool that the log names no more").to_owned()
}

/// Reads the rows. If the columns are wrong, no row is read, and the differences are returned.
async fn read_rows(
    stored: &StoredFile,
    rows: &mut FileRows,
    identities: &mpsc::Sender<IdentityBatch>,
    progress: &VerifyProgress,
) -> Result<Vec<String>, FileError> {
    let failed = |error| stored.error(error);
    // Use the types of the Parquet schema, because only some files embed an Arrow schema.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchStreamBuilder::new_with_options(stored.clone(), options).await.map_err(failed)?;
    let wrong = rows.compare_columns(builder.schema());
    if !wrong.is_empty() {
        return Ok(wrong);
    }
    let at_once = batch_rows(builder.metadata(), BATCH_ROWS);
    let mut batches = builder.with_batch_size(at_once).build().map_err(failed)?;
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        progress.read_rows(batch.num_rows());
        if let Some(batch) = rows.add(&batch) {
            // The receiver is dropped only if the check was cancelled.
            drop(identities.send(batch).await);
        }
    }
    Ok(Vec::new())
}

/// Describes the rows of a file according to the log.
fn describe_logged_rows(file: &LoggedFile) -> Option<String> {
    let stats: serde_json::Value = serde_json::from_str(file.stats.as_deref()?).ok()?;
    let rows = stats.get("numRecords")?.as_u64()?;
    let offsets = offset_bounds(file.stats.as_deref())
        .map_or_else(String::new, |(low, high)| format!(" of offsets {low} to {high}"));
    Some(format!("it held {rows} rows{offsets}"))
}

fn keep(
    identities: &mut RowKeys,
    batch: &IdentityBatch,
    rules: &TableRules,
    bounds: Option<&Bounds>,
    findings: &mut Findings,
) {
    let columns = batch.epoch.values().iter().zip(batch.partition.values());
    let columns = columns.zip(batch.offset.values()).zip(batch.index.values());
    for (((epoch, partition), offset), index) in columns {
        let position = || format!("epoch {epoch}, partition {partition}, offset {offset}, index {index}");
        let range = bounds.filter(|bounds| bounds.epoch == *epoch).map(|bounds| bounds.partitions.get(partition));
        let outside = match range {
            None => (*offset < 0).then(|| "it is below zero".to_owned()),
            Some(None) => Some("the counters don't know the partition".to_owned()),
            Some(Some(range)) if range.contains(offset) => None,
            Some(Some(range)) => Some(format!("the partition has [{}, {})", range.start, range.end)),
        };
        if let Some(detail) = outside {
            findings
                .add(rules.table, FindingKind::OffsetOutside, || (position(), format!("{detail}; in {}", batch.file)));
        }
        let Ok(offset) = u64::try_from(*offset) else { continue };
        if !identities.add((*epoch, *partition), offset, *index) {
            findings.add(rules.table, FindingKind::IdentityTwice, || {
                (position(), format!("the second time in {}", batch.file))
            });
        }
    }
}

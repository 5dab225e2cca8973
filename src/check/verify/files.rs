//! Reads all files of a table, several at once, and gathers what they hold.
//!
//! What lives at once is, for each file that is being read, the compressed row group and the batch in hand, and
//! [`QUEUE`] batches of identities.

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
use super::finding::{Findings, What};
use super::identities::Identities;
use super::progress::Progress;
use super::rows::{FileRows, IdentityBatch, Rules};
use crate::lake::{AuditedTable, FileError, LoggedFile, LoggedVersion, StoredFile, batch_rows, offset_bounds};

/// Files that are decoded at once, at most one a core: more would wait for a core with a row group in memory.
const READERS: usize = 4;
/// Batches of 8,192 identities between the readers and the one who keeps them: 3 MiB.
const QUEUE: usize = 16;
const BATCH_ROWS: usize = 8_192;

/// Offsets that the tables may hold, of the newest epoch.
pub(super) struct Bounds {
    pub epoch: i32,
    pub partitions: BTreeMap<i32, Range<i64>>,
}

/// What the files of a table hold.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub rows: u64,
    pub bytes: u64,
    pub files: u64,
    /// Files that are missing or can't be read.
    pub unread: u64,
    pub identities: Identities,
    /// Columns of the table that some file doesn't have.
    pub lacking: BTreeSet<String>,
    /// Files whose statistics have times that are cut to milliseconds, by the tool that wrote them.
    pub cut_times: BTreeMap<String, u64>,
}

/// One file, read to its end or not.
struct FileRead {
    file: LoggedFile,
    rows: u64,
    is_whole: bool,
    wrong: Vec<(What, String)>,
    /// Columns of the table that it doesn't have.
    lacks: Vec<String>,
    has_cut_times: bool,
}

/// # Errors
/// The store doesn't answer.
pub(super) async fn read_all(
    table: &AuditedTable,
    version: &LoggedVersion,
    rules: Rules,
    bounds: Option<&Bounds>,
    findings: &mut Findings,
    progress: &Arc<Progress>,
) -> Result<Held, VerifyError> {
    let sizes = if version.files.is_empty() { HashMap::new() } else { table.sizes().await? };
    progress.expect_files(version.files.len());
    let rules = Arc::new(rules);
    let (sender, mut batches) = mpsc::channel(QUEUE);
    let mut waiting = version.files.iter().cloned();
    let mut reading = JoinSet::new();
    let mut held = Held::default();
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
                // Damaged pages must not end the check of the others.
                AssertUnwindSafe(read).catch_unwind().await.unwrap_or_else(|_| {
                    Ok(unread(known, What::FileUnreadable, "the Parquet reader gave up on it".to_owned()))
                })
            });
        }
        tokio::select! {
            biased;
            Some(batch) = batches.recv() => keep(&mut held.identities, &batch, &rules, bounds, findings),
            read = reading.join_next() => {
                let Some(read) = read else { break };
                let read = read.map_err(|error| VerifyError::Reader(error.to_string()))??;
                progress.read_file();
                held.files += 1;
                held.bytes += read.file.bytes;
                held.rows += read.rows;
                held.lacking.extend(read.lacks);
                if read.has_cut_times {
                    *held.cut_times.entry(writer_of(&read.file)).or_default() += 1;
                }
                held.unread += u64::from(!read.is_whole);
                for (what, mut detail) in read.wrong {
                    if what == What::Statistics {
                        detail.push_str(&format!("; written by {}", writer_of(&read.file)));
                    }
                    findings.add(rules.table, what, || (read.file.path.to_string(), detail));
                }
            }
        }
    }
    drop(sender);
    while let Some(batch) = batches.recv().await {
        keep(&mut held.identities, &batch, &rules, bounds, findings);
    }
    Ok(held)
}

pub(super) fn readers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(READERS)
}

async fn read(
    file: LoggedFile,
    stored: StoredFile,
    listed: Option<u64>,
    rules: &Rules,
    identities: &mpsc::Sender<IdentityBatch>,
    progress: &Progress,
) -> Result<FileRead, VerifyError> {
    // A list may be older than the file.
    let size = if listed.is_some() { listed } else { stored.size().await? };
    let told = file.bytes;
    match size {
        None => return Ok(unread(file, What::FileMissing, "the log has it, the store doesn't".to_owned())),
        Some(size) if size < told => {
            return Ok(unread(file, What::FileTruncated, format!("{size} bytes of {told} are there")));
        }
        Some(size) if size > told => {
            return Ok(unread(file, What::FileSize, format!("it has {size} bytes, the log says {told}")));
        }
        Some(_) => {}
    }
    let mut rows = FileRows::new(rules, &file);
    match read_rows(&stored, &mut rows, identities, progress).await {
        Ok(columns) if columns.is_empty() => {
            let (lacks, has_cut_times) = (rows.lacking(), rows.has_cut_times());
            Ok(FileRead { file, rows: rows.rows(), is_whole: true, wrong: rows.finish(), lacks, has_cut_times })
        }
        Ok(columns) => Ok(unread(file, What::Column, columns.join("; "))),
        Err(FileError::Store(error)) => Err(error.into()),
        Err(FileError::Missing) => Ok(unread(file, What::FileMissing, "it went away while it was read".to_owned())),
        Err(FileError::Damaged(detail)) => Ok(unread(file, What::FileUnreadable, detail)),
    }
}

fn unread(file: LoggedFile, what: What, detail: String) -> FileRead {
    let told = told_rows(&file).map_or_else(String::new, |told| format!("; {told}"));
    let wrong = vec![(what, format!("{detail}{told}"))];
    FileRead { file, rows: 0, is_whole: false, wrong, lacks: Vec::new(), has_cut_times: false }
}

/// As the commit names it that added the file; a checkpoint doesn't.
fn writer_of(file: &LoggedFile) -> String {
    file.writer.as_deref().unwrap_or("a tool that the log names no more").to_owned()
}

/// What is wrong with the columns, in which case no row is read.
async fn read_rows(
    stored: &StoredFile,
    rows: &mut FileRows,
    identities: &mpsc::Sender<IdentityBatch>,
    progress: &Progress,
) -> Result<Vec<String>, FileError> {
    let failed = |error| stored.error(error);
    // The types of the Parquet schema: some files have those of Arrow beside it, some don't.
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
            // Nobody listens only when the check was given up.
            drop(identities.send(batch).await);
        }
    }
    Ok(Vec::new())
}

/// What the log says was in a file.
fn told_rows(file: &LoggedFile) -> Option<String> {
    let stats: serde_json::Value = serde_json::from_str(file.stats.as_deref()?).ok()?;
    let rows = stats.get("numRecords")?.as_u64()?;
    let offsets = offset_bounds(file.stats.as_deref())
        .map_or_else(String::new, |(low, high)| format!(" of offsets {low} to {high}"));
    Some(format!("it held {rows} rows{offsets}"))
}

fn keep(
    identities: &mut Identities,
    batch: &IdentityBatch,
    rules: &Rules,
    bounds: Option<&Bounds>,
    findings: &mut Findings,
) {
    let columns = batch.epoch.values().iter().zip(batch.partition.values());
    let columns = columns.zip(batch.offset.values()).zip(batch.index.values());
    for (((epoch, partition), offset), index) in columns {
        let place = || format!("epoch {epoch}, partition {partition}, offset {offset}, index {index}");
        let range = bounds.filter(|bounds| bounds.epoch == *epoch).map(|bounds| bounds.partitions.get(partition));
        let outside = match range {
            None => (*offset < 0).then(|| "it is below zero".to_owned()),
            Some(None) => Some("the counters don't know the partition".to_owned()),
            Some(Some(range)) if range.contains(offset) => None,
            Some(Some(range)) => Some(format!("the partition has [{}, {})", range.start, range.end)),
        };
        if let Some(detail) = outside {
            findings.add(rules.table, What::OffsetOutside, || (place(), format!("{detail}; in {}", batch.file)));
        }
        let Ok(offset) = u64::try_from(*offset) else { continue };
        if !identities.add((*epoch, *partition), offset, *index) {
            findings.add(rules.table, What::IdentityTwice, || (place(), format!("the second time in {}", batch.file)));
        }
    }
}

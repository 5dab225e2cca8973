//! Digests of the stored rows, one for each offset that Kafka still has, computed while the files are read.
//!
//! A digest takes four bytes, so 100 million offsets take 400 MB. If there are more offsets, they are compared in
//! several rounds.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use roaring::RoaringTreemap;
use tokio::task::JoinSet;

use super::digest::{ComparedColumns, digest_dead_letter};
use super::error::VerifyError;
use super::files::readers;
use crate::lake::{AuditedTable, FileError, LoggedFile, LoggedVersion, LostRanges, StoredFile, offset_bounds};

/// Maximum number of offsets that are compared in one round.
const ROUND_OFFSETS: u64 = 100_000_000;

/// Offsets `[start, end)` of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OffsetSpan {
    pub partition: i32,
    pub range: Range<i64>,
}

/// Divides the windows into rounds, each with at most one window per partition.
pub(super) fn rounds(windows: &[OffsetSpan], most: u64) -> Vec<Vec<OffsetSpan>> {
    let (mut rounds, mut round, mut room) = (Vec::new(), Vec::new(), most);
    for OffsetSpan { partition, range } in windows {
        let mut start = range.start;
        while start < range.end {
            let length = ((range.end - start) as u64).min(room);
            let end = start + length as i64;
            round.push(OffsetSpan { partition: *partition, range: start..end });
            (start, room) = (end, room - length);
            if room == 0 {
                rounds.push(std::mem::take(&mut round));
                room = most;
            }
        }
    }
    rounds.extend((!round.is_empty()).then_some(round));
    rounds
}

pub(super) fn rounds_of(windows: &[OffsetSpan]) -> Vec<Vec<OffsetSpan>> {
    rounds(windows, ROUND_OFFSETS)
}

/// The offsets of a partition that are in the tables.
#[derive(Debug, Clone, Default)]
pub(super) struct StoredOffsets {
    pub rows: RoaringTreemap,
    pub dead_letters: RoaringTreemap,
    /// Offsets with duplicate identities, which were already reported.
    pub twice: RoaringTreemap,
    /// Offsets that were given up; Kafka may still have them.
    pub lost: LostRanges,
    /// Upper bound of the offsets that the counters don't locate; `None` if there are none.
    pub unplaced_before: Option<i64>,
}

/// Digests of one round.
#[derive(Debug)]
pub(super) struct Digests {
    epoch: i32,
    partitions: BTreeMap<i32, (Range<i64>, Vec<AtomicU32>)>,
}

impl Digests {
    fn new(epoch: i32, round: &[OffsetSpan]) -> Self {
        let digests = |window: &OffsetSpan| {
            let length = window.range.end - window.range.start;
            (window.partition, (window.range.clone(), (0..length).map(|_| AtomicU32::new(0)).collect()))
        };
        Self { epoch, partitions: round.iter().map(digests).collect() }
    }

    fn slot(&self, epoch: i32, partition: i32, offset: i64) -> Option<&AtomicU32> {
        let (range, digests) = self.partitions.get(&partition).filter(|_| epoch == self.epoch)?;
        range.contains(&offset).then(|| &digests[(offset - range.start) as usize])
    }

    /// Digest of an offset. It is 0 if no window contains the offset.
    pub(super) fn of(&self, partition: i32, offset: i64) -> u32 {
        self.slot(self.epoch, partition, offset).map_or(0, |digest| digest.load(Ordering::Relaxed))
    }

    fn add(&self, epoch: i32, partition: i32, offset: i64, digest: impl FnOnce() -> u32) {
        if let Some(sum) = self.slot(epoch, partition, offset) {
            sum.fetch_add(digest(), Ordering::Relaxed);
        }
    }

    fn overlaps(&self, low: i64, high: i64) -> bool {
        self.partitions.values().any(|(range, _)| low < range.end && high >= range.start)
    }
}

/// The tables that are compared with a topic.
pub(super) struct ComparedTables<'a> {
    pub ticks: (&'a AuditedTable, &'a LoggedVersion),
    pub dead_letters: (&'a AuditedTable, &'a LoggedVersion),
    pub stored: Arc<BTreeMap<i32, StoredOffsets>>,
    /// Whether the statistics are correct, so that files can be pruned by them.
    pub prunes: bool,
}

impl ComparedTables<'_> {
    /// Reads all files that may contain offsets of the round.
    ///
    /// # Errors
    /// The store doesn't respond.
    pub(super) async fn digests(
        &self,
        epoch: i32,
        round: &[OffsetSpan],
        compared: &Arc<ComparedColumns>,
    ) -> Result<Arc<Digests>, VerifyError> {
        let digests = Arc::new(Digests::new(epoch, round));
        let sums = Arc::clone(&digests);
        self.each_batch(self.dead_letters, &digests, move |batch| add_dead_letters(&sums, batch)).await?;
        let (sums, stored, compared) = (Arc::clone(&digests), Arc::clone(&self.stored), Arc::clone(compared));
        self.each_batch(self.ticks, &digests, move |batch| add_rows(&sums, &stored, &compared, batch)).await?;
        Ok(digests)
    }

    async fn each_batch(
        &self,
        (table, version): (&AuditedTable, &LoggedVersion),
        digests: &Digests,
        add: impl Fn(&RecordBatch) + Clone + Send + Sync + 'static,
    ) -> Result<(), VerifyError> {
        let is_of_round = |file: &&LoggedFile| match offset_bounds(file.stats.as_deref()) {
            Some((low, high)) if self.prunes => digests.overlaps(low, high),
            _ => true,
        };
        each_batch(table, version.files.iter().filter(is_of_round), add).await
    }
}

/// Calls `add` with each batch of the files, several files at a time. Unreadable files are skipped, because they were
/// already reported.
///
/// # Errors
/// The store doesn't respond.
pub(super) async fn each_batch<'a>(
    table: &AuditedTable,
    files: impl Iterator<Item = &'a LoggedFile>,
    add: impl Fn(&RecordBatch) + Clone + Send + Sync + 'static,
) -> Result<(), VerifyError> {
    let mut waiting = files.map(|file| table.file(file));
    let mut reading = JoinSet::new();
    loop {
        while reading.len() < readers()
            && let Some(file) = waiting.next()
        {
            let add = add.clone();
            reading.spawn(async move { read(&file, &add).await });
        }
        match reading.join_next().await {
            None => return Ok(()),
            Some(Ok(Err(FileError::Store(error)))) => return Err(error.into()),
            // Damaged pages may make the reader panic.
            Some(Ok(_) | Err(_)) => {}
        }
    }
}

async fn read(file: &StoredFile, add: &impl Fn(&RecordBatch)) -> Result<(), FileError> {
    let failed = |error| file.error(error);
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchStreamBuilder::new_with_options(file.clone(), options).await.map_err(failed)?;
    let mut batches = builder.build().map_err(failed)?;
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        add(&batch);
    }
    Ok(())
}

fn add_rows(digests: &Digests, stored: &BTreeMap<i32, StoredOffsets>, compared: &ComparedColumns, batch: &RecordBatch) {
    let Some(rows) = compared.of_batch(batch) else { return };
    for row in 0..batch.num_rows() {
        let (epoch, partition, offset) = (rows.epoch.value(row), rows.partition.value(row), rows.offset.value(row));
        // A replayed dead letter has rows in `ticks` as well, which are not compared.
        let is_dead_letter =
            || stored.get(&partition).is_some_and(|stored| stored.dead_letters.contains(offset as u64));
        let is_expired = || compared.is_expired(partition, rows.ts(row));
        if digests.slot(epoch, partition, offset).is_some() && !is_dead_letter() && !is_expired() {
            digests.add(epoch, partition, offset, || rows.digest(row));
        }
    }
}

fn add_dead_letters(digests: &Digests, batch: &RecordBatch) {
    let int = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<Int32Type>();
    let long = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>();
    let hashes = batch.column_by_name("payload_sha256").and_then(|column| column.as_string_opt::<i32>());
    let (Some(epochs), Some(partitions), Some(offsets), Some(sizes), Some(hashes)) =
        (int("kafka_epoch"), int("kafka_partition"), long("kafka_offset"), long("payload_bytes"), hashes)
    else {
        return;
    };
    for row in 0..batch.num_rows() {
        digests.add(epochs.value(row), partitions.value(row), offsets.value(row), || {
            digest_dead_letter(hashes.value(row), sizes.value(row))
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rounds_cover_every_offset_once(
            ranges in prop::collection::vec((0i64..100, 0i64..50), 0..6),
            most in 1u64..40,
        ) {
            let windows: Vec<OffsetSpan> = (0..)
                .zip(&ranges)
                .map(|(partition, (start, length))| OffsetSpan { partition, range: *start..start + length })
                .collect();
            let offsets = |windows: &[OffsetSpan]| -> Vec<(i32, i64)> {
                let each = |window: &OffsetSpan| {
                    window.range.clone().map(|offset| (window.partition, offset)).collect::<Vec<_>>()
                };
                windows.iter().flat_map(each).collect()
            };
            let cut = rounds(&windows, most);
            for round in &cut {
                prop_assert!(offsets(round).len() as u64 <= most);
                let partitions: std::collections::BTreeSet<i32> = round.iter().map(|window| window.partition).collect();
                prop_assert_eq!(partitions.len(), round.len());
            }
            prop_assert_eq!(offsets(&cut.concat()), offsets(&windows));
        }
    }
}

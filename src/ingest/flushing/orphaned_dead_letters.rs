//! Dead letters of offsets whose ticks are not committed, because a worker ended between the two commits.
//!
//! Invariant: the verdicts in the table are final. A decoder that disagrees would lose a message or store it twice, so
//! the ingest stops.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};

use crate::ingest::batching::batch::IngestChunk;
use crate::ingest::error::IngestError;
use crate::lake::{DataFile, FileError, Lake, StoredFile, offset_bounds};
use crate::market::OffsetRange;

/// The payloads are not read: a file may have gigabytes of them.
const COLUMNS: [&str; 3] = ["kafka_epoch", "kafka_partition", "kafka_offset"];

/// The dead letters that the table has of `[next, dead_next)` of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ingest) struct OrphanedDeadLetters {
    window: OffsetRange,
    dead: BTreeSet<i64>,
}

impl OrphanedDeadLetters {
    /// Returns `None` if the table has no dead letters at or beyond `next`. `dead_next` is [`Lake::dead_next_offset`].
    ///
    /// # Errors
    /// The lake can't be read.
    pub(in crate::ingest) async fn read(
        lake: &Lake,
        partition: i32,
        next: i64,
        dead_next: Option<i64>,
    ) -> Result<Option<Self>, IngestError> {
        let Some(window) = dead_next.and_then(|dead_next| OffsetRange::new(next, dead_next).ok()) else {
            return Ok(None);
        };
        if window.is_empty() {
            return Ok(None);
        }
        let view = lake.dead_letters()?;
        let mut dead = BTreeSet::new();
        for file in view.files.iter().filter(|file| may_hold(file, window)) {
            let of = (lake.epoch(), partition);
            let read = lake.read_file(&view, file, |stored| offsets(stored, of, window)).await;
            dead.extend(read.map_err(|error| match error {
                FileError::Store(error) => error.into(),
                FileError::Missing => file_error(file, "it is not in the store"),
                FileError::Damaged(detail) => file_error(file, &detail),
            })?);
        }
        tracing::info!(partition, %window, dead_dead_letters = dead.len(), "dead letters were committed before their \
            ticks");
        Ok(Some(Self { window, dead }))
    }

    /// # Errors
    /// A verdict of the chunk differs from the one in the table.
    pub(in crate::ingest) fn check(&self, chunk: &IngestChunk) -> Result<(), IngestError> {
        let (start, next) = (chunk.range.start().max(self.window.start()), chunk.range.next().min(self.window.next()));
        if start >= next {
            return Ok(());
        }
        let decoded: BTreeSet<i64> = chunk
            .dead
            .iter()
            .map(|dead_letter| dead_letter.offset)
            .filter(|offset| (start..next).contains(offset))
            .collect();
        let in_table: BTreeSet<i64> = self.dead.range(start..next).copied().collect();
        match decoded.symmetric_difference(&in_table).next() {
            None => Ok(()),
            Some(&offset) => Err(IngestError::VerdictMismatch {
                partition: chunk.partition,
                offset,
                from: self.window.start(),
                to: self.window.next(),
            }),
        }
    }
}

fn may_hold(file: &DataFile, window: OffsetRange) -> bool {
    let holds = |(first, last)| first < window.next() && last >= window.start();
    offset_bounds(file.stats.as_deref()).is_none_or(holds)
}

fn file_error(file: &DataFile, detail: &str) -> IngestError {
    IngestError::DeadLetterFile { path: file.path.to_string(), detail: detail.to_owned() }
}

/// Returns the offsets of the partition's dead letters in one file. Only the [`COLUMNS`] of one batch are in memory at
/// a time.
async fn offsets(stored: StoredFile, of: (i32, i32), window: OffsetRange) -> Result<Vec<i64>, FileError> {
    let failed = |error| stored.error(error);
    let builder = ParquetRecordBatchStreamBuilder::new(stored.clone()).await.map_err(failed)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
    let mut batches = builder.with_projection(mask).build().map_err(failed)?;
    let mut dead = Vec::new();
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        add_offsets(&batch, of, window, &mut dead).map_err(FileError::Damaged)?;
    }
    Ok(dead)
}

fn add_offsets(
    batch: &RecordBatch,
    (epoch, partition): (i32, i32),
    window: OffsetRange,
    dead: &mut Vec<i64>,
) -> Result<(), String> {
    let lacks = |name: &str| format!("it has no column {name}, or one of another type");
    let int = |name: &str| batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int32Type>());
    let epochs = int("kafka_epoch").ok_or_else(|| lacks("kafka_epoch"))?;
    let partitions = int("kafka_partition").ok_or_else(|| lacks("kafka_partition"))?;
    let offsets = batch.column_by_name("kafka_offset").and_then(|column| column.as_primitive_opt::<Int64Type>());
    let offsets = offsets.ok_or_else(|| lacks("kafka_offset"))?;
    for ((found_epoch, found_partition), offset) in
        epochs.values().iter().zip(partitions.values()).zip(offsets.values())
    {
        let is_inside = (window.start()..window.next()).contains(offset);
        if is_inside && (*found_epoch, *found_partition) == (epoch, partition) {
            dead.push(*offset);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Rejection, RejectionReason};
    use crate::ingest::batching::batch::DeadLetter;
    use crate::market::TickColumns;

    fn chunk(start: i64, next: i64, dead: &[i64]) -> IngestChunk {
        let dead_letter = |offset: &i64| DeadLetter {
            partition: 2,
            offset: *offset,
            kafka_ts: None,
            key: None,
            payload: Vec::new(),
            payload_bytes: 0,
            sha256: [0; 32],
            headers: Vec::new(),
            rejection: Rejection::new(RejectionReason::Empty, ""),
        };
        let mut chunk = IngestChunk::empty(2, start, TickColumns::default(), 0);
        chunk.range = OffsetRange::new(start, next).unwrap();
        chunk.dead = dead.iter().map(dead_letter).collect();
        chunk
    }

    #[test]
    fn only_the_window_counts() {
        let orphaned = OrphanedDeadLetters { window: OffsetRange::new(10, 20).unwrap(), dead: [11, 19].into() };
        let at = |chunk: IngestChunk| match orphaned.check(&chunk) {
            Ok(()) => None,
            Err(IngestError::VerdictMismatch { offset, from: 10, to: 20, partition: 2 }) => Some(offset),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(at(chunk(10, 30, &[11, 19, 20, 25])), None);
        assert_eq!(at(chunk(10, 15, &[11])), None);
        assert_eq!(at(chunk(20, 30, &[])), None);
        assert_eq!(at(chunk(10, 15, &[])), Some(11));
        assert_eq!(at(chunk(12, 30, &[13, 19])), Some(13));
        assert_eq!(at(chunk(12, 30, &[])), Some(19));
    }
}

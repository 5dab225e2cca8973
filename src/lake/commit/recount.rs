//! Restores counters of partitions that have a transaction but no counters in the log: another tool cleaned the log, or
//! wrote its only remaining commits.
//!
//! Rows and dead letters are counted in the tables. Skipped messages, holes and offsets that were given up left no
//! trace there, so offsets in neither table are `unknown`.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use deltalake::kernel::Transaction;
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use roaring::RoaringTreemap;
use uuid::Uuid;

use crate::lake::commit::append::append;
use crate::lake::commit::handle::Lake;
use crate::lake::commit::put::PutOutcome;
use crate::lake::error::LakeError;
use crate::lake::log::properties::EPOCH;
use crate::lake::log::record::{CommitRecord, PartitionCounters, counted};
use crate::lake::log::transactions::app_id;
use crate::lake::log::view::TableView;
use crate::lake::store::retry::{RetryLoop, with_retry};
use crate::lake::store::stored_file::FileError;

const REASON: &str = "counted again: no commit in the log had counters";
const COLUMNS: [&str; 3] = ["kafka_epoch", "kafka_partition", "kafka_offset"];
const NOT_READ: &str = "counters not read";

/// What the two tables contain of a partition.
#[derive(Default)]
struct PartitionContents {
    dead_letters: RoaringTreemap,
    stored: RoaringTreemap,
    rows: i64,
    replayed: RoaringTreemap,
    replayed_rows: i64,
}

impl Lake {
    /// Counters of the epoch, by partition, including every one of `partitions` that has a transaction: counters that
    /// the log lacks are counted in the tables and committed.
    ///
    /// # Errors
    /// The log or a data file can't be read, or the store can't be written, within the retry policy.
    pub async fn require_counters(
        &mut self,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, PartitionCounters>, LakeError> {
        let (epoch, retry, name) = (self.epoch(), self.retry.clone(), self.ticks.name.clone());
        let mut attempts = RetryLoop::new("tables not counted", &retry, &name);
        loop {
            let counters = with_retry(NOT_READ, &retry, &name, || self.counters()).await?;
            let mut lacking = Vec::new();
            for &partition in partitions.iter().filter(|one| !counters.contains_key(one)) {
                lacking.extend(self.next_offset(partition).await?.map(|_| partition));
            }
            if lacking.is_empty() {
                return Ok(counters);
            }
            let result = self.recount(epoch, &lacking).await;
            if attempts.settle(result).await?.is_some() {
                return with_retry(NOT_READ, &retry, &name, || self.counters()).await;
            }
        }
    }

    /// One attempt; `None` if another writer was faster.
    async fn recount(&mut self, epoch: i32, partitions: &[i32]) -> Result<Option<()>, LakeError> {
        self.refresh().await?;
        if self.epoch() != epoch {
            return Ok(Some(()));
        }
        let mut next = BTreeMap::new();
        for &partition in partitions {
            let state = self.ticks.snapshot()?;
            let read = state.transaction_version(self.ticks.log.as_ref(), app_id(epoch, partition)).await;
            let read = read.map_err(|error| self.ticks.error("read the transaction", error))?;
            next.extend(read.map(|next| (partition, next)));
        }
        if next.is_empty() {
            return Ok(Some(()));
        }
        tracing::warn!(
            ?partitions,
            "no commit in the log has counters of these partitions (another tool has cleaned it): counting the tables"
        );
        let contents = self.count(epoch, &next).await?;
        self.ticks.settle_head().await?;
        let mut all = counted(self.ticks.remember_record().await?.as_ref(), epoch);
        if self.ticks.epoch_of(EPOCH)? != epoch {
            return Ok(None);
        }
        for (&partition, &next) in &next {
            if self.ticks.remember_transaction(&app_id(epoch, partition)).await? != Some(next) {
                return Ok(None);
            }
            let counters = contents
                .get(&partition)
                .map_or_else(|| PartitionContents::default().counters(next), |contents| contents.counters(next));
            tracing::warn!(
                partition,
                first = counters.first,
                next,
                rows = counters.rows,
                dead = counters.dead,
                unknown = counters.unknown,
                "counted again"
            );
            all.entry(partition).or_insert(counters);
        }
        let record = CommitRecord {
            commit_id: Uuid::new_v4().to_string(),
            epoch,
            ranges: next.iter().map(|(partition, next)| (*partition, [*next, *next])).collect(),
            reason: Some(REASON.to_owned()),
            partitions: all,
            ..CommitRecord::default()
        };
        // Transactions with unchanged versions, so that a concurrent writer, which has other counters, conflicts with
        // this commit.
        let transactions = next.iter().map(|(partition, next)| Transaction::new(app_id(epoch, *partition), *next));
        let operation = append(&self.partition_column);
        let (_, put) = self.ticks.put_next(Vec::new(), operation, Some(&record), transactions.collect()).await?;
        Ok(matches!(put, PutOutcome::Stored).then_some(()))
    }

    /// Counts the offsets below `next` of each partition. Dead letters are read first, and are not older than the ticks
    /// of the last refresh.
    async fn count(
        &self,
        epoch: i32,
        next: &BTreeMap<i32, i64>,
    ) -> Result<BTreeMap<i32, PartitionContents>, LakeError> {
        let mut contents: BTreeMap<i32, PartitionContents> = BTreeMap::new();
        let dead_letters = TableView::of(&self.dead_letters)?;
        each_offset(&dead_letters, epoch, next, |partition, offset| {
            contents.entry(partition).or_default().dead_letters.insert(offset);
        })
        .await?;
        let ticks = TableView::of(&self.ticks)?;
        each_offset(&ticks, epoch, next, |partition, offset| contents.entry(partition).or_default().add_row(offset))
            .await?;
        Ok(contents)
    }
}

impl PartitionContents {
    fn add_row(&mut self, offset: u64) {
        if self.dead_letters.contains(offset) {
            self.replayed.insert(offset);
            self.replayed_rows += 1;
        } else {
            self.stored.insert(offset);
            self.rows += 1;
        }
    }

    fn counters(&self, next: i64) -> PartitionCounters {
        let count = |offsets: &RoaringTreemap| i64::try_from(offsets.len()).unwrap_or(i64::MAX);
        let lowest = [self.stored.min(), self.dead_letters.min()].into_iter().flatten().min();
        let first = lowest.and_then(|lowest| i64::try_from(lowest).ok()).unwrap_or(next);
        let (stored_offsets, dead) = (count(&self.stored), count(&self.dead_letters));
        PartitionCounters {
            first,
            next,
            stored_offsets,
            rows: self.rows,
            dead,
            unknown: next - first - stored_offsets - dead,
            unplaced_before: Some(next),
            replayed_offsets: count(&self.replayed),
            replayed_rows: self.replayed_rows,
            ..PartitionCounters::default()
        }
    }
}

/// Partition and offset of each row below `next` of its partition.
async fn each_offset(
    view: &TableView,
    epoch: i32,
    next: &BTreeMap<i32, i64>,
    mut each: impl FnMut(i32, u64) + Send,
) -> Result<(), LakeError> {
    for file in &view.files {
        let stored = view.stored(file);
        let failed = |detail: String| LakeError::Table {
            action: "count the rows",
            table: stored.location.to_string(),
            detail: format!("{}: {detail}", file.path),
        };
        let of_reader = |error| match stored.error(error) {
            FileError::Store(error) => error,
            FileError::Missing => failed("the log has it, the store doesn't".to_owned()),
            FileError::Damaged(detail) => failed(detail),
        };
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchStreamBuilder::new_with_options(stored.clone(), options);
        let builder = builder.await.map_err(of_reader)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
        let mut batches = builder.with_projection(mask).build().map_err(of_reader)?;
        while let Some(batch) = batches.try_next().await.map_err(of_reader)? {
            let column = |name: &str| batch.column_by_name(name).ok_or_else(|| failed(format!("no column {name}")));
            let int = |name: &str| {
                let column = column(name)?.as_primitive_opt::<Int32Type>();
                column.ok_or_else(|| failed(format!("{name} is no INT")))
            };
            let (epochs, partitions) = (int("kafka_epoch")?, int("kafka_partition")?);
            let offsets = column("kafka_offset")?.as_primitive_opt::<Int64Type>();
            let offsets = offsets.ok_or_else(|| failed("kafka_offset is no BIGINT".to_owned()))?;
            for ((of, partition), offset) in epochs.values().iter().zip(partitions.values()).zip(offsets.values()) {
                let is_counted = *of == epoch && next.get(partition).is_some_and(|next| offset < next);
                if let Some(offset) = u64::try_from(*offset).ok().filter(|_| is_counted) {
                    each(*partition, offset);
                }
            }
        }
    }
    Ok(())
}

//! A set of offsets by epoch and partition, and the removal of those that `ticks` has rows of.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use futures::{StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::file::statistics::Statistics;
use roaring::RoaringTreemap;

use super::error::DeadLetterReplayError;
use crate::lake::{DataFile, TableView, offset_bounds};

/// Files that are read concurrently, to hide the latency of the store.
pub(super) const READERS: usize = 4;
const IDENTITY: [&str; 3] = ["kafka_epoch", "kafka_partition", "kafka_offset"];

/// (epoch, partition, offset) of a message.
pub(super) type MessageIdentity = (i32, i32, i64);

/// The bitmap takes one bit for each offset where offsets are dense, and 2 bytes where they are sparse.
#[derive(Debug, Clone, Default)]
pub(super) struct OffsetSet {
    sets: BTreeMap<(i32, i32), RoaringTreemap>,
}

impl OffsetSet {
    /// Returns false if the set has the offset already, or if the offset is negative.
    pub(super) fn insert(&mut self, (epoch, partition, offset): MessageIdentity) -> bool {
        u64::try_from(offset).is_ok_and(|offset| self.sets.entry((epoch, partition)).or_default().insert(offset))
    }

    /// Returns whether the set had the offset.
    pub(super) fn remove(&mut self, (epoch, partition, offset): MessageIdentity) -> bool {
        let Some(set) = self.sets.get_mut(&(epoch, partition)) else { return false };
        u64::try_from(offset).is_ok_and(|offset| set.remove(offset))
    }

    pub(super) fn len(&self) -> u64 {
        self.sets.values().map(RoaringTreemap::len).sum()
    }

    pub(super) fn in_common(&self, other: &Self) -> u64 {
        let with = |(partition, set): (&(i32, i32), &RoaringTreemap)| {
            other.sets.get(partition).map_or(0, |other| set.intersection_len(other))
        };
        self.sets.iter().map(with).sum()
    }

    fn has_any_of(&self, (low, high): (i64, i64)) -> bool {
        let (low, high) = (low.max(0) as u64, high.max(0) as u64);
        low <= high && self.sets.values().any(|set| set.range_cardinality(low..=high) > 0)
    }

    /// Returns false if the statistics of the file rule out all offsets of this set.
    pub(super) fn may_be_in(&self, file: &DataFile) -> bool {
        offset_bounds(file.stats.as_deref()).is_none_or(|range| self.has_any_of(range))
    }

    /// Adds the offsets of `other` that this set lacks, and leaves only those in `other`.
    pub(super) fn take_new(&mut self, other: &mut Self) {
        for (partition, new) in &mut other.sets {
            let own = self.sets.entry(*partition).or_default();
            *new -= &*own;
            *own |= &*new;
        }
    }

    /// Adds all offsets of `other`.
    pub(super) fn add(&mut self, other: &Self) {
        for (partition, offsets) in &other.sets {
            *self.sets.entry(*partition).or_default() |= offsets;
        }
    }

    /// Removes the offsets that the table has rows of.
    ///
    /// # Errors
    /// A file can't be read.
    pub(super) async fn remove_rows(&mut self, ticks: &TableView) -> Result<(), DeadLetterReplayError> {
        // The list is owned: with borrowed files the compiler can't prove that the future is `Send`.
        let files: Vec<DataFile> = ticks.files.iter().filter(|file| self.may_be_in(file)).cloned().collect();
        let mut taken = Self::default();
        {
            let mut found =
                futures::stream::iter(files).map(|file| self.of_rows(ticks, file)).buffer_unordered(READERS);
            while let Some(found) = found.try_next().await? {
                taken.add(&found);
            }
        }
        for (partition, offsets) in taken.sets {
            if let Some(own) = self.sets.get_mut(&partition) {
                *own -= offsets;
            }
        }
        Ok(())
    }

    /// Returns the offsets of the file's rows that are also in this set.
    async fn of_rows(&self, ticks: &TableView, file: DataFile) -> Result<Self, DeadLetterReplayError> {
        let stored = ticks.stored(&file);
        let name = file.path.to_string();
        let failed = |error| DeadLetterReplayError::of_file(&name, stored.error(error));
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchStreamBuilder::new_with_options(stored.clone(), options);
        let builder = builder.await.map_err(failed)?;
        let groups: Vec<usize> = {
            let metadata = builder.metadata();
            let leaves = metadata.file_metadata().schema_descr();
            let leaf = (0..leaves.num_columns()).find(|leaf| leaves.column(*leaf).name() == "kafka_offset");
            let may_hold = |group: &usize| {
                let statistics = leaf.and_then(|leaf| metadata.row_group(*group).column(leaf).statistics());
                let Some(Statistics::Int64(values)) = statistics else { return true };
                values.min_opt().zip(values.max_opt()).is_none_or(|(low, high)| self.has_any_of((*low, *high)))
            };
            (0..metadata.num_row_groups()).filter(may_hold).collect()
        };
        let mask = ProjectionMask::columns(builder.parquet_schema(), IDENTITY);
        let mut batches = builder.with_projection(mask).with_row_groups(groups).build().map_err(failed)?;
        let mut found = Self::default();
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            let lacks = |column: &str| DeadLetterReplayError::File {
                file: name.clone(),
                detail: format!("no column {column}"),
            };
            let int = |name: &'static str| {
                let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int32Type>());
                column.ok_or_else(|| lacks(name))
            };
            let offsets =
                batch.column_by_name("kafka_offset").and_then(|column| column.as_primitive_opt::<Int64Type>());
            let (epochs, partitions) = (int("kafka_epoch")?, int("kafka_partition")?);
            let offsets = offsets.ok_or_else(|| lacks("kafka_offset"))?;
            let rows = epochs.values().iter().zip(partitions.values()).zip(offsets.values());
            for ((epoch, partition), offset) in rows {
                if self.has((*epoch, *partition, *offset)) {
                    found.insert((*epoch, *partition, *offset));
                }
            }
        }
        Ok(found)
    }

    fn has(&self, (epoch, partition, offset): MessageIdentity) -> bool {
        let set = self.sets.get(&(epoch, partition));
        u64::try_from(offset).is_ok_and(|offset| set.is_some_and(|set| set.contains(offset)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(stats: Option<&str>) -> DataFile {
        let stats = stats.map(str::to_owned);
        DataFile { path: "a".into(), bytes: 1, rows: None, partition_value: 0, stats, modified_ms: 0 }
    }

    #[test]
    fn statistics_rule_files_out() {
        let mut open = OffsetSet::default();
        assert!(open.insert((0, 1, 5)) && !open.insert((0, 1, 5)) && !open.insert((0, 1, -1)));
        assert!(open.insert((1, 0, 900)));
        let range = |low: i64, high: i64| {
            let text = format!(r#"{{"minValues":{{"kafka_offset":{low}}},"maxValues":{{"kafka_offset":{high}}}}}"#);
            open.may_be_in(&file(Some(&text)))
        };
        assert!(range(0, 5) && range(5, 9) && range(6, 1_000));
        assert!(!range(0, 4) && !range(6, 899) && !range(901, 2_000));
        assert!(open.may_be_in(&file(None)) && open.may_be_in(&file(Some("{}"))));
        let mut other = OffsetSet::default();
        assert!(other.insert((1, 0, 900)) && other.insert((1, 0, 901)) && other.insert((0, 0, 5)));
        assert_eq!((open.len(), other.len(), open.in_common(&other), other.in_common(&open)), (2, 3, 1, 1));
        let mut all = open.clone();
        all.take_new(&mut other);
        assert_eq!((all.len(), other.len(), other.in_common(&open)), (4, 2, 0));
        assert!(all.has((1, 0, 901)) && !other.has((1, 0, 900)));
        assert!(open.remove((0, 1, 5)) && !open.remove((0, 1, 5)) && !open.remove((9, 9, 9)));
    }
}

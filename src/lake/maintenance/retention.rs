//! Removes old dates from a table, and counts their rows for the counters.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use futures::TryStreamExt;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use tokio_util::sync::CancellationToken;

use super::compact::{MAX_CONFLICTS, StopReason};
use super::rewrite::{RewriteError, read_error, require_complete_file};
use crate::lake::{DataFile, ExpiredRows, MaintainedTable, ReplaceOutcome, Replacement, RetryPolicy, TableView};
use crate::market::{MarketZone, PartitionBy};

/// Earliest supported trade date, 1700-01-01, in microseconds.
const BEGINNING: i64 = -8_520_336_000_000_000;

/// Maximum number of files that one commit removes.
const COMMIT_FILES: usize = 1_000;

/// Retention of trade dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// First trade date that is kept, days since 1970-01-01.
    first: i32,
    now_ms: i64,
}

/// What a retention run removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionStats {
    pub files: u64,
    pub bytes: u64,
    pub rows: u64,
}

impl Retention {
    /// A date is kept while some of it is no older than `keep`.
    pub fn new(keep: Duration, zone: &mut MarketZone, now_ms: i64) -> Self {
        let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let oldest = now_ms.saturating_sub(keep_ms).saturating_mul(1_000).max(BEGINNING);
        Self { first: zone.trade_date(oldest), now_ms }
    }

    /// The expired files, oldest first; none for a table without trade dates, such as `dead_letters`.
    pub fn expired(&self, view: &TableView) -> Vec<DataFile> {
        self.leaving(view).map_or_else(Vec::new, |(_, files)| files)
    }

    /// The expired files with the first partition value that is kept; `None` if no file is expired.
    fn leaving(&self, view: &TableView) -> Option<(i32, Vec<DataFile>)> {
        let before = self.before(PartitionBy::of_column(&view.partition_column)?);
        let mut files: Vec<_> = view.files.iter().filter(|file| file.partition_value < before).cloned().collect();
        files.sort_by_key(|file| file.partition_value);
        (!files.is_empty()).then_some((before, files))
    }

    /// First partition value that is kept.
    fn before(&self, by: PartitionBy) -> i32 {
        by.value(self.first)
    }

    /// Removes the expired files from the table; vacuum deletes them later.
    ///
    /// # Errors
    /// The store can't be read or written, or a file is damaged, so that its rows can't be counted.
    pub async fn run(
        &self,
        table: &mut MaintainedTable,
        retry: &RetryPolicy,
        stop: &CancellationToken,
        dropped: &mut RetentionStats,
    ) -> Result<StopReason, RewriteError> {
        let mut conflicts = 0;
        loop {
            table.load().await?;
            let base = table.maintenance_base().await?;
            let view = table.files()?;
            let Some((before, files)) = self.leaving(&view) else { return Ok(StopReason::Done) };
            let is_last = files.len() <= COMMIT_FILES;
            let files = &files[..files.len().min(COMMIT_FILES)];
            let expired = match table.name {
                "ticks" => Some(ExpiredRows { rows: rows_of(&view, files, stop).await?, before }),
                _ => None,
            };
            let replacement = Replacement {
                base,
                removed: files,
                added: &[],
                partition_column: &view.partition_column,
                expired: expired.as_ref(),
                market_zone: None,
                now_ms: self.now_ms,
            };
            match table.replace(&replacement, retry).await? {
                ReplaceOutcome::Committed { version } => {
                    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
                    tracing::info!(table = table.name, version, files = files.len(), bytes, "dropped old dates");
                    conflicts = 0;
                    dropped.files += files.len() as u64;
                    dropped.bytes += bytes;
                    dropped.rows += files.iter().filter_map(|file| file.rows).sum::<u64>();
                    // Files that were added meanwhile are left to the next run, as late rows could arrive forever.
                    if is_last {
                        return Ok(StopReason::Done);
                    }
                }
                ReplaceOutcome::Conflict => conflicts += 1,
            }
            if conflicts == MAX_CONFLICTS {
                return Ok(StopReason::Conflict);
            }
            if stop.is_cancelled() {
                return Ok(StopReason::Cancelled);
            }
        }
    }
}

/// Rows by epoch and partition.
async fn rows_of(
    view: &TableView,
    files: &[DataFile],
    stop: &CancellationToken,
) -> Result<BTreeMap<(i32, i32), i64>, RewriteError> {
    let mut rows = BTreeMap::new();
    for file in files {
        if stop.is_cancelled() {
            return Err(RewriteError::Stopped);
        }
        let stored = require_complete_file(view, file).await?;
        let failed = |error| read_error(&stored, &file.path, error);
        let builder = ParquetRecordBatchStreamBuilder::new(stored.clone()).await.map_err(failed)?;
        let columns = ["kafka_epoch", "kafka_partition"];
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
        let mut batches = builder.with_projection(mask).build().map_err(failed)?;
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            let [epochs, partitions] = columns.map(|name| batch.column_by_name(name)?.as_primitive_opt::<Int32Type>());
            let (Some(epochs), Some(partitions)) = (epochs, partitions) else {
                let detail = format!("it has no {}", columns.join(" and "));
                return Err(RewriteError::Damaged { path: file.path.clone(), detail });
            };
            for (epoch, partition) in epochs.values().iter().zip(partitions.values()) {
                *rows.entry((*epoch, *partition)).or_default() += 1;
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Datelike, NaiveDate};

    use super::*;
    use crate::market::EPOCH_DAYS_FROM_CE;

    fn first(keep: &str, now: &str, by: PartitionBy) -> String {
        let now = DateTime::parse_from_rfc3339(now).unwrap().timestamp_millis();
        let mut zone = MarketZone::new(chrono_tz::America::New_York);
        let retention = Retention::new(humantime::parse_duration(keep).unwrap(), &mut zone, now);
        let days = retention.before(by);
        NaiveDate::from_num_days_from_ce_opt(days + EPOCH_DAYS_FROM_CE).unwrap().to_string()
    }

    #[test]
    fn a_date_is_kept_while_some_of_it_is_recent_enough() {
        // Midnight in New York is at 05:00 UTC.
        assert_eq!(first("1d", "2026-01-10T04:59:59Z", PartitionBy::Day), "2026-01-08");
        assert_eq!(first("1d", "2026-01-10T05:00:00Z", PartitionBy::Day), "2026-01-09");
        assert_eq!(first("40d", "2026-03-15T12:00:00Z", PartitionBy::Month), "2026-02-01");
        assert_eq!(first("1d", "2026-01-01T12:00:00Z", PartitionBy::Year), "2025-01-01");
        let endless = first("1000000y", "2026-01-10T12:00:00Z", PartitionBy::Day).parse::<NaiveDate>().unwrap();
        assert_eq!(endless.year(), 1699);
    }
}

//! Checks for implausible Kafka timestamps. Earlier versions stored whatever the producer had set, such as seconds or
//! nanoseconds, and some readers can't represent such times.

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use futures::TryStreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::errors::ParquetError;

use super::check::DoctorCheck;
use crate::lake::{AuditedTable, LoggedFile, LoggedVersion, StoredFile};
use crate::market::is_plausible_kafka_ts;

/// Number of the newest files to read. If a producer sets wrong timestamps, most of its files have some.
const FILES: usize = 4;
const COLUMN: &str = "kafka_ts";
const FIX: &str = "readers may fail or overflow on them: name the columns that you need, or read CASE WHEN kafka_ts >= \
                   '1990-01-01' AND kafka_ts < '2262-01-01' THEN kafka_ts END; new rows get NULL. Prices, ts and \
                   identities are right. `tickhouse verify` counts the rows";

/// Returns `None` if all timestamps are plausible. Another check reports unreadable files.
pub(super) async fn check(name: &str, table: &AuditedTable, state: &LoggedVersion) -> Option<DoctorCheck> {
    let mut files: Vec<&LoggedFile> = state.files.iter().collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.partition_value));
    files.truncate(FILES);
    let mut odd = Vec::new();
    for file in &files {
        if has_odd_time(table.file(file)).await.unwrap_or(false) {
            odd.push(file.path.as_ref());
        }
    }
    let first = odd.first()?;
    let detail = format!(
        "Kafka timestamps outside of 1990 to 2261 in {} of the newest {} files, as {first}",
        odd.len(),
        files.len()
    );
    Some(DoctorCheck::warn(format!("{name}/kafka-ts"), detail, FIX))
}

async fn has_odd_time(file: StoredFile) -> Result<bool, ParquetError> {
    let builder = ParquetRecordBatchStreamBuilder::new(file).await?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), [COLUMN]);
    let mut batches = builder.with_projection(mask).build()?;
    while let Some(batch) = batches.try_next().await? {
        let column =
            batch.column_by_name(COLUMN).and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        if column.is_some_and(|times| times.iter().flatten().any(|micros| !is_plausible_kafka_ts(micros))) {
            return Ok(true);
        }
    }
    Ok(false)
}

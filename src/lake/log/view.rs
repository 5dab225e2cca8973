//! What a reader needs of a table: its files at one version.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use chrono::{Datelike, NaiveDate};
use object_store::ObjectStore;
use object_store::path::Path;
use url::Url;

use crate::lake::error::LakeError;
use crate::lake::log::schema::{arrow_schema, read_columns};
use crate::lake::log::table::Table;
use crate::lake::store::stored_file::StoredFile;
use crate::market::EPOCH_DAYS_FROM_CE;

/// One version of a table.
#[derive(Clone)]
pub struct TableView {
    /// All columns, the partition column last; it is not in the files.
    pub schema: SchemaRef,
    pub partition_column: String,
    pub files: Vec<DataFile>,
    /// Paths are relative to the root of the table.
    pub store: Arc<dyn ObjectStore>,
    pub table_url: Url,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Relative to the root of the table.
    pub path: Path,
    pub bytes: u64,
    pub rows: Option<u64>,
    /// Days since 1970-01-01.
    pub partition_value: i32,
    /// Delta statistics as JSON.
    pub stats: Option<String>,
    /// When the writer created the file, in milliseconds since the epoch.
    pub modified_ms: i64,
}

/// Smallest and largest offset of a file according to its Delta statistics; `None` if they don't include it.
pub fn offset_bounds(stats: Option<&str>) -> Option<(i64, i64)> {
    let stats: serde_json::Value = serde_json::from_str(stats?).ok()?;
    let offset = |side: &str| stats.get(side)?.get("kafka_offset")?.as_i64();
    offset("minValues").zip(offset("maxValues"))
}

impl fmt::Debug for TableView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableView").field("url", &self.table_url.as_str()).finish_non_exhaustive()
    }
}

impl TableView {
    /// One file of this version, for reading in parts.
    pub fn stored(&self, file: &DataFile) -> StoredFile {
        let location = self.table_url.as_str().trim_end_matches('/').into();
        StoredFile { location, store: Arc::clone(&self.store), path: file.path.clone(), bytes: file.bytes }
    }

    pub(in crate::lake) fn of(table: &Table) -> Result<Self, LakeError> {
        let state = table.snapshot()?;
        let columns = read_columns(&state.schema(), &table.name)?;
        let partition_columns = state.metadata().partition_columns();
        let partition_column = partition_columns.first().cloned().unwrap_or_default();
        let log_data = state.snapshot().try_log_data().map_err(|error| table.error("list the files", error))?;
        let mut files = Vec::with_capacity(log_data.num_files());
        for file in log_data.iter() {
            let value = file.partition_values_map().remove(&partition_column).flatten();
            let date = value.as_deref().and_then(|text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok());
            let date = date.ok_or_else(|| LakeError::Table {
                action: "list the files",
                table: table.name.clone(),
                detail: format!("{} has no date for {partition_column}: it is {value:?}", file.path()),
            })?;
            files.push(DataFile {
                path: file.object_store_path(),
                bytes: file.size().unsigned_abs(),
                rows: file.num_records().map(|rows| rows as u64),
                partition_value: date.num_days_from_ce() - EPOCH_DAYS_FROM_CE,
                stats: file.stats(),
                modified_ms: file.modification_time(),
            });
        }
        Ok(Self {
            schema: arrow_schema(&columns, &partition_column),
            partition_column,
            files,
            store: Arc::clone(&table.store),
            table_url: table.url.clone(),
        })
    }
}

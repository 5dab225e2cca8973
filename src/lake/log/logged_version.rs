//! One version of a table, reconstructed from the actions of its log.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use chrono::{Datelike, NaiveDate};
use deltalake::kernel::StructType;
use object_store::path::Path;

use crate::lake::error::LakeError;
use crate::lake::log::actions::{Action, Add, MetaData};
use crate::lake::log::properties::{CLUSTER_ID, EPOCH, TOPIC, TOPIC_ID, epoch_of};
use crate::lake::log::record::{CommitRecord, PartitionCounters};
use crate::lake::log::schema::{arrow_schema, read_columns};
use crate::lake::log::transactions::app_id;
use crate::market::{EPOCH_DAYS_FROM_CE, TopicIdentity};

/// A data file as described by its `add` action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedFile {
    pub path: Path,
    pub bytes: u64,
    /// Days since 1970-01-01; `None` if the `add` action has no date.
    pub partition_value: Option<i32>,
    /// Delta statistics as JSON.
    pub stats: Option<String>,
    /// The tool that added the file, if the log still has that commit.
    pub writer: Option<Arc<str>>,
}

/// Counters of the newest commit that has counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedCounters {
    pub version: u64,
    pub epoch: i32,
    pub partitions: BTreeMap<i32, PartitionCounters>,
}

/// One version of a table.
#[derive(Debug, Clone)]
pub struct LoggedVersion {
    pub version: u64,
    /// All columns, the partition column last; it is not in the files.
    pub schema: SchemaRef,
    pub partition_column: String,
    pub properties: BTreeMap<String, String>,
    /// Sorted by path.
    pub files: Vec<LoggedFile>,
    /// Removed files that the log still lists, with the time of the removal in milliseconds since the epoch.
    pub removed: HashMap<Path, Option<i64>>,
    /// Delta id of the table; never changes.
    pub id: String,
    epoch: i32,
    transactions: HashMap<String, i64>,
    pub counters: Option<LoggedCounters>,
}

impl LoggedVersion {
    /// Incarnation of the topic; only `ticks` has this property.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// Name of the topic that is ingested; only `ticks` has this property.
    pub fn topic(&self) -> Option<&str> {
        self.properties.get(TOPIC).map(String::as_str)
    }

    /// The cluster, and the topic of that name there, that the offsets belong to.
    pub fn identity(&self) -> TopicIdentity {
        let property = |key| self.properties.get(key).cloned();
        TopicIdentity { cluster_id: property(CLUSTER_ID).unwrap_or_default(), topic_id: property(TOPIC_ID) }
    }

    /// Next offset of a partition according to its transaction.
    pub fn next_offset(&self, epoch: i32, partition: i32) -> Option<i64> {
        self.transactions.get(&app_id(epoch, partition)).copied()
    }

    /// Partitions of an epoch that have a transaction.
    pub fn partitions(&self, epoch: i32) -> impl Iterator<Item = i32> {
        let prefix = format!("tickhouse/{epoch}/");
        self.transactions.keys().filter_map(move |id| id.strip_prefix(&prefix)?.parse().ok())
    }
}

/// State that results from the actions replayed so far.
#[derive(Default)]
pub(in crate::lake) struct LogReplay {
    files: BTreeMap<String, Add>,
    removed: HashMap<String, Option<i64>>,
    transactions: HashMap<String, i64>,
    pub metadata: Option<MetaData>,
    protocol: Option<(i32, i32)>,
    pub record: Option<(u64, CommitRecord)>,
}

impl LogReplay {
    /// Collects in `twice` the paths that are added although the table has them already.
    pub(in crate::lake) fn apply(&mut self, version: u64, actions: Vec<Action>, twice: &mut Vec<String>) {
        self.record = record_of(&actions).map(|record| (version, record)).or(self.record.take());
        // A commit may remove a file and add it again.
        for path in actions.iter().filter_map(|action| Some(&action.remove.as_ref()?.path)) {
            self.files.remove(path);
        }
        let writer = actions.iter().find_map(|action| action.info.as_ref()?.writer());
        for mut action in actions {
            if let Some(add) = &mut action.add {
                add.writer.clone_from(&writer);
            }
            self.take(action, twice);
        }
    }

    pub(in crate::lake) fn take(&mut self, action: Action, twice: &mut Vec<String>) {
        if let Some(txn) = action.txn {
            self.transactions.insert(txn.app_id, txn.version);
        }
        self.metadata = action.metadata.or(self.metadata.take());
        if let Some(protocol) = action.protocol {
            self.protocol = Some((protocol.min_reader_version, protocol.min_writer_version));
        }
        if let Some(remove) = action.remove {
            self.removed.insert(remove.path, remove.deletion_timestamp);
        }
        let Some(add) = action.add else { return };
        self.removed.remove(&add.path);
        if add.deletion_vector.is_some() {
            // Only a higher protocol version has these actions.
            self.protocol = Some((3, 7));
        }
        if self.files.contains_key(&add.path) {
            twice.push(add.path.clone());
        }
        self.files.insert(add.path.clone(), add);
    }

    /// # Errors
    /// The table needs a protocol or has columns that tickhouse doesn't know, or its epoch is not a number.
    pub(in crate::lake) fn into_version(self, version: u64, table: &str) -> Result<LoggedVersion, LakeError> {
        let wrong = |detail: String| LakeError::Table { action: "read the log", table: table.to_owned(), detail };
        let metadata = self.metadata.ok_or_else(|| wrong("it has no metadata".to_owned()))?;
        let (reader, writer) = self.protocol.unwrap_or((1, 2));
        if (reader, writer) != (1, 2) {
            return Err(LakeError::Protocol { table: table.to_owned(), reader, writer });
        }
        let schema: StructType =
            serde_json::from_str(&metadata.schema_string).map_err(|error| wrong(error.to_string()))?;
        let columns = read_columns(&schema, table)?;
        let partition_column = metadata.partition_columns.first().cloned().unwrap_or_default();
        let mut files = Vec::with_capacity(self.files.len());
        let decoded = |path: String| Path::from_url_path(&path).map_err(|error| wrong(format!("path {path}: {error}")));
        let removed = self.removed.into_iter().map(|(path, time)| Ok((decoded(path)?, time)));
        let removed = removed.collect::<Result<_, LakeError>>()?;
        for (path, add) in self.files {
            let value = add.partition_values.get(&partition_column).and_then(Option::as_deref);
            let date = value.and_then(|text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok());
            let path = decoded(path)?;
            files.push(LoggedFile {
                path,
                bytes: add.size.unsigned_abs(),
                partition_value: date.map(|date| date.num_days_from_ce() - EPOCH_DAYS_FROM_CE),
                stats: add.stats,
                writer: add.writer,
            });
        }
        let properties: BTreeMap<String, String> =
            metadata.configuration.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        Ok(LoggedVersion {
            version,
            schema: arrow_schema(&columns, &partition_column),
            partition_column,
            epoch: epoch_of(table, EPOCH, properties.get(EPOCH).map(String::as_str))?,
            properties,
            id: metadata.id.unwrap_or_default(),
            files,
            removed,
            transactions: self.transactions,
            counters: self.record.map(|(version, record)| LoggedCounters {
                version,
                epoch: record.epoch,
                partitions: record.partitions,
            }),
        })
    }
}

pub(in crate::lake) fn record_of(actions: &[Action]) -> Option<CommitRecord> {
    actions.iter().find_map(|action| action.info.as_ref()?.tickhouse.clone())
}

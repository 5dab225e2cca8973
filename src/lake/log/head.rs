//! The newest version that a handle knows, with its metadata, transactions and counters. Of files it keeps only the
//! number.
//!
//! A writer moves it forward commit by commit, so a commit costs the same whatever the table's size.

use std::collections::HashMap;

use deltalake::kernel::{Metadata, Transaction};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::lake::log::record::CommitRecord;

/// A value that is `None` or absent from a map is unknown, not zero.
#[derive(Debug, Clone)]
pub(in crate::lake) struct LogHead {
    pub version: u64,
    pub metadata: Metadata,
    /// Data files of the table.
    pub files: u64,
    /// Transaction versions by application id; `None` for an id that the log doesn't have.
    pub transactions: HashMap<String, Option<i64>>,
    pub record: Option<CommitRecord>,
    /// Version of each ingest commit that was seen, by commit id, so that a writer can find its own.
    pub commits: HashMap<String, u64>,
}

/// What one commit changes.
#[derive(Debug, Default)]
pub(in crate::lake) struct CommitChanges {
    files_added: u64,
    files_removed: u64,
    transactions: Vec<Transaction>,
    pub record: Option<CommitRecord>,
    pub metadata: Option<Metadata>,
    /// Minimum reader and writer versions that the table requires.
    pub protocol: Option<(i32, i32)>,
}

#[derive(Deserialize)]
struct HeadAction {
    txn: Option<Transaction>,
    #[serde(rename = "commitInfo")]
    commit_info: Option<HeadCommitInfo>,
    #[serde(rename = "metaData")]
    metadata: Option<Metadata>,
    protocol: Option<HeadProtocol>,
    add: Option<IgnoredAny>,
    remove: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct HeadCommitInfo {
    tickhouse: Option<CommitRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadProtocol {
    min_reader_version: i32,
    min_writer_version: i32,
}

impl CommitChanges {
    /// # Errors
    /// There is no line, or a line is not an action: the commit is torn, or of a kind that tickhouse doesn't know.
    pub(in crate::lake) fn parse(commit: &[u8]) -> Result<Self, String> {
        let mut changes = Self::default();
        if commit.trim_ascii().is_empty() {
            return Err("it is empty".to_owned());
        }
        for line in commit.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let line: HeadAction = serde_json::from_slice(line).map_err(|error| error.to_string())?;
            changes.files_added += u64::from(line.add.is_some());
            changes.files_removed += u64::from(line.remove.is_some());
            changes.transactions.extend(line.txn);
            changes.record = line.commit_info.and_then(|info| info.tickhouse).or(changes.record);
            changes.metadata = line.metadata.or(changes.metadata);
            let versions = line.protocol.map(|protocol| (protocol.min_reader_version, protocol.min_writer_version));
            changes.protocol = versions.or(changes.protocol);
        }
        Ok(changes)
    }
}

impl LogHead {
    pub(in crate::lake) fn new(version: u64, metadata: Metadata, files: u64) -> Self {
        Self { version, metadata, files, transactions: HashMap::new(), record: None, commits: HashMap::new() }
    }

    /// Moves to the next version.
    pub(in crate::lake) fn advance(&mut self, changes: CommitChanges) {
        self.version += 1;
        self.files = (self.files + changes.files_added).saturating_sub(changes.files_removed);
        for txn in changes.transactions {
            self.transactions.insert(txn.app_id, Some(txn.version));
        }
        if let Some(record) = changes.record {
            // A later metadata commit repeats the record with its commit id.
            self.commits.entry(record.commit_id.clone()).or_insert(self.version);
            self.record = Some(record);
        }
        if let Some(metadata) = changes.metadata {
            self.metadata = metadata;
        }
    }
}

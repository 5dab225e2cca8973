//! One Delta table: its snapshot, the transactions and commit records that belong to it, and the append.
//!
//! A commit is a conditional put of exactly the version after the snapshot, so everything that was checked on
//! the snapshot holds for the commit. delta-rs' own conflict loop is not used: it would go on after another
//! writer's commit, and with counters that are older than the commit before it.

use std::collections::HashMap;
use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitData, TransactionError};
use deltalake::kernel::{Action, Metadata, Transaction};
use deltalake::logstore::{CommitOrBytes, LogStoreRef, StorageConfig, default_logstore};
use deltalake::protocol::DeltaOperation;
use deltalake::table::state::DeltaTableState;
use object_store::ObjectStore;
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use super::error::LakeError;
use super::location::Location;
use super::record::{CommitRecord, RECORD_KEY};
use super::schema::{Column, read_columns};
use super::store::prefixed;

/// Behind by more commits than this, transactions are read from the snapshot instead of commit by commit.
const FOLLOW_COMMITS: u64 = 64;

/// A handle that followed this many commits is loaded anew: it holds on to every log file since its checkpoint.
const REBUILD_COMMITS: u64 = 1_000;

#[derive(Clone)]
pub(super) struct Table {
    /// As it appears in messages: the URL without its slash.
    pub name: String,
    pub url: Url,
    /// Begins at the root of the table.
    pub store: Arc<dyn ObjectStore>,
    log: LogStoreRef,
    delta: DeltaTable,
    /// Version that `delta` was loaded at from scratch.
    built_at: u64,
    ledger: Ledger,
    /// A commit was sent whose outcome the snapshot doesn't know yet.
    stale: bool,
}

/// What the log holds for `version` beside files. Absent entries are unknown, not zero.
#[derive(Debug, Clone, Default)]
struct Ledger {
    version: u64,
    transactions: HashMap<String, Option<i64>>,
    record: Option<CommitRecord>,
    /// Version of each commit that was read since [`Table::forget_commits`].
    commits: HashMap<String, u64>,
}

/// Outcome of putting one version.
pub(super) enum Put {
    Stored,
    /// Somebody, perhaps we, has that version already.
    Exists,
}

#[derive(Deserialize)]
struct LogLine {
    txn: Option<Transaction>,
    #[serde(rename = "commitInfo")]
    commit_info: Option<LogInfo>,
}

#[derive(Deserialize)]
struct LogInfo {
    tickhouse: Option<CommitRecord>,
}

impl Ledger {
    fn take(&mut self, version: u64, commit: &[u8]) {
        for line in commit.split(|byte| *byte == b'\n') {
            let holds = |key: &[u8]| line.windows(key.len()).any(|window| window == key);
            if !holds(b"\"txn\"") && !holds(RECORD_KEY.as_bytes()) {
                continue;
            }
            let Ok(line) = serde_json::from_slice::<LogLine>(line) else { continue };
            if let Some(txn) = line.txn {
                self.transactions.insert(txn.app_id, Some(txn.version));
            }
            if let Some(record) = line.commit_info.and_then(|info| info.tickhouse) {
                self.commits.insert(record.commit_id.clone(), version);
                self.record = Some(record);
            }
        }
        self.version = version;
    }
}

impl Table {
    pub(super) fn new(root: &Arc<dyn ObjectStore>, location: &Location, table: &str) -> Result<Self, LakeError> {
        let url = location.table_url(table);
        let store = prefixed(root, &url)?;
        let log = default_logstore(Arc::clone(&store), Arc::clone(root), &url, &StorageConfig::default());
        Ok(Self {
            name: format!("{location}/{table}"),
            url,
            store,
            delta: DeltaTable::new(Arc::clone(&log)),
            log,
            built_at: 0,
            ledger: Ledger::default(),
            stale: false,
        })
    }

    pub(super) fn error(&self, action: &'static str, error: impl Into<DeltaTableError>) -> LakeError {
        LakeError::delta(action, &self.name, &error.into())
    }

    pub(super) async fn exists(&self) -> Result<bool, LakeError> {
        self.log.is_delta_table_location().await.map_err(|error| self.error("look for the log", error))
    }

    pub(super) fn delta(&self) -> &DeltaTable {
        &self.delta
    }

    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    pub(super) fn state(&self) -> Result<&DeltaTableState, LakeError> {
        self.delta.snapshot().map_err(|error| self.error("read the snapshot", error))
    }

    /// Zero before the first load.
    pub(super) fn version(&self) -> u64 {
        self.delta.version().unwrap_or(0)
    }

    pub(super) fn metadata(&self) -> Result<&Metadata, LakeError> {
        Ok(self.state()?.metadata())
    }

    pub(super) fn property(&self, key: &str) -> Result<Option<&str>, LakeError> {
        Ok(self.metadata()?.configuration().get(key).map(String::as_str))
    }

    pub(super) fn columns(&self) -> Result<Vec<Column>, LakeError> {
        read_columns(&self.state()?.schema(), &self.name)
    }

    /// Loads the newest version and checks that the protocol is still ours.
    pub(super) async fn refresh(&mut self) -> Result<(), LakeError> {
        let loaded = self.delta.version();
        if loaded.is_none_or(|version| version >= self.built_at + REBUILD_COMMITS) {
            let mut fresh = DeltaTable::new(Arc::clone(&self.log));
            fresh.load().await.map_err(|error| self.error("load", error))?;
            self.delta = fresh;
            self.built_at = self.version();
        } else {
            let updated = self.delta.update_state().await;
            updated.map_err(|error| self.error("load", error))?;
        }
        let protocol = self.state()?.protocol();
        let (reader, writer) = (protocol.min_reader_version(), protocol.min_writer_version());
        if (reader, writer) != (1, 2) {
            return Err(LakeError::Protocol { table: self.name.clone(), reader, writer });
        }
        let version = self.version();
        let behind = version.checked_sub(self.ledger.version);
        let known = loaded.is_some() && behind.is_some_and(|commits| commits <= FOLLOW_COMMITS);
        if !known {
            self.ledger = Ledger { version, ..Ledger::default() };
        }
        while self.ledger.version < version {
            let next = self.ledger.version + 1;
            match self.log.read_commit_entry(next).await {
                Ok(Some(commit)) => self.ledger.take(next, &commit),
                Ok(None) => self.ledger = Ledger { version, ..Ledger::default() },
                Err(error) => return Err(self.error("read a commit", error)),
            }
        }
        self.stale = false;
        Ok(())
    }

    /// Newest version of an application transaction.
    pub(super) async fn transaction(&self, app_id: &str) -> Result<Option<i64>, LakeError> {
        let known = self.ledger.transactions.get(app_id).filter(|_| self.ledger.version == self.version());
        if let Some(known) = known {
            return Ok(*known);
        }
        if let Ok(read) = self.state()?.transaction_version(self.log.as_ref(), app_id).await {
            return Ok(read);
        }
        // The handle may be older than the log: what it would read was cleaned up behind a newer checkpoint.
        let fresh = DeltaTableState::try_new(self.log.as_ref(), Some(self.version())).await;
        let fresh = fresh.map_err(|error| self.error("load", error))?;
        let read = fresh.transaction_version(self.log.as_ref(), app_id).await;
        read.map_err(|error| self.error("read the transaction", error))
    }

    /// As [`Table::transaction`], remembered for the commits to come.
    pub(super) async fn remember_transaction(&mut self, app_id: &str) -> Result<Option<i64>, LakeError> {
        let version = self.transaction(app_id).await?;
        if self.ledger.version == self.version() {
            self.ledger.transactions.insert(app_id.to_owned(), version);
        }
        Ok(version)
    }

    /// The newest commit record, searched from the newest commit back to the oldest one in the log.
    pub(super) async fn newest_record(&self) -> Result<Option<CommitRecord>, LakeError> {
        if self.ledger.version == self.version() && self.ledger.record.is_some() {
            return Ok(self.ledger.record.clone());
        }
        let mut scratch = Ledger::default();
        for version in (0..=self.version()).rev() {
            let read = self.log.read_commit_entry(version).await;
            let Some(commit) = read.map_err(|error| self.error("read a commit", error))? else { break };
            scratch.take(version, &commit);
            if scratch.record.is_some() {
                break;
            }
        }
        Ok(scratch.record)
    }

    /// As [`Table::newest_record`], remembered for the commits to come.
    pub(super) async fn remember_record(&mut self) -> Result<Option<CommitRecord>, LakeError> {
        let record = self.newest_record().await?;
        if self.ledger.version == self.version() {
            self.ledger.record.clone_from(&record);
        }
        Ok(record)
    }

    pub(super) fn forget_commits(&mut self) {
        self.ledger.commits.clear();
    }

    /// Version that a commit got, if it is among those read.
    pub(super) fn landed_as(&self, commit_id: &str) -> Option<u64> {
        self.ledger.commits.get(commit_id).copied()
    }

    /// Puts the version after the snapshot, or version 0 of a table that doesn't exist.
    pub(super) async fn put_next(
        &mut self,
        actions: Vec<Action>,
        operation: DeltaOperation,
        record: Option<&CommitRecord>,
        transactions: Vec<Transaction>,
    ) -> Result<(u64, Put), LakeError> {
        let version = self.delta.version().map_or(0, |version| version + 1);
        let mut info = HashMap::new();
        if let Some(record) = record {
            let record = serde_json::to_value(record).expect("a record holds text, numbers and maps of them");
            info.insert(RECORD_KEY.to_owned(), record);
        }
        let data = CommitData::new(actions, operation, info, transactions);
        let bytes = data.get_bytes().map_err(|error| self.error("write a commit", error))?;
        self.stale = true;
        let put = self.log.write_commit_entry(version, CommitOrBytes::LogBytes(bytes), Uuid::new_v4()).await;
        match put {
            Ok(()) => Ok((version, Put::Stored)),
            Err(TransactionError::VersionAlreadyExists(_)) => Ok((version, Put::Exists)),
            Err(error) => Err(self.error("write a commit", error)),
        }
    }
}

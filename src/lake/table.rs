//! One Delta table: its head for writers, its snapshot for readers, and the put of the next version.
//!
//! A commit is a conditional put of exactly the version after the head, so everything that was checked on the
//! head holds for the commit. delta-rs' own conflict loop is not used: it would go on after another writer's
//! commit, with counters that are older than the commit before it, and it materializes every file.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deltalake::DeltaTable;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitData, TransactionError};
use deltalake::kernel::{Action, Metadata, Transaction};
use deltalake::logstore::{CommitOrBytes, LogStoreRef, StorageConfig, commit_uri_from_version, default_logstore};
use deltalake::protocol::DeltaOperation;
use deltalake::table::state::DeltaTableState;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::damage;
use super::error::LakeError;
use super::head::{Changes, Head};
use super::location::Location;
use super::record::{CommitRecord, RECORD_KEY};
use super::retry::{Attempts, RetryPolicy};
use super::schema::{Column, read_columns};
use super::store::prefixed;

/// Behind by more commits than this, the head is taken from the snapshot instead of commit by commit.
const FOLLOW_COMMITS: u64 = 64;

/// A snapshot that followed this many commits is loaded anew: it holds on to every log file since its checkpoint.
const REBUILD_COMMITS: u64 = 1_000;

/// For so long a store may list less than it has; S3 never does.
const LIST_LAG: Duration = Duration::from_secs(20);

/// Attempts to load a log that is whole.
const LOADS: u32 = 4;

#[derive(Clone)]
pub(super) struct Table {
    /// As it appears in messages: the URL without its slash.
    pub name: String,
    pub url: Url,
    /// Begins at the root of the table.
    pub store: Arc<dyn ObjectStore>,
    pub(super) log: LogStoreRef,
    /// The snapshot; moved by [`Table::load`] only.
    pub(super) delta: DeltaTable,
    /// Version that the snapshot was loaded at from scratch.
    built_at: u64,
    /// `None` before the first load.
    pub(super) head: Option<Head>,
    /// A commit was sent whose outcome the head doesn't know yet.
    stale: bool,
}

/// Outcome of putting one version.
pub(super) enum Put {
    Stored,
    /// Somebody, perhaps we, has that version already.
    Exists,
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
            head: None,
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

    pub(super) fn snapshot(&self) -> Result<&DeltaTableState, LakeError> {
        self.delta.snapshot().map_err(|error| self.error("read the snapshot", error))
    }

    /// Data files of the snapshot.
    pub(super) fn snapshot_files(&self) -> Result<u64, LakeError> {
        let log_data = self.snapshot()?.snapshot().try_log_data();
        Ok(log_data.map_err(|error| self.error("count the files", error))?.num_files() as u64)
    }

    fn head(&self) -> &Head {
        self.head.as_ref().expect("a table is loaded before it is used")
    }

    fn head_mut(&mut self) -> &mut Head {
        self.head.as_mut().expect("a table is loaded before it is used")
    }

    pub(super) fn version(&self) -> u64 {
        self.head().version
    }

    pub(super) fn file_count(&self) -> u64 {
        self.head().files
    }

    pub(super) fn metadata(&self) -> &Metadata {
        &self.head().metadata
    }

    pub(super) fn property(&self, key: &str) -> Option<&str> {
        self.metadata().configuration().get(key).map(String::as_str)
    }

    pub(super) fn columns(&self) -> Result<Vec<Column>, LakeError> {
        let schema = self.metadata().parse_schema().map_err(|error| self.error("read the schema", error))?;
        read_columns(&schema, &self.name)
    }

    fn require_protocol(&self, (reader, writer): (i32, i32)) -> Result<(), LakeError> {
        if (reader, writer) == (1, 2) {
            return Ok(());
        }
        Err(LakeError::Protocol { table: self.name.clone(), reader, writer })
    }

    /// Brings snapshot and head to the newest version.
    pub(super) async fn load(&mut self) -> Result<(), LakeError> {
        let rebuild = self.delta.version().is_none_or(|version| version >= self.built_at + REBUILD_COMMITS);
        if rebuild || self.delta.update_state().await.is_err() {
            self.load_anew().await?;
        }
        let state = self.snapshot()?;
        let (version, metadata) = (state.version(), state.metadata().clone());
        let protocol = (state.protocol().min_reader_version(), state.protocol().min_writer_version());
        let files = self.snapshot_files()?;
        self.require_protocol(protocol)?;
        if self.head.as_ref().is_some_and(|head| head.metadata.id() != metadata.id()) {
            return Err(LakeError::Replaced { table: self.name.clone() });
        }
        if self.head.as_ref().is_some_and(|head| head.version + FOLLOW_COMMITS >= version) {
            self.follow().await?;
        }
        // Too far behind, or the commits in between were cleaned up.
        if self.head.as_ref().is_none_or(|head| head.version < version) {
            self.head = Some(Head::new(version, metadata, files));
        }
        self.follow().await
    }

    /// A log in which nothing is damaged is read again: an answer may have been cut, or the list may lag behind.
    async fn load_anew(&mut self) -> Result<(), LakeError> {
        let retry = RetryPolicy { deadline: Some(LIST_LAG), ..RetryPolicy::default() };
        let name = self.name.clone();
        let mut attempts = Attempts::new("log not loaded", &retry, &name);
        let mut loads = 0;
        loop {
            loads += 1;
            match self.try_load_anew().await {
                Err(error) if error.is_stale_list() => attempts.settle::<()>(Err(error)).await?,
                Err(error @ LakeError::Table { .. }) if loads < LOADS => attempts.settle(Err(error)).await?,
                ended => return ended,
            };
        }
    }

    async fn try_load_anew(&mut self) -> Result<(), LakeError> {
        let mut fresh = DeltaTable::new(Arc::clone(&self.log));
        if let Err(error) = fresh.load().await {
            return Err(self.load_error(error).await);
        }
        // The kernel takes an empty commit for one that changes nothing.
        damage::require_no_empty_commit(&self.url, &self.name, fresh.version()).await?;
        self.built_at = fresh.version().unwrap_or(0);
        self.delta = fresh;
        Ok(())
    }

    /// Names the damaged file if there is one.
    async fn load_error(&self, error: DeltaTableError) -> LakeError {
        match self.error("load", error) {
            error @ LakeError::Table { .. } => damage::find(&self.store, &self.name).await.err().unwrap_or(error),
            error => error,
        }
    }

    /// Moves the head over the commits that came after it. The snapshot stays where it is.
    async fn follow(&mut self) -> Result<(), LakeError> {
        loop {
            let next = self.version() + 1;
            let read = self.log.read_commit_entry(next).await;
            let Some(commit) = read.map_err(|error| self.error("read a commit", error))? else { break };
            let changes = self.changes(next, &commit)?;
            self.head_mut().advance(changes);
        }
        self.stale = false;
        Ok(())
    }

    fn changes(&self, version: u64, commit: &[u8]) -> Result<Changes, LakeError> {
        let changes = Changes::parse(commit).map_err(|detail| damage::damaged_commit(&self.name, version, detail))?;
        changes.protocol.map_or(Ok(()), |protocol| self.require_protocol(protocol))?;
        Ok(changes)
    }

    /// Makes sure that the head is the newest known version and that a commit may follow it.
    pub(super) async fn settle_head(&mut self) -> Result<(), LakeError> {
        if self.stale {
            self.follow().await?;
        }
        // Where the commit of the head is gone, the log was cleaned or replaced while this process slept:
        // the version after it may be free although the table is far ahead.
        match self.store.head(&commit_uri_from_version(Some(self.version()))).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::NotFound { .. }) => {
                self.load_anew().await?;
                self.load().await
            }
            Err(error) => Err(LakeError::store("look for the newest commit", &self.name, &error)),
        }
    }

    /// Newest version of an application transaction.
    pub(super) async fn transaction(&self, app_id: &str) -> Result<Option<i64>, LakeError> {
        if let Some(known) = self.head().transactions.get(app_id) {
            return Ok(*known);
        }
        let version = self.version();
        if let Ok(state) = self.delta.snapshot()
            && state.version() == version
            && let Ok(read) = state.transaction_version(self.log.as_ref(), app_id).await
        {
            return Ok(read);
        }
        // The snapshot is older than the head, or than the log: what it would read was cleaned up.
        let fresh = DeltaTableState::try_new(self.log.as_ref(), Some(version)).await;
        let fresh = fresh.map_err(|error| self.error("load", error))?;
        let read = fresh.transaction_version(self.log.as_ref(), app_id).await;
        read.map_err(|error| self.error("read the transaction", error))
    }

    /// As [`Table::transaction`], remembered for the commits to come.
    pub(super) async fn remember_transaction(&mut self, app_id: &str) -> Result<Option<i64>, LakeError> {
        let version = self.transaction(app_id).await?;
        self.head_mut().transactions.insert(app_id.to_owned(), version);
        Ok(version)
    }

    /// The newest commit record, searched from the head back to the oldest commit in the log.
    pub(super) async fn newest_record(&self) -> Result<Option<CommitRecord>, LakeError> {
        if self.head().record.is_some() {
            return Ok(self.head().record.clone());
        }
        self.record_at(self.version()).await
    }

    /// The newest commit record up to a version.
    pub(super) async fn record_at(&self, version: u64) -> Result<Option<CommitRecord>, LakeError> {
        for version in (0..=version).rev() {
            let read = self.log.read_commit_entry(version).await;
            let Some(commit) = read.map_err(|error| self.error("read a commit", error))? else { break };
            let record = self.changes(version, &commit)?.record;
            if record.is_some() {
                return Ok(record);
            }
        }
        Ok(None)
    }

    /// As [`Table::newest_record`], remembered for the commits to come.
    pub(super) async fn remember_record(&mut self) -> Result<Option<CommitRecord>, LakeError> {
        let record = self.newest_record().await?;
        self.head_mut().record.clone_from(&record);
        Ok(record)
    }

    pub(super) fn forget_commits(&mut self) {
        self.head_mut().commits.clear();
    }

    /// Version that a commit got, if the head passed it since [`Table::forget_commits`].
    pub(super) fn landed_as(&self, commit_id: &str) -> Option<u64> {
        self.head().commits.get(commit_id).copied()
    }

    /// Puts the version after the head, or version 0 of a table that isn't loaded. Whatever comes of it but
    /// `Stored`, the head has to follow before it is relied on.
    pub(super) async fn put_next(
        &mut self,
        actions: Vec<Action>,
        operation: DeltaOperation,
        record: Option<&CommitRecord>,
        transactions: Vec<Transaction>,
    ) -> Result<(u64, Put), LakeError> {
        self.put_next_with(HashMap::new(), actions, operation, record, transactions).await
    }

    /// The same, with more in its commitInfo.
    pub(super) async fn put_next_with(
        &mut self,
        mut info: HashMap<String, Value>,
        actions: Vec<Action>,
        operation: DeltaOperation,
        record: Option<&CommitRecord>,
        transactions: Vec<Transaction>,
    ) -> Result<(u64, Put), LakeError> {
        let version = self.head.as_ref().map_or(0, |head| head.version + 1);
        if let Some(record) = record {
            let record = serde_json::to_value(record).expect("a record holds text, numbers and maps of them");
            info.insert(RECORD_KEY.to_owned(), record);
        }
        let data = CommitData::new(actions, operation, info, transactions);
        let bytes = data.get_bytes().map_err(|error| self.error("write a commit", error))?;
        let changes = self.changes(version, &bytes)?;
        self.stale = true;
        let put = self.log.write_commit_entry(version, CommitOrBytes::LogBytes(bytes), Uuid::new_v4()).await;
        match put {
            Ok(()) => {
                if let Some(head) = &mut self.head {
                    head.advance(changes);
                    self.stale = false;
                }
                Ok((version, Put::Stored))
            }
            Err(TransactionError::VersionAlreadyExists(_)) => Ok((version, Put::Exists)),
            Err(error) => Err(self.error("write a commit", error)),
        }
    }

    /// Learns what became of a put that was not `Stored`.
    pub(super) async fn catch_up(&mut self) -> Result<(), LakeError> {
        if self.stale { self.follow().await } else { Ok(()) }
    }
}

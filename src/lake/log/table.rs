//! One Delta table: its head for writers, and its snapshot for readers.
//!
//! A commit is a conditional put of exactly the version after the head, so everything that was checked on the head
//! holds for the commit. delta-rs' own conflict loop is not used: it would retry after another writer's commit with
//! counters that are older than that commit, and it materializes every file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deltalake::kernel::Metadata;
use deltalake::logstore::{LogStoreRef, StorageConfig, commit_uri_from_version, default_logstore};
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaTable, DeltaTableError};
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt};
use url::Url;

use crate::lake::error::{LakeError, StoreProblem};
use crate::lake::log::checkpoint_hint::{CheckpointHintFilter, dangling_checkpoint_hint};
use crate::lake::log::damage;
use crate::lake::log::head::{CommitChanges, LogHead};
use crate::lake::log::properties::{MARKET_ZONE, epoch_of};
use crate::lake::log::record::CommitRecord;
use crate::lake::log::schema::{TableColumn, read_columns};
use crate::lake::store::folder::FolderIdentity;
use crate::lake::store::location::Location;
use crate::lake::store::retry::{RetryLoop, RetryPolicy};
use crate::lake::store::root::prefixed;

/// If the head is behind by more commits than this, it is taken from the snapshot instead of following commit by
/// commit.
const FOLLOW_COMMITS: u64 = 64;

/// A snapshot that followed this many commits is loaded from scratch, as it keeps every log file since its checkpoint
/// in memory.
const REBUILD_COMMITS: u64 = 1_000;

/// How long the list of a store may lag behind its content; S3's never does.
const LIST_LAG: Duration = Duration::from_secs(20);

/// Attempts to load a log in which no file is damaged.
const LOADS: u32 = 4;

#[derive(Clone)]
pub(in crate::lake) struct Table {
    /// Name for messages: the URL without its trailing slash.
    pub name: String,
    pub url: Url,
    /// Paths are relative to the root of the table.
    pub store: Arc<dyn ObjectStore>,
    pub(in crate::lake) log: LogStoreRef,
    /// The store that `log` reads.
    checkpoint_hint: Arc<CheckpointHintFilter>,
    /// The snapshot; only [`Table::load`] moves it.
    pub(in crate::lake) delta: DeltaTable,
    /// Version at which the snapshot was last loaded from scratch.
    built_at: u64,
    /// `None` before the first load.
    pub(in crate::lake) head: Option<LogHead>,
    /// A commit was sent whose outcome isn't in the head yet.
    pub(in crate::lake) stale: bool,
    /// On a local disk, the path of the table, and the identity of its folder when it was loaded.
    pub(in crate::lake) folder: Option<PathBuf>,
    pub(in crate::lake) loaded_from: Option<FolderIdentity>,
    /// Zone of the trade dates when the table was first loaded.
    zone: Option<Option<String>>,
}

impl Table {
    pub(in crate::lake) fn new(
        root: &Arc<dyn ObjectStore>,
        location: &Location,
        table: &str,
    ) -> Result<Self, LakeError> {
        let url = location.table_url(table);
        let store = prefixed(root, &url)?;
        let checkpoint_hint = CheckpointHintFilter::new(root);
        let seen: Arc<dyn ObjectStore> = Arc::clone(&checkpoint_hint) as _;
        let log = default_logstore(prefixed(&seen, &url)?, seen, &url, &StorageConfig::default());
        Ok(Self {
            name: format!("{location}/{table}"),
            url,
            store,
            delta: DeltaTable::new(Arc::clone(&log)),
            log,
            checkpoint_hint,
            built_at: 0,
            head: None,
            stale: false,
            folder: match location {
                Location::Folder(folder) => Some(folder.join(table)),
                Location::S3 { .. } => None,
            },
            loaded_from: None,
            zone: None,
        })
    }

    pub(in crate::lake) fn error(&self, action: &'static str, error: impl Into<DeltaTableError>) -> LakeError {
        LakeError::delta(action, &self.name, &error.into())
    }

    pub(in crate::lake) async fn exists(&self) -> Result<bool, LakeError> {
        self.log.is_delta_table_location().await.map_err(|error| self.error("look for the log", error))
    }

    pub(in crate::lake) fn delta(&self) -> &DeltaTable {
        &self.delta
    }

    pub(in crate::lake) fn snapshot(&self) -> Result<&DeltaTableState, LakeError> {
        self.delta.snapshot().map_err(|error| self.error("read the snapshot", error))
    }

    /// Data files of the snapshot.
    pub(in crate::lake) fn snapshot_files(&self) -> Result<u64, LakeError> {
        let log_data = self.snapshot()?.snapshot().try_log_data();
        Ok(log_data.map_err(|error| self.error("count the files", error))?.num_files() as u64)
    }

    fn head(&self) -> &LogHead {
        self.head.as_ref().expect("a table is loaded before it is used")
    }

    fn head_mut(&mut self) -> &mut LogHead {
        self.head.as_mut().expect("a table is loaded before it is used")
    }

    pub(in crate::lake) fn version(&self) -> u64 {
        self.head().version
    }

    pub(in crate::lake) fn file_count(&self) -> u64 {
        self.head().files
    }

    pub(in crate::lake) fn metadata(&self) -> &Metadata {
        &self.head().metadata
    }

    pub(in crate::lake) fn property(&self, key: &str) -> Option<&str> {
        self.metadata().configuration().get(key).map(String::as_str)
    }

    /// The epoch that a property names; 0 before the first change.
    pub(in crate::lake) fn epoch_of(&self, property: &str) -> Result<i32, LakeError> {
        epoch_of(&self.name, property, self.property(property))
    }

    pub(in crate::lake) fn columns(&self) -> Result<Vec<TableColumn>, LakeError> {
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
    pub(in crate::lake) async fn load(&mut self) -> Result<(), LakeError> {
        if self.head.is_none() {
            self.loaded_from = self.folder_now().await?;
        } else if !self.is_same_folder().await? {
            return self.reopen().await;
        }
        self.update_snapshot().await?;
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
        // The head is too far behind, or the commits in between were cleaned up.
        if self.head.as_ref().is_none_or(|head| head.version < version) {
            self.head = Some(LogHead::new(version, metadata, files));
        }
        self.follow().await?;
        self.bring_snapshot_to_head().await?;
        if self.zone.is_none() {
            self.zone = Some(self.property(MARKET_ZONE).map(str::to_owned));
        }
        Ok(())
    }

    /// Brings the snapshot to the newest version that the log lists.
    async fn update_snapshot(&mut self) -> Result<(), LakeError> {
        let rebuild = self.delta.version().is_none_or(|version| version >= self.built_at + REBUILD_COMMITS);
        if rebuild || self.delta.update_state().await.is_err() {
            self.load_from_scratch().await?;
        }
        Ok(())
    }

    /// The files that are read must contain the offsets that the head reports. The head is ahead of the snapshot if a
    /// commit arrived between the two reads, or if the list of the log lags behind.
    async fn bring_snapshot_to_head(&mut self) -> Result<(), LakeError> {
        let retry = RetryPolicy { deadline: Some(LIST_LAG), ..RetryPolicy::default() };
        let name = self.name.clone();
        let mut attempts = RetryLoop::new("snapshot behind the log", &retry, &name);
        while self.snapshot()?.version() < self.version() {
            self.update_snapshot().await?;
            if let Err(error) = self.require_not_behind().await {
                attempts.settle::<()>(Err(error)).await?;
            }
        }
        Ok(())
    }

    /// Rows with trade dates of one zone must not be added after the commit that moved the table to another zone.
    ///
    /// # Errors
    /// The zone changed since the table was first loaded.
    pub(in crate::lake) fn require_zone(&self) -> Result<(), LakeError> {
        let now = self.property(MARKET_ZONE);
        match &self.zone {
            Some(zone) if zone.as_deref() != now => {
                Err(LakeError::ZoneChanged { table: self.name.clone(), zone: now.unwrap_or("none").to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Identity of the folder that the table's path leads to now; `None` if the store is not a local disk.
    async fn folder_now(&self) -> Result<Option<FolderIdentity>, LakeError> {
        let Some(folder) = self.folder.clone() else { return Ok(None) };
        let found = tokio::task::spawn_blocking(move || FolderIdentity::at(&folder)).await;
        let failed = |source| StoreError::Generic { store: "local disk", source };
        let found = found.map_err(StoreError::from).and_then(|found| found.map_err(|error| failed(error.into())));
        found.map(Some).map_err(|error| LakeError::store("open the table", &self.name, &error))
    }

    /// # Errors
    /// The folder doesn't exist: its file system is unavailable.
    async fn is_same_folder(&self) -> Result<bool, LakeError> {
        Ok(self.folder_now().await? == self.loaded_from)
    }

    /// Must be called before the kernel writes into the log, as its writes bypass [`Table::put_next`].
    ///
    /// # Errors
    /// The folder is not the one that was loaded.
    pub(in crate::lake) async fn require_same_folder(&self) -> Result<(), LakeError> {
        match self.is_same_folder().await? {
            true => Ok(()),
            false => {
                let (location, problem) = (self.name.clone(), StoreProblem::FolderChanged);
                Err(LakeError::Store { action: "write a checkpoint", location, problem })
            }
        }
    }

    /// Continues in a folder that replaced the one that was loaded, as a file system that was mounted again may have
    /// other device numbers. The folder must have the same table, with every version that this handle knows.
    async fn reopen(&mut self) -> Result<(), LakeError> {
        let folder = self.folder_now().await?;
        self.load_from_scratch().await?;
        let state = self.snapshot()?;
        let protocol = (state.protocol().min_reader_version(), state.protocol().min_writer_version());
        let (metadata, files) = (state.metadata().clone(), self.snapshot_files()?);
        self.require_protocol(protocol)?;
        if self.head().metadata.id() != metadata.id() {
            return Err(LakeError::Replaced { table: self.name.clone() });
        }
        self.require_not_behind().await?;
        tracing::warn!(table = %self.name, "its folder was mounted or created again and has the same table: \
            continuing");
        self.head = Some(LogHead::new(self.snapshot()?.version(), metadata, files));
        self.loaded_from = folder;
        self.stale = false;
        Ok(())
    }

    /// Requires that the snapshot is not older than the head.
    async fn require_not_behind(&self) -> Result<(), LakeError> {
        let (known, found) = (self.version(), self.snapshot()?.version());
        if found >= known {
            return Ok(());
        }
        let file = commit_uri_from_version(Some(known));
        match self.store.head(&file).await {
            Ok(_) => Err(LakeError::stale_list(&self.name, &file)),
            Err(StoreError::NotFound { .. }) => Err(LakeError::WentBack { table: self.name.clone(), known, found }),
            Err(error) => Err(LakeError::store("look for the newest commit", &self.name, &error)),
        }
    }

    /// Retries if no file of the log is damaged: a response may have been truncated, or the list may lag behind.
    async fn load_from_scratch(&mut self) -> Result<(), LakeError> {
        let retry = RetryPolicy { deadline: Some(LIST_LAG), ..RetryPolicy::default() };
        let name = self.name.clone();
        let mut attempts = RetryLoop::new("log not loaded", &retry, &name);
        let mut loads = 0;
        loop {
            loads += 1;
            match self.try_load_from_scratch().await {
                Err(error) if error.is_stale_list() => attempts.settle::<()>(Err(error)).await?,
                Err(error @ LakeError::Table { .. }) if loads < LOADS => attempts.settle(Err(error)).await?,
                ended => return ended,
            };
        }
    }

    async fn try_load_from_scratch(&mut self) -> Result<(), LakeError> {
        self.checkpoint_hint.show();
        let mut fresh = DeltaTable::new(Arc::clone(&self.log));
        if let Err(error) = fresh.load().await {
            if !self.hides_dangling_checkpoint_hint().await? {
                return Err(self.load_error(error).await);
            }
            fresh = DeltaTable::new(Arc::clone(&self.log));
            if let Err(error) = fresh.load().await {
                return Err(self.load_error(error).await);
            }
        }
        // The kernel reads an empty commit as one that changes nothing.
        damage::require_no_empty_commit(&self.url, &self.name, fresh.version()).await?;
        self.built_at = fresh.version().unwrap_or(0);
        self.delta = fresh;
        Ok(())
    }

    /// Called after the kernel has failed. True if the hint named a checkpoint that doesn't exist: it is hidden now, so
    /// another attempt lists the log.
    pub(in crate::lake) async fn hides_dangling_checkpoint_hint(&self) -> Result<bool, LakeError> {
        let Some(checkpoint) = dangling_checkpoint_hint(&self.store, &self.name).await? else { return Ok(false) };
        let is_new = self.checkpoint_hint.hide();
        if is_new {
            tracing::warn!(
                table = %self.name,
                checkpoint,
                "_last_checkpoint names a checkpoint that is not there, so the log is listed; the next checkpoint \
                 writes it again"
            );
        }
        Ok(is_new)
    }

    /// Must be called after a checkpoint was written.
    pub(in crate::lake) fn show_checkpoint_hint(&self) {
        self.checkpoint_hint.show();
    }

    /// An error that names the damaged file if there is one.
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

    pub(in crate::lake) fn changes(&self, version: u64, commit: &[u8]) -> Result<CommitChanges, LakeError> {
        let changes =
            CommitChanges::parse(commit).map_err(|detail| damage::damaged_commit(&self.name, version, detail))?;
        changes.protocol.map_or(Ok(()), |protocol| self.require_protocol(protocol))?;
        Ok(changes)
    }

    /// Makes sure that the head is the newest known version and that a commit may follow it.
    pub(in crate::lake) async fn settle_head(&mut self) -> Result<(), LakeError> {
        if !self.is_same_folder().await? {
            self.reopen().await?;
        }
        if self.stale {
            self.follow().await?;
        }
        // If the commit of the head is gone, the log was cleaned or replaced while this process was suspended: the next
        // version may be free although the table is far ahead.
        match self.store.head(&commit_uri_from_version(Some(self.version()))).await {
            Ok(_) => Ok(()),
            Err(StoreError::NotFound { .. }) => {
                self.load_from_scratch().await?;
                self.require_not_behind().await?;
                self.load().await
            }
            Err(error) => Err(LakeError::store("look for the newest commit", &self.name, &error)),
        }
    }

    /// Like [`Table::settle_head`], and also follows the commits of other writers.
    pub(in crate::lake) async fn settle_and_follow(&mut self) -> Result<(), LakeError> {
        self.settle_head().await?;
        self.follow().await
    }

    /// Newest version of an application transaction.
    pub(in crate::lake) async fn transaction(&self, app_id: &str) -> Result<Option<i64>, LakeError> {
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
        // The snapshot is older than the head or the log, and the files that it would read were cleaned up.
        let mut fresh = DeltaTableState::try_new(self.log.as_ref(), Some(version)).await;
        if fresh.is_err() && self.hides_dangling_checkpoint_hint().await? {
            fresh = DeltaTableState::try_new(self.log.as_ref(), Some(version)).await;
        }
        let fresh = fresh.map_err(|error| self.error("load", error))?;
        let read = fresh.transaction_version(self.log.as_ref(), app_id).await;
        read.map_err(|error| self.error("read the transaction", error))
    }

    /// Like [`Table::transaction`], and keeps the result in the head for the next commits.
    pub(in crate::lake) async fn remember_transaction(&mut self, app_id: &str) -> Result<Option<i64>, LakeError> {
        let version = self.transaction(app_id).await?;
        self.head_mut().transactions.insert(app_id.to_owned(), version);
        Ok(version)
    }

    /// The newest commit record, searched from the head back to the oldest commit in the log.
    pub(in crate::lake) async fn newest_record(&self) -> Result<Option<CommitRecord>, LakeError> {
        if self.head().record.is_some() {
            return Ok(self.head().record.clone());
        }
        self.record_at(self.version()).await
    }

    /// The newest commit record up to a version.
    pub(in crate::lake) async fn record_at(&self, version: u64) -> Result<Option<CommitRecord>, LakeError> {
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

    /// Like [`Table::newest_record`], and keeps the result in the head for the next commits.
    pub(in crate::lake) async fn remember_record(&mut self) -> Result<Option<CommitRecord>, LakeError> {
        let record = self.newest_record().await?;
        self.head_mut().record.clone_from(&record);
        Ok(record)
    }

    pub(in crate::lake) fn forget_commits(&mut self) {
        self.head_mut().commits.clear();
    }

    /// Version of a commit, if the head has passed it since [`Table::forget_commits`].
    pub(in crate::lake) fn landed_as(&self, commit_id: &str) -> Option<u64> {
        self.head().commits.get(commit_id).copied()
    }

    /// Follows the log after a put whose outcome is unknown.
    pub(in crate::lake) async fn catch_up(&mut self) -> Result<(), LakeError> {
        if self.stale { self.follow().await } else { Ok(()) }
    }
}

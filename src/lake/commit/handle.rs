//! A lake: the tables that one topic of one cluster is ingested into.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;

use crate::lake::commit::append::{CommitBatch, CommitNote, CommitOutcome, commit};
use crate::lake::commit::create::{InputMapping, LakeSpec, create_or_check, identity_of, incomplete};
use crate::lake::commit::new_file::NewFile;
use crate::lake::commit::signals::SignalsReader;
use crate::lake::error::{LakeError, StoreProblem};
use crate::lake::log::history::{AsOf, TableCommit};
use crate::lake::log::properties::{EPOCH, MARKET_ZONE, TOPIC};
use crate::lake::log::record::PartitionCounters;
use crate::lake::log::schema::DEAD_DATE;
use crate::lake::log::table::Table;
use crate::lake::log::transactions::{Advance, app_id};
use crate::lake::log::view::{DataFile, TableView};
use crate::lake::store::location::Location;
use crate::lake::store::metrics::CommittedTable;
use crate::lake::store::probe::require_conditional_put;
use crate::lake::store::retry::{RetryLoop, RetryPolicy, with_retry};
use crate::lake::store::root::{StoreSettings, root_store};
use crate::lake::store::root_folder::{require_empty, require_folder};
use crate::lake::store::stored_file::{FileError, StoredFile};
use crate::lake::store::{bucket, upload};
use crate::market::TopicIdentity;

/// Concurrent uploads of the files of one commit.
const PARALLEL_UPLOADS: usize = 4;

const NOT_READ: &str = "lake not read";

/// A handle on both tables at the versions that were loaded last.
pub struct Lake {
    location: Location,
    pub(in crate::lake) ticks: Table,
    pub(in crate::lake) dead_letters: Table,
    /// Only readers open it.
    pub(in crate::lake) signals: Option<SignalsReader>,
    pub(in crate::lake) partition_column: String,
    /// Epoch as of the last refresh, not of the head: rows that were read in one epoch must not be committed in
    /// another.
    pub(in crate::lake) epoch: i32,
    /// Mapping of a writer, as of its start; `None` for readers.
    mapping: Option<InputMapping>,
    /// This handle found no lake and created one.
    is_new: bool,
    pub(in crate::lake) retry: RetryPolicy,
}

impl fmt::Debug for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = self.location.to_string();
        f.debug_struct("Lake").field("location", &location).field("version", &self.version()).finish_non_exhaustive()
    }
}

impl Lake {
    /// Opens a lake for writing and creates missing tables; several workers may do so at once.
    ///
    /// # Errors
    /// The store can't be used or ignores conditional writes, or the tables were created with other settings.
    pub async fn open_or_create(
        location: &Location,
        store: &StoreSettings,
        spec: &LakeSpec,
    ) -> Result<Self, LakeError> {
        match Self::open_or_create_in(location, store, spec).await {
            Err(LakeError::Store { problem: StoreProblem::NoBucket, .. }) if store.create_bucket => {
                bucket::create(location, store).await?;
                Self::open_or_create_in(location, store, spec).await
            }
            opened => opened,
        }
    }

    async fn open_or_create_in(location: &Location, store: &StoreSettings, spec: &LakeSpec) -> Result<Self, LakeError> {
        require_folder(location)?;
        let root = root_store(location, store)?;
        if let Location::S3 { prefix, .. } = location {
            let lake: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(&root), Path::from(prefix.as_str())));
            require_conditional_put(&lake, location).await?;
        }
        Self::open_or_create_on(&root, location, spec).await
    }

    pub(in crate::lake) async fn open_or_create_on(
        root: &Arc<dyn ObjectStore>,
        location: &Location,
        spec: &LakeSpec,
    ) -> Result<Self, LakeError> {
        let mut ticks = Table::new(root, location, "ticks")?;
        let mut dead_letters = Table::new(root, location, "dead_letters")?;
        let is_new = !ticks.exists().await?;
        if is_new && spec.must_exist {
            return Err(LakeError::MustExist { location: location.to_string() });
        }
        if is_new {
            require_empty(root, location).await?;
        }
        create_or_check(location, &mut ticks, &mut dead_letters, spec).await?;
        let mapping = Some(InputMapping::of(&ticks)?);
        Ok(Self { mapping, is_new, ..Self::of(location, ticks, dead_letters)? })
    }

    /// Whether this handle created the lake.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Opens a lake for reading; never writes.
    ///
    /// # Errors
    /// There are no tables, or they can't be read.
    pub async fn open(location: &Location, store: &StoreSettings) -> Result<Self, LakeError> {
        require_folder(location)?;
        let root = root_store(location, store)?;
        let mut ticks = Table::new(&root, location, "ticks")?;
        let mut dead_letters = Table::new(&root, location, "dead_letters")?;
        if let Some(error) = incomplete(location, &ticks, &dead_letters).await? {
            return Err(error);
        }
        ticks.load().await?;
        dead_letters.load().await?;
        let mut lake = Self::of(location, ticks, dead_letters)?;
        lake.signals = Some(SignalsReader::open(&root, location).await?);
        Ok(lake)
    }

    fn of(location: &Location, ticks: Table, dead_letters: Table) -> Result<Self, LakeError> {
        let partition_column = ticks.metadata().partition_columns().first().cloned().unwrap_or_default();
        let epoch = ticks.epoch_of(EPOCH)?;
        let retry = RetryPolicy::default();
        Ok(Self {
            location: location.clone(),
            ticks,
            dead_letters,
            signals: None,
            partition_column,
            epoch,
            mapping: None,
            is_new: false,
            retry,
        })
    }

    /// Sets how long to retry; 60 s by default.
    #[must_use]
    pub fn with_retry_policy(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Loads the newest version of the tables. Commits don't need it; [`Lake::ticks`] doesn't show files that were
    /// added later.
    ///
    /// # Errors
    /// The log can't be read, or another tool has raised the protocol.
    pub async fn refresh(&mut self) -> Result<(), LakeError> {
        self.ticks.load().await?;
        self.dead_letters.load().await?;
        if let Some(signals) = &mut self.signals {
            signals.refresh().await?;
        }
        self.epoch = self.ticks.epoch_of(EPOCH)?;
        Ok(())
    }

    /// Like [`Self::refresh`], with retries according to the policy while the store is unreachable.
    ///
    /// # Errors
    /// As [`Self::refresh`], or the policy ends the retries.
    pub async fn refresh_with_retry(&mut self) -> Result<(), LakeError> {
        let retry = self.retry.clone();
        let mut attempts = RetryLoop::new(NOT_READ, &retry, &self.ticks.name.clone());
        loop {
            let result = self.refresh().await.map(Some);
            if attempts.settle(result).await?.is_some() {
                return Ok(());
            }
        }
    }

    /// Newest known version of `ticks`: that of the last refresh or, if later, of the last commit.
    pub fn version(&self) -> u64 {
        self.ticks.version()
    }

    /// Versions of `ticks`, `dead_letters` and `signals`, which may not exist.
    pub fn versions(&self) -> [Option<u64>; 3] {
        let signals = self.signals.as_ref().and_then(SignalsReader::version);
        [Some(self.ticks.version()), Some(self.dead_letters.version()), signals]
    }

    /// The retry policy, with its metrics.
    pub fn retry(&self) -> &RetryPolicy {
        &self.retry
    }

    /// Data files of `ticks` at [`Lake::version`].
    pub fn file_count(&self) -> u64 {
        self.ticks.file_count()
    }

    /// Delta id of `ticks`; never changes.
    pub fn table_id(&self) -> &str {
        self.ticks.metadata().id()
    }

    /// Incarnation of the topic: 0 until an operator says that it was recreated. As of the last refresh; commits
    /// are fenced while the table has another.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// A property of `ticks`, such as `tickhouse.topic`.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.ticks.property(key)
    }

    /// The topic that is ingested.
    pub fn topic(&self) -> Option<&str> {
        self.property(TOPIC)
    }

    /// Name of the zone of trade dates.
    pub fn market_zone(&self) -> Option<&str> {
        self.property(MARKET_ZONE)
    }

    /// The cluster, and the topic of that name there, that the offsets belong to.
    pub fn identity(&self) -> TopicIdentity {
        identity_of(&self.ticks)
    }

    /// The offset to read next, if the partition was ever committed.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn next_offset(&self, partition: i32) -> Result<Option<i64>, LakeError> {
        let app_id = app_id(self.epoch(), partition);
        with_retry(NOT_READ, &self.retry, &self.ticks.name, || self.ticks.transaction(&app_id)).await
    }

    /// The table has all dead letters below this offset. It may be ahead of [`Lake::next_offset`] after a crash between
    /// the two commits, and is behind it while there are no dead letters.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn dead_next_offset(&self, partition: i32) -> Result<Option<i64>, LakeError> {
        let app_id = app_id(self.epoch(), partition);
        with_retry(NOT_READ, &self.retry, &self.dead_letters.name, || self.dead_letters.transaction(&app_id)).await
    }

    /// Counters of each partition of this epoch, from the newest ingest commit.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn counters(&self) -> Result<BTreeMap<i32, PartitionCounters>, LakeError> {
        let epoch = self.epoch();
        let record = self.ticks.newest_record().await?.filter(|record| record.epoch == epoch);
        Ok(record.map(|record| record.partitions).unwrap_or_default())
    }

    /// Files as of the last refresh.
    ///
    /// # Errors
    /// A file has no partition value, or a column a type that tickhouse doesn't know.
    pub fn ticks(&self) -> Result<TableView, LakeError> {
        TableView::of(&self.ticks)
    }

    /// # Errors
    /// As [`Lake::ticks`].
    pub fn dead_letters(&self) -> Result<TableView, LakeError> {
        TableView::of(&self.dead_letters)
    }

    /// Files of `signals`; `None` if live never ran, for a writer, and for an older version of the lake.
    ///
    /// # Errors
    /// As [`Lake::ticks`].
    pub fn signals(&self) -> Result<Option<TableView>, LakeError> {
        self.signals.as_ref().map_or(Ok(None), SignalsReader::view)
    }

    /// An older version of the lake, for reading: `ticks` at that version, and `dead_letters` at the same time.
    ///
    /// # Errors
    /// The log doesn't hold the version, or can't be read.
    pub async fn at(&self, as_of: AsOf) -> Result<Self, LakeError> {
        let ticks = self.ticks.at(as_of).await?;
        let time = ticks.time_of(ticks.version()).await?;
        let time = if let AsOf::Time(asked) = as_of { asked } else { time };
        let dead_letters = match self.dead_letters.at(AsOf::Time(time)).await {
            // `dead_letters` is created right after `ticks`, without rows.
            Err(LakeError::TooOld { .. }) if ticks.version() == 0 => self.dead_letters.at(AsOf::Version(0)).await?,
            other => other?,
        };
        Self::of(&self.location, ticks, dead_letters)
    }

    /// Commits of `ticks`, newest first, at most `limit`, as far as the log holds them.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn ticks_history(&self, limit: usize) -> Result<Vec<TableCommit>, LakeError> {
        self.ticks.history(limit).await
    }

    /// # Errors
    /// As [`Lake::ticks_history`].
    pub async fn dead_letters_history(&self, limit: usize) -> Result<Vec<TableCommit>, LakeError> {
        self.dead_letters.history(limit).await
    }

    /// Paths are relative to the root of `ticks`.
    pub fn ticks_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.ticks.store)
    }

    /// Paths are relative to the root of `dead_letters`.
    pub fn dead_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.dead_letters.store)
    }

    /// Stores a data file under a new name, by the retry policy; `store` is one of this lake's.
    ///
    /// # Errors
    /// The file is not in the store when the policy gives up.
    pub async fn put(&self, store: &Arc<dyn ObjectStore>, path: &str, bytes: Bytes) -> Result<(), LakeError> {
        upload::put(store, &self.location.to_string(), path, bytes, &self.retry).await
    }

    /// Stores several files concurrently; returns them in their order.
    ///
    /// # Errors
    /// As [`Lake::put`].
    pub async fn put_all(
        &self,
        store: &Arc<dyn ObjectStore>,
        files: Vec<(NewFile, Vec<u8>)>,
    ) -> Result<Vec<NewFile>, LakeError> {
        let put = |(file, bytes): (NewFile, Vec<u8>)| async move {
            self.put(store, &file.path, bytes.into()).await?;
            Ok(file)
        };
        stream::iter(files).map(put).buffered(PARALLEL_UPLOADS).try_collect().await
    }

    /// Reads a file of one of the tables in parts. Restarts from its beginning, according to the retry policy, while
    /// the store fails.
    ///
    /// # Errors
    /// The file is missing or damaged, or the store fails until the policy gives up.
    pub async fn read_file<T, F>(
        &self,
        view: &TableView,
        file: &DataFile,
        read: impl Fn(StoredFile) -> F,
    ) -> Result<T, FileError>
    where
        F: Future<Output = Result<T, FileError>>,
    {
        let location = format!("{}/{}", view.table_url.as_str().trim_end_matches('/'), file.path);
        let read = with_retry(NOT_READ, &self.retry, &location, || async {
            match read(view.stored(file)).await {
                Err(FileError::Store(error)) => Err(error),
                done => Ok(done),
            }
        });
        read.await.unwrap_or_else(|error| Err(FileError::Store(error)))
    }

    /// Adds dead letters under their own transaction, before the ticks of the same batch.
    ///
    /// `base` of each advance is [`Lake::dead_next_offset`] as it was when dead letters below it were dropped from the
    /// batch. After `Fenced` and `AlreadyApplied` another worker has committed some of these offsets: read them again.
    ///
    /// # Errors
    /// The outcome could not be determined within the retry policy.
    pub async fn commit_dead_letters(
        &mut self,
        files: &[NewFile],
        advances: &[Advance],
    ) -> Result<CommitOutcome, LakeError> {
        self.require_mapping().await?;
        let batch = CommitBatch {
            table: Some(CommittedTable::DeadLetters),
            epoch: self.epoch(),
            epoch_property: None,
            partition_column: DEAD_DATE,
            files,
            advances,
            note: None,
            mapping: None,
            event_progress: None,
        };
        commit(&mut self.dead_letters, &self.retry, &batch).await
    }

    /// Adds rows and moves every partition of the batch to the end of its range, in one commit.
    ///
    /// # Errors
    /// The counts don't match the ranges or the rows of the files; the outcome could not be determined within the retry
    /// policy.
    pub async fn commit_ticks(
        &mut self,
        files: &[NewFile],
        advances: &[Advance],
        note: &CommitNote,
    ) -> Result<CommitOutcome, LakeError> {
        let batch = CommitBatch {
            table: Some(CommittedTable::Ticks),
            epoch: self.epoch(),
            epoch_property: Some(EPOCH),
            partition_column: &self.partition_column,
            files,
            advances,
            note: Some(note),
            mapping: self.mapping.as_ref(),
            event_progress: None,
        };
        commit(&mut self.ticks, &self.retry, &batch).await
    }

    /// Dead letters depend on the mapping, which is a property of `ticks`.
    async fn require_mapping(&mut self) -> Result<(), LakeError> {
        let Some(mapping) = &self.mapping else { return Ok(()) };
        let mut attempts = RetryLoop::new(NOT_READ, &self.retry, &self.ticks.name);
        loop {
            let result = self.ticks.settle_and_follow().await.map(Some);
            if attempts.settle(result).await?.is_some() {
                return mapping.require(&self.ticks);
            }
        }
    }
}

//! A lake: the two tables that one topic of one cluster lands in.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;

use crate::lake::commit::append::{Batch, CommitNote, CommitOutcome, commit};
use crate::lake::commit::create::{LakeSpec, Mapping, create_or_check, identity_of, incomplete};
use crate::lake::commit::new_file::NewFile;
use crate::lake::commit::signals::SignalsTable;
use crate::lake::error::{LakeError, StoreProblem};
use crate::lake::log::history::{AsOf, TableCommit};
use crate::lake::log::properties::{EPOCH, MARKET_ZONE, TOPIC};
use crate::lake::log::record::PartitionCounters;
use crate::lake::log::schema::DEAD_DATE;
use crate::lake::log::table::Table;
use crate::lake::log::transactions::{Advance, app_id};
use crate::lake::log::view::{DataFile, TableView};
use crate::lake::store::empty::{require_folder, require_vacant};
use crate::lake::store::location::Location;
use crate::lake::store::probe::require_conditional_put;
use crate::lake::store::retry::{Attempts, RetryPolicy, patiently};
use crate::lake::store::root::{StoreSettings, root_store};
use crate::lake::store::stored_file::{FileError, StoredFile};
use crate::lake::store::tally::CommittedTable;
use crate::lake::store::{bucket, upload};
use crate::market::TopicIdentity;

/// Files of one commit on their way to the store at the same time.
const PARALLEL_UPLOADS: usize = 4;

const NOT_READ: &str = "lake not read";

/// A handle on both tables at the versions that were loaded last.
pub struct Lake {
    location: Location,
    pub(in crate::lake) ticks: Table,
    pub(in crate::lake) dead_letters: Table,
    /// Readers alone look for it.
    pub(in crate::lake) signals: Option<SignalsTable>,
    pub(in crate::lake) partition_column: String,
    /// As of the last refresh, not of the head: what was read under it must not be committed under another.
    pub(in crate::lake) epoch: i32,
    /// Of a writer that maps messages, as of its start.
    mapping: Option<Mapping>,
    /// This handle found no lake and made one.
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
    /// For writers. Creates what is missing; several workers may do so at once.
    ///
    /// # Errors
    /// The store can't be used or ignores conditional writes; the tables were made for something else.
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
            require_vacant(root, location).await?;
        }
        create_or_check(location, &mut ticks, &mut dead_letters, spec).await?;
        let mapping = Some(Mapping::of(&ticks)?);
        Ok(Self { mapping, is_new, ..Self::of(location, ticks, dead_letters)? })
    }

    /// Whether there was no lake when this handle was opened, so that it made one.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// For readers: never writes.
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
        lake.signals = Some(SignalsTable::open(&root, location).await?);
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

    /// Bounds the search for the outcome of a commit; 60 s unless said otherwise.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Loads the newest version of both tables. Commits don't need it; [`Lake::ticks`] shows no files that came
    /// after it.
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

    /// The same, again and again by the retry policy while the store is away.
    ///
    /// # Errors
    /// As [`Self::refresh`], or the policy says to stop.
    pub async fn refresh_patiently(&mut self) -> Result<(), LakeError> {
        let retry = self.retry.clone();
        let mut attempts = Attempts::new(NOT_READ, &retry, &self.ticks.name.clone());
        loop {
            let result = self.refresh().await.map(Some);
            if attempts.settle(result).await?.is_some() {
                return Ok(());
            }
        }
    }

    /// Newest version of `ticks` that is known: of the last refresh or, if later, of the last commit.
    pub fn version(&self) -> u64 {
        self.ticks.version()
    }

    /// Of `ticks`, of `dead_letters` and of `signals`, which may not be there.
    pub fn versions(&self) -> [Option<u64>; 3] {
        let signals = self.signals.as_ref().and_then(SignalsTable::version);
        [Some(self.ticks.version()), Some(self.dead_letters.version()), signals]
    }

    /// How it tries again, and what it counts of that.
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

    /// The topic that lands here.
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
        patiently(NOT_READ, &self.retry, &self.ticks.name, || self.ticks.transaction(&app_id)).await
    }

    /// Dead letters below this offset are in the table. May be ahead of [`Lake::next_offset`] after a crash
    /// between the two commits, and is behind it while there are none.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn dead_next_offset(&self, partition: i32) -> Result<Option<i64>, LakeError> {
        let app_id = app_id(self.epoch(), partition);
        patiently(NOT_READ, &self.retry, &self.dead_letters.name, || self.dead_letters.transaction(&app_id)).await
    }

    /// Where every offset is, per partition of this epoch, as the newest ingest commit has it.
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

    /// Files of `signals`; `None` where live never ran, for a writer, and for the lake as it was.
    ///
    /// # Errors
    /// As [`Lake::ticks`].
    pub fn signals(&self) -> Result<Option<TableView>, LakeError> {
        self.signals.as_ref().map_or(Ok(None), SignalsTable::view)
    }

    /// The lake as it was, for reading: `ticks` at that version, `dead_letters` as it was at the same time.
    ///
    /// # Errors
    /// The log doesn't hold the version, or can't be read.
    pub async fn at(&self, as_of: AsOf) -> Result<Self, LakeError> {
        let ticks = self.ticks.at(as_of).await?;
        let time = ticks.time_of(ticks.version()).await?;
        let time = if let AsOf::Time(asked) = as_of { asked } else { time };
        let dead_letters = match self.dead_letters.at(AsOf::Time(time)).await {
            // It is made right after ticks, without rows.
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

    /// Begins at the root of `ticks`.
    pub fn ticks_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.ticks.store)
    }

    /// Begins at the root of `dead_letters`.
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

    /// The same for several, some of them at a time; returns them in their order.
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

    /// Reads a file of one of the two tables in parts, from the start again by the retry policy while the store fails.
    ///
    /// # Errors
    /// The file is missing or damaged, or the store doesn't give it until the policy gives up.
    pub async fn read_file<T, F>(
        &self,
        view: &TableView,
        file: &DataFile,
        read: impl Fn(StoredFile) -> F,
    ) -> Result<T, FileError>
    where
        F: Future<Output = Result<T, FileError>>,
    {
        let place = format!("{}/{}", view.table_url.as_str().trim_end_matches('/'), file.path);
        let read = patiently(NOT_READ, &self.retry, &place, || async {
            match read(view.stored(file)).await {
                Err(FileError::Store(error)) => Err(error),
                done => Ok(done),
            }
        });
        read.await.unwrap_or_else(|error| Err(FileError::Store(error)))
    }

    /// Adds dead letters under their own transaction, before the ticks of the same batch.
    ///
    /// `base` of each advance is [`Lake::dead_next_offset`] as it was when letters below it were dropped from
    /// the batch. On `Fenced`, and on `AlreadyApplied`, somebody else decided on some of these offsets: read them
    /// again.
    ///
    /// # Errors
    /// The outcome could not be found out within the retry policy.
    pub async fn commit_dead_letters(
        &mut self,
        files: &[NewFile],
        advances: &[Advance],
    ) -> Result<CommitOutcome, LakeError> {
        self.require_mapping().await?;
        let batch = Batch {
            table: Some(CommittedTable::DeadLetters),
            epoch: self.epoch(),
            epoch_property: None,
            partition_column: DEAD_DATE,
            files,
            advances,
            note: None,
            mapping: None,
            reached: None,
        };
        commit(&mut self.dead_letters, &self.retry, &batch).await
    }

    /// Adds rows and moves every partition of the batch to the end of its range, in one commit.
    ///
    /// # Errors
    /// The counts don't add up to the ranges or the rows of the files; the outcome could not be found out
    /// within the retry policy.
    pub async fn commit_ticks(
        &mut self,
        files: &[NewFile],
        advances: &[Advance],
        note: &CommitNote,
    ) -> Result<CommitOutcome, LakeError> {
        let batch = Batch {
            table: Some(CommittedTable::Ticks),
            epoch: self.epoch(),
            epoch_property: Some(EPOCH),
            partition_column: &self.partition_column,
            files,
            advances,
            note: Some(note),
            mapping: self.mapping.as_ref(),
            reached: None,
        };
        commit(&mut self.ticks, &self.retry, &batch).await
    }

    /// The mapping is a property of the other table, and verdicts go by it, too.
    async fn require_mapping(&mut self) -> Result<(), LakeError> {
        let Some(mapping) = &self.mapping else { return Ok(()) };
        let mut attempts = Attempts::new(NOT_READ, &self.retry, &self.ticks.name);
        loop {
            let result = self.ticks.settle_and_follow().await.map(Some);
            if attempts.settle(result).await?.is_some() {
                return mapping.require(&self.ticks);
            }
        }
    }
}

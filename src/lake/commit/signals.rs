//! The table `signals`: what the live task said, exactly once, under transactions of its own.
//!
//! A commit holds the events of `[base, next)` of each partition of the topic of ticks, as a commit of ticks does.
//! Everything that lands in a topic of events lands there before the commit, and the commit says how far that topic was.

use std::sync::Arc;

use bytes::Bytes;
use chrono::Utc;
use object_store::ObjectStore;

use crate::lake::commit::append::{Batch, CommitOutcome, Reached, commit};
use crate::lake::commit::create::open_or_create_signals;
use crate::lake::commit::new_file::NewFile;
use crate::lake::error::LakeError;
use crate::lake::log::newer::{has, has_newer};
use crate::lake::log::record::CommitRecord;
use crate::lake::log::schema::TRADE_DATE;
use crate::lake::log::table::Table;
use crate::lake::log::transactions::{Advance, app_id};
use crate::lake::log::view::TableView;
use crate::lake::maintenance::keep_log::{Upkeep, keep_log};
use crate::lake::store::location::{Location, OWN};
use crate::lake::store::retry::{RetryPolicy, patiently};
use crate::lake::store::root::{StoreSettings, prefixed, root_store};
use crate::lake::store::upload;

/// Name of the table, under the root of the lake.
pub const SIGNALS: &str = "signals";

/// For readers, who may come before the table.
pub(in crate::lake) struct SignalsTable {
    table: Table,
    is_there: bool,
}

impl SignalsTable {
    pub(in crate::lake) async fn open(root: &Arc<dyn ObjectStore>, location: &Location) -> Result<Self, LakeError> {
        let mut signals = Self { table: Table::new(root, location, SIGNALS)?, is_there: false };
        signals.refresh().await?;
        Ok(signals)
    }

    pub(in crate::lake) async fn refresh(&mut self) -> Result<(), LakeError> {
        if !self.is_there {
            self.is_there = self.table.exists().await?;
        }
        if self.is_there { self.table.load().await } else { Ok(()) }
    }

    /// Whether there is a commit that the last refresh didn't see.
    pub(in crate::lake) async fn has_newer(&self) -> Result<bool, LakeError> {
        if self.is_there { has_newer(&self.table).await } else { has(&self.table, 0).await }
    }

    pub(in crate::lake) fn version(&self) -> Option<u64> {
        self.is_there.then(|| self.table.version())
    }

    pub(in crate::lake) fn view(&self) -> Result<Option<TableView>, LakeError> {
        self.is_there.then(|| TableView::of(&self.table)).transpose()
    }
}

/// A handle for the one who writes the table.
pub struct Signals {
    location: Location,
    table: Table,
    own_store: Arc<dyn ObjectStore>,
    epoch: i32,
    retry: RetryPolicy,
    upkeep: Option<Upkeep>,
    maintained_at: u64,
}

impl Signals {
    /// Creates the table if it isn't there. `epoch` is that of the lake's ticks.
    ///
    /// # Errors
    /// The store can't be used, or the table has other columns.
    pub async fn open_or_create(location: &Location, store: &StoreSettings, epoch: i32) -> Result<Self, LakeError> {
        let root = root_store(location, store)?;
        let mut table = Table::new(&root, location, SIGNALS)?;
        open_or_create_signals(location, &mut table).await?;
        let own_store = prefixed(&root, &location.table_url(OWN))?;
        let (location, retry) = (location.clone(), RetryPolicy::default());
        Ok(Self { location, table, own_store, epoch, retry, upkeep: None, maintained_at: 0 })
    }

    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// What [`Self::maintain`] does; nothing without it.
    #[must_use]
    pub fn with_upkeep(mut self, upkeep: Option<Upkeep>) -> Self {
        self.upkeep = upkeep;
        self
    }

    /// Events of ticks below this offset are in the table.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn next_offset(&self, partition: i32) -> Result<Option<i64>, LakeError> {
        let app_id = app_id(self.epoch, partition);
        patiently("signals not read", &self.retry, &self.table.name, || self.table.transaction(&app_id)).await
    }

    /// How far events had come elsewhere at the newest commit.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn reached(&self) -> Result<Reached, LakeError> {
        let record = self.table.newest_record().await?.unwrap_or_default();
        let CommitRecord { events_topic_name: topic_name, events_topic: topic, webhooks_since, .. } = record;
        Ok(Reached { topic_name, topic, webhooks_since })
    }

    /// Files of the version that was loaded when the handle was made.
    ///
    /// # Errors
    /// As [`crate::lake::Lake::ticks`].
    pub fn files(&self) -> Result<TableView, LakeError> {
        TableView::of(&self.table)
    }

    pub fn version(&self) -> u64 {
        self.table.version()
    }

    /// Begins at `_tickhouse` under the root of the lake.
    pub fn own_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.own_store)
    }

    /// Looks after the log when that is due. A failure is only logged: the table is whole without it.
    pub async fn maintain(&mut self) {
        let version = self.version();
        let Some(upkeep) = self.upkeep.filter(|upkeep| version >= self.maintained_at + upkeep.commits) else { return };
        // A handle of its own, that commits don't see.
        match keep_log(&mut self.table.clone(), upkeep, Utc::now()).await {
            Ok(done) => tracing::debug!(?done, "maintained the log of signals"),
            Err(error) => tracing::warn!(%error, "the log of signals was not maintained, trying again later"),
        }
        self.maintained_at = version;
    }

    /// Stores a data file under a new name, by the retry policy.
    ///
    /// # Errors
    /// The file is not in the store when the policy gives up.
    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<(), LakeError> {
        let store: &Arc<dyn ObjectStore> = &self.table.store;
        upload::put(store, &self.location.to_string(), path, bytes, &self.retry).await
    }

    /// Adds files and moves the partitions, in one commit.
    ///
    /// # Errors
    /// The outcome could not be found out within the retry policy.
    pub async fn commit(
        &mut self,
        files: &[NewFile],
        advances: &[Advance],
        reached: &Reached,
    ) -> Result<CommitOutcome, LakeError> {
        let batch = Batch {
            table: None,
            epoch: self.epoch,
            epoch_property: None,
            partition_column: TRADE_DATE,
            files,
            advances,
            note: None,
            mapping: None,
            reached: Some(reached),
        };
        commit(&mut self.table, &self.retry, &batch).await
    }
}

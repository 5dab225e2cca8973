//! The table `signals`: the events of the live task, written exactly once under their own transactions.
//!
//! Like a commit of ticks, a commit holds the events of `[base, next)` of each partition of the topic of ticks. Events
//! are sent to a topic of events before the commit, and the commit records the offsets of that topic.

use std::sync::Arc;

use bytes::Bytes;
use chrono::Utc;
use object_store::ObjectStore;

use crate::lake::commit::append::{CommitBatch, CommitOutcome, EventProgress, commit};
use crate::lake::commit::create::open_or_create_signals;
use crate::lake::commit::new_file::NewFile;
use crate::lake::error::LakeError;
use crate::lake::log::newer_version::{has_newer, has_version};
use crate::lake::log::record::CommitRecord;
use crate::lake::log::schema::TRADE_DATE;
use crate::lake::log::table::Table;
use crate::lake::log::transactions::{Advance, app_id};
use crate::lake::log::view::TableView;
use crate::lake::maintenance::maintain_log::{LogMaintenance, maintain_log};
use crate::lake::store::location::{INTERNAL_FOLDER, Location};
use crate::lake::store::retry::{RetryPolicy, with_retry};
use crate::lake::store::root::{StoreSettings, prefixed, root_store};
use crate::lake::store::upload;

/// Name of the table, under the root of the lake.
pub const SIGNALS: &str = "signals";

/// The table for readers; it may not exist yet.
pub(in crate::lake) struct SignalsReader {
    table: Table,
    exists: bool,
}

impl SignalsReader {
    pub(in crate::lake) async fn open(root: &Arc<dyn ObjectStore>, location: &Location) -> Result<Self, LakeError> {
        let mut signals = Self { table: Table::new(root, location, SIGNALS)?, exists: false };
        signals.refresh().await?;
        Ok(signals)
    }

    pub(in crate::lake) async fn refresh(&mut self) -> Result<(), LakeError> {
        if !self.exists {
            self.exists = self.table.exists().await?;
        }
        if self.exists { self.table.load().await } else { Ok(()) }
    }

    /// Whether there is a commit that the last refresh didn't see.
    pub(in crate::lake) async fn has_newer(&self) -> Result<bool, LakeError> {
        if self.exists { has_newer(&self.table).await } else { has_version(&self.table, 0).await }
    }

    pub(in crate::lake) fn version(&self) -> Option<u64> {
        self.exists.then(|| self.table.version())
    }

    pub(in crate::lake) fn view(&self) -> Result<Option<TableView>, LakeError> {
        self.exists.then(|| TableView::of(&self.table)).transpose()
    }
}

/// The table for its only writer, the live task.
pub struct SignalsWriter {
    location: Location,
    table: Table,
    own_store: Arc<dyn ObjectStore>,
    epoch: i32,
    retry: RetryPolicy,
    log_maintenance: Option<LogMaintenance>,
    maintained_at: u64,
}

impl SignalsWriter {
    /// Creates the table if it doesn't exist. `epoch` is that of the lake's ticks.
    ///
    /// # Errors
    /// The store can't be used, or the table has other columns.
    pub async fn open_or_create(location: &Location, store: &StoreSettings, epoch: i32) -> Result<Self, LakeError> {
        let root = root_store(location, store)?;
        let mut table = Table::new(&root, location, SIGNALS)?;
        open_or_create_signals(location, &mut table).await?;
        let own_store = prefixed(&root, &location.table_url(INTERNAL_FOLDER))?;
        let (location, retry) = (location.clone(), RetryPolicy::default());
        Ok(Self { location, table, own_store, epoch, retry, log_maintenance: None, maintained_at: 0 })
    }

    #[must_use]
    pub fn with_retry_policy(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Configures [`Self::maintain`], which does nothing for `None`.
    #[must_use]
    pub fn with_log_maintenance(mut self, log_maintenance: Option<LogMaintenance>) -> Self {
        self.log_maintenance = log_maintenance;
        self
    }

    /// The table has the events of all ticks below this offset.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn next_offset(&self, partition: i32) -> Result<Option<i64>, LakeError> {
        let app_id = app_id(self.epoch, partition);
        with_retry("signals not read", &self.retry, &self.table.name, || self.table.transaction(&app_id)).await
    }

    /// How far events had reached the other sinks at the newest commit.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn event_progress(&self) -> Result<EventProgress, LakeError> {
        let record = self.table.newest_record().await?.unwrap_or_default();
        let CommitRecord { events_topic_name: topic_name, events_topic: topic, webhooks_since, .. } = record;
        Ok(EventProgress { topic_name, topic, webhooks_since })
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

    /// Paths are relative to `_tickhouse` under the root of the lake.
    pub fn own_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.own_store)
    }

    /// Maintains the log when that is due. A failure is only logged: the table stays complete.
    pub async fn maintain(&mut self) {
        let version = self.version();
        let Some(log_maintenance) =
            self.log_maintenance.filter(|log_maintenance| version >= self.maintained_at + log_maintenance.commits)
        else {
            return;
        };
        // The clone keeps the head of the commits unchanged.
        match maintain_log(&mut self.table.clone(), log_maintenance, Utc::now()).await {
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
    /// The outcome could not be determined within the retry policy.
    pub async fn commit(
        &mut self,
        files: &[NewFile],
        advances: &[Advance],
        event_progress: &EventProgress,
    ) -> Result<CommitOutcome, LakeError> {
        let batch = CommitBatch {
            table: None,
            epoch: self.epoch,
            epoch_property: None,
            partition_column: TRADE_DATE,
            files,
            advances,
            note: None,
            mapping: None,
            event_progress: Some(event_progress),
        };
        commit(&mut self.table, &self.retry, &batch).await
    }
}

//! Maintenance of a lake: checkpoints, clean-up of the logs, temporary files of killed processes, and the operations
//! that a compaction needs.
//!
//! Any number of workers may run it: a checkpoint is the same whoever writes it, and of two workers that replace files
//! only one commits.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use object_store::ObjectStore;

use crate::lake::audit::state::Audit;
use crate::lake::commit::replace::{MaintenanceBase, ReplaceOutcome, Replacement, maintenance_base, replace};
use crate::lake::commit::signals::SIGNALS;
use crate::lake::error::LakeError;
use crate::lake::log::checkpoint_hint::newest_checkpoint;
use crate::lake::log::newer_version::has_newer;
use crate::lake::log::table::Table;
use crate::lake::log::view::TableView;
use crate::lake::maintenance::maintain_log::{LogMaintenance, LogMaintenanceStats, maintain_log};
use crate::lake::store::location::Location;
use crate::lake::store::retry::RetryPolicy;
use crate::lake::store::root::{StoreSettings, root_store};
use crate::lake::store::root_folder::require_folder;

/// Separate handles on the tables of a lake, for maintenance.
pub struct LakeMaintenance {
    location: Location,
    root: Arc<dyn ObjectStore>,
    tables: Vec<MaintainedTable>,
}

/// A table of the lake under maintenance.
pub struct MaintainedTable {
    /// Name of the table, such as `ticks`.
    pub name: &'static str,
    table: Table,
}

impl LakeMaintenance {
    /// Opens the tables of a lake; `signals` only if it exists.
    ///
    /// # Errors
    /// There is no lake, or it can't be read.
    pub async fn open(location: &Location, store: &StoreSettings) -> Result<Self, LakeError> {
        require_folder(location)?;
        let root = root_store(location, store)?;
        let mut maintenance = Self { location: location.clone(), root, tables: Vec::new() };
        maintenance.refresh().await?;
        if maintenance.tables.is_empty() {
            return Err(LakeError::NoTable { location: location.to_string() });
        }
        Ok(maintenance)
    }

    /// Loads the newest versions, and opens tables that were created since.
    ///
    /// # Errors
    /// A log can't be read.
    pub async fn refresh(&mut self) -> Result<(), LakeError> {
        for name in ["ticks", "dead_letters", SIGNALS] {
            if self.tables.iter().all(|table| table.name != name) {
                let table = Table::new(&self.root, &self.location, name)?;
                if table.exists().await? {
                    self.tables.push(MaintainedTable { name, table });
                }
            }
        }
        for MaintainedTable { table, .. } in &mut self.tables {
            table.load().await?;
        }
        Ok(())
    }

    pub fn tables(&mut self) -> &mut [MaintainedTable] {
        &mut self.tables
    }

    pub fn location(&self) -> &Location {
        &self.location
    }

    pub(in crate::lake) fn root(&self) -> &Arc<dyn ObjectStore> {
        &self.root
    }

    /// Version of the newest checkpoint of the first table; 0 if there is none.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn checkpoint(&self) -> Result<u64, LakeError> {
        match self.tables.first() {
            Some(ticks) => newest_checkpoint(&ticks.table.store, &ticks.table.name).await,
            None => Ok(0),
        }
    }

    /// Writes a checkpoint of each table that is `commits` or more ahead of its last one; with `clean` also deletes log
    /// files beyond the log retention of the table (7 days). Otherwise it only makes two small reads.
    ///
    /// # Errors
    /// The store can't be read or written. The tables stay complete in any case.
    pub async fn run(
        &mut self,
        log_maintenance: LogMaintenance,
        now: DateTime<Utc>,
    ) -> Result<LogMaintenanceStats, LakeError> {
        let mut done = LogMaintenanceStats::default();
        for MaintainedTable { table, .. } in &mut self.tables {
            let of_table = maintain_log(table, log_maintenance, now).await?;
            done.checkpoints += of_table.checkpoints;
            done.checkpoint_bytes += of_table.checkpoint_bytes;
            done.log_files_deleted += of_table.log_files_deleted;
        }
        Ok(done)
    }
}

impl LakeMaintenance {
    /// Deletes temporary files of killed processes and returns their number.
    ///
    /// # Errors
    /// The folder can't be read, or a file not be deleted.
    pub async fn remove_temporary_files(&self) -> Result<usize, LakeError> {
        Audit::of(&self.location, &self.root).remove_temporary_files().await
    }
}

impl MaintainedTable {
    /// # Errors
    /// The log can't be read.
    pub async fn load(&mut self) -> Result<(), LakeError> {
        self.table.load().await
    }

    pub fn version(&self) -> u64 {
        self.table.version()
    }

    /// Commits that a reader replays: those after the last checkpoint.
    ///
    /// # Errors
    /// The store doesn't answer.
    pub async fn commits_since_checkpoint(&self) -> Result<u64, LakeError> {
        let newest = newest_checkpoint(&self.table.store, &self.table.name).await?;
        Ok(self.table.version().saturating_sub(newest))
    }

    /// Files of the newest version that was loaded.
    ///
    /// # Errors
    /// As [`crate::lake::Lake::ticks`].
    pub fn files(&self) -> Result<TableView, LakeError> {
        TableView::of(&self.table)
    }

    /// The state for [`Self::replace`]; must be read before files of [`Self::files`] are selected.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn maintenance_base(&self) -> Result<MaintenanceBase, LakeError> {
        maintenance_base(&self.table).await
    }

    /// Whether somebody committed since the files were loaded.
    ///
    /// # Errors
    /// The store doesn't answer.
    pub async fn has_newer(&self) -> Result<bool, LakeError> {
        has_newer(&self.table).await
    }

    /// A property such as `delta.dataSkippingStatsColumns`.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.table.property(key)
    }

    /// # Errors
    /// Rows of this table may not leave it.
    pub fn require_rows_may_leave(&self) -> Result<(), LakeError> {
        self.table.require_rows_may_leave()
    }

    /// Removes files from the table and adds others, in one commit.
    ///
    /// # Errors
    /// The numbers of rows differ; the outcome could not be determined within the retry policy.
    pub async fn replace(
        &mut self,
        replacement: &Replacement<'_>,
        retry: &RetryPolicy,
    ) -> Result<ReplaceOutcome, LakeError> {
        replace(&mut self.table, retry, replacement).await
    }
}

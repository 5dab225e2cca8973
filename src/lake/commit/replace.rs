//! Replaces files by others with the same rows, or removes files, in one commit.
//!
//! Correctness depends neither on a clock nor on a lease: a commit succeeds only if the transaction of maintenance is
//! unchanged since the files were selected, so only one of two concurrent maintainers commits. Ingest commits in
//! between don't matter, as they only add files. They do matter when the zone of the trade dates changes, because the
//! rows that they add have dates of the old zone.

use std::collections::HashMap;

use deltalake::kernel::{Action, Add, MetadataExt, Remove, Transaction};
use deltalake::logstore::LogStore;
use deltalake::protocol::DeltaOperation;
use uuid::Uuid;

use crate::lake::commit::append::{add_without_rows, partition_values};
use crate::lake::commit::new_file::{NewFile, require_not_expired};
use crate::lake::commit::put::PutOutcome;
use crate::lake::error::LakeError;
use crate::lake::log::actions::parse_commit;
use crate::lake::log::damage::damaged_commit;
use crate::lake::log::properties::MARKET_ZONE;
use crate::lake::log::record::{CommitRecord, ExpiredRows};
use crate::lake::log::table::Table;
use crate::lake::log::view::DataFile;
use crate::lake::store::retry::{RetryLoop, RetryPolicy};
use crate::util::crash::{self, CrashPoint};

const APP_ID: &str = "tickhouse/maintain";
const INFO_KEY: &str = "tickhouseMaintenance";

/// The state of a table when maintenance selected files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaintenanceBase {
    /// Version of the snapshot.
    pub(in crate::lake) version: u64,
    /// Version of the maintenance transaction.
    pub(in crate::lake) transaction: Option<i64>,
}

impl MaintenanceBase {
    /// The state after a commit of this maintainer, for files that were selected before it.
    #[must_use]
    pub fn after(self, version: u64) -> Self {
        Self { version, transaction: Some(self.next()) }
    }

    fn next(self) -> i64 {
        self.transaction.unwrap_or(0) + 1
    }
}

/// Files to remove from a table, and those to add.
#[derive(Debug, Clone, Copy)]
pub struct Replacement<'a> {
    pub base: MaintenanceBase,
    pub removed: &'a [DataFile],
    pub added: &'a [NewFile],
    pub partition_column: &'a str,
    /// Rows that leave `ticks` for good, for the counters.
    pub expired: Option<&'a ExpiredRows>,
    /// The zone of trade dates from this commit on: the same rows get other dates.
    pub market_zone: Option<&'a str>,
    /// Time of the removal, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// What became of it.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplaceOutcome {
    Committed {
        version: u64,
    },
    /// Another maintainer changed files in between: the new files are orphans, and the caller has to select files
    /// again.
    Conflict,
}

pub(in crate::lake) async fn maintenance_base(table: &Table) -> Result<MaintenanceBase, LakeError> {
    let state = table.snapshot()?;
    let version = state.version();
    let transaction = state.transaction_version(table.log.as_ref(), APP_ID).await;
    Ok(MaintenanceBase {
        version,
        transaction: transaction.map_err(|error| table.error("read the transaction", error))?,
    })
}

pub(in crate::lake) async fn replace(
    table: &mut Table,
    retry: &RetryPolicy,
    replacement: &Replacement<'_>,
) -> Result<ReplaceOutcome, LakeError> {
    replacement.check(&table.name)?;
    let mut commit = ReplaceCommit {
        replacement,
        id: Uuid::new_v4().to_string(),
        seen: replacement.base.version,
        table: &mut *table,
    };
    let name = commit.table.name.clone();
    let mut attempts = RetryLoop::new("maintenance not confirmed", retry, &name);
    loop {
        let result = commit.attempt().await;
        if let Some(outcome) = attempts.settle(result).await? {
            return Ok(outcome);
        }
    }
}

struct ReplaceCommit<'a> {
    replacement: &'a Replacement<'a>,
    /// Distinguishes this commit from those of other maintainers.
    id: String,
    /// Commits up to this version were inspected.
    seen: u64,
    table: &'a mut Table,
}

impl ReplaceCommit<'_> {
    /// `None` if another writer was faster and the commit has to be tried again.
    async fn attempt(&mut self) -> Result<Option<ReplaceOutcome>, LakeError> {
        self.table.settle_head().await?;
        if let Some(outcome) = self.find_outcome().await? {
            return Ok(Some(outcome));
        }
        // The newest commit must have the complete counters, whatever is cleaned from the log.
        let mut record = self.table.remember_record().await?.map(CommitRecord::without_reason);
        if let Some((record, expired)) = record.as_mut().zip(self.replacement.expired) {
            record.expire(expired);
        }
        require_not_expired(&self.table.name, self.replacement.added)?;
        let info = HashMap::from([(INFO_KEY.to_owned(), self.id.clone().into())]);
        let transactions = vec![Transaction::new(APP_ID, self.replacement.base.next())];
        let (mut actions, operation) = (self.replacement.actions(), self.replacement.operation());
        if let Some(zone) = self.replacement.market_zone {
            let metadata = self.table.metadata().clone().add_config_key(MARKET_ZONE.to_owned(), zone.to_owned());
            actions.push(Action::Metadata(metadata.map_err(|error| self.table.error("change the zone", error))?));
        }
        crash::at(CrashPoint::Replacing);
        let put = self.table.put_next_with(info, actions, operation, record.as_ref(), transactions).await?;
        crash::at(CrashPoint::Replaced);
        match put {
            (version, PutOutcome::Stored) => Ok(Some(ReplaceOutcome::Committed { version })),
            (_, PutOutcome::Exists) => {
                self.table.catch_up().await?;
                self.find_outcome().await
            }
        }
    }

    /// Inspects the commits since: `Some` if this commit is among them, or if one of them conflicts with it.
    async fn find_outcome(&mut self) -> Result<Option<ReplaceOutcome>, LakeError> {
        for version in self.seen + 1..=self.table.version() {
            let read = self.table.log.read_commit_entry(version).await;
            let Some(commit) = read.map_err(|error| self.table.error("read a commit", error))? else {
                // The commit was cleaned up: this process was suspended for days.
                return Ok(Some(ReplaceOutcome::Conflict));
            };
            let actions = parse_commit(&commit).map_err(|detail| damaged_commit(&self.table.name, version, detail))?;
            let id = actions.iter().find_map(|action| action.info.as_ref()?.maintenance.as_deref());
            if id == Some(&self.id) {
                return Ok(Some(ReplaceOutcome::Committed { version }));
            }
            if self.replacement.market_zone.is_some() {
                return Ok(Some(ReplaceOutcome::Conflict));
            }
            // Only maintenance and other tools remove files from these tables.
            let takes_files = |action: &crate::lake::log::actions::Action| {
                action.txn.as_ref().is_some_and(|txn| txn.app_id == APP_ID) || action.remove.is_some()
            };
            if actions.iter().any(takes_files) {
                return Ok(Some(ReplaceOutcome::Conflict));
            }
            self.seen = version;
        }
        Ok(None)
    }
}

impl Replacement<'_> {
    /// A rewrite replaces files by others with the same rows; otherwise files are only removed.
    fn is_rewrite(&self) -> bool {
        !self.added.is_empty()
    }

    fn check(&self, table: &str) -> Result<(), LakeError> {
        let (rows, is_there) = match (self.is_rewrite(), self.expired) {
            (true, _) => (self.added.iter().map(|file| file.rows).sum::<i64>(), "in the place of"),
            (false, Some(expired)) => (expired.rows.values().sum(), "counted in files of"),
            (false, None) => return Ok(()),
        };
        let of_file = |file: &DataFile| file.rows.and_then(|rows| i64::try_from(rows).ok());
        let removed: Option<i64> = self.removed.iter().map(of_file).sum();
        if removed == Some(rows) {
            return Ok(());
        }
        let removed = removed.map_or_else(|| "an unknown number of".to_owned(), |rows| rows.to_string());
        Err(LakeError::Unbalanced(format!("{table}: {rows} rows {is_there} {removed} rows")))
    }

    fn operation(&self) -> DeltaOperation {
        if let Some(zone) = self.market_zone {
            return match self.is_rewrite() {
                true => DeltaOperation::Update { predicate: None },
                false => DeltaOperation::SetTableProperties {
                    properties: HashMap::from([(MARKET_ZONE.to_owned(), zone.to_owned())]),
                },
            };
        }
        match self.is_rewrite() {
            true => DeltaOperation::Optimize { predicate: None, target_size: 0 },
            false => DeltaOperation::Delete { predicate: None },
        }
    }

    fn actions(&self) -> Vec<Action> {
        // A rewrite adds rows that a reader of the change feed has seen already, except that they have other dates in a
        // new zone.
        let data_change = !self.is_rewrite() || self.market_zone.is_some();
        let remove = |file: &DataFile| {
            Action::Remove(Remove {
                path: file.path.to_string(),
                data_change,
                deletion_timestamp: Some(self.now_ms),
                extended_file_metadata: Some(true),
                partition_values: Some(partition_values(self.partition_column, file.partition_value)),
                size: i64::try_from(file.bytes).ok(),
                tags: None,
                deletion_vector: None,
                base_row_id: None,
                default_row_commit_version: None,
            })
        };
        let add = |file| Action::Add(Add { data_change, ..add_without_rows(self.partition_column, file, self.now_ms) });
        self.removed.iter().map(remove).chain(self.added.iter().map(add)).collect()
    }
}

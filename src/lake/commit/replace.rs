//! Files that take the place of others with the same rows, in one commit; and files that leave.
//!
//! Nothing here goes by a clock or by a lease: a commit goes in only while the transaction of maintenance is what it was
//! when the files were chosen, so of two maintainers that chose at the same time one commits. Commits of ingest in
//! between don't matter: they add files and take none away. They do where the zone of the trade dates changes, for what
//! they add has dates of the old one.

use std::collections::HashMap;

use deltalake::kernel::{Action, Add, MetadataExt, Remove, Transaction};
use deltalake::logstore::LogStore;
use deltalake::protocol::DeltaOperation;
use uuid::Uuid;

use crate::lake::commit::append::{add_without_rows, partition_values};
use crate::lake::commit::new_file::{NewFile, require_young};
use crate::lake::commit::put::Put;
use crate::lake::error::LakeError;
use crate::lake::log::actions::parse_commit;
use crate::lake::log::damage::damaged_commit;
use crate::lake::log::properties::MARKET_ZONE;
use crate::lake::log::record::{CommitRecord, Expired};
use crate::lake::log::table::Table;
use crate::lake::log::view::DataFile;
use crate::lake::store::retry::{Attempts, RetryPolicy};
use crate::util::crash::{self, CrashPoint};

const APP_ID: &str = "tickhouse/maintain";
const INFO_KEY: &str = "tickhouseMaintenance";

/// What maintenance goes by: the state of a table when files were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// Version of the snapshot.
    pub(in crate::lake) version: u64,
    /// Transaction of maintenance.
    pub(in crate::lake) base: Option<i64>,
}

impl Chosen {
    /// The state after an own commit, for files that were chosen before it.
    #[must_use]
    pub fn after(self, version: u64) -> Self {
        Self { version, base: Some(self.next()) }
    }

    fn next(self) -> i64 {
        self.base.unwrap_or(0) + 1
    }
}

/// Files that leave a table, and those that come for them.
#[derive(Debug, Clone, Copy)]
pub struct Replacement<'a> {
    pub chosen: Chosen,
    pub removed: &'a [DataFile],
    pub added: &'a [NewFile],
    pub partition_column: &'a str,
    /// Where files of ticks leave for good: the counters tell of their rows.
    pub expired: Option<&'a Expired>,
    /// The zone of trade dates from this commit on: the same rows come with other dates.
    pub market_zone: Option<&'a str>,
    /// When the files leave, milliseconds since the epoch.
    pub now_ms: i64,
}

/// What became of it.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    Committed {
        version: u64,
    },
    /// Somebody else changed files since: what was made is an orphan, and the files are chosen again.
    Outrun,
}

pub(in crate::lake) async fn chosen(table: &Table) -> Result<Chosen, LakeError> {
    let state = table.snapshot()?;
    let version = state.version();
    let base = state.transaction_version(table.log.as_ref(), APP_ID).await;
    Ok(Chosen { version, base: base.map_err(|error| table.error("read the transaction", error))? })
}

pub(in crate::lake) async fn replace(
    table: &mut Table,
    retry: &RetryPolicy,
    replacement: &Replacement<'_>,
) -> Result<Replaced, LakeError> {
    replacement.check(&table.name)?;
    let mut commit =
        Commit { replacement, id: Uuid::new_v4().to_string(), seen: replacement.chosen.version, table: &mut *table };
    let name = commit.table.name.clone();
    let mut attempts = Attempts::new("maintenance not confirmed", retry, &name);
    loop {
        let result = commit.attempt().await;
        if let Some(outcome) = attempts.settle(result).await? {
            return Ok(outcome);
        }
    }
}

struct Commit<'a> {
    replacement: &'a Replacement<'a>,
    /// Tells it from what another maintainer commits.
    id: String,
    /// Commits up to this one were looked at.
    seen: u64,
    table: &'a mut Table,
}

impl Commit<'_> {
    /// `None`: another writer was faster, and it is still to be committed.
    async fn attempt(&mut self) -> Result<Option<Replaced>, LakeError> {
        self.table.settle_head().await?;
        if let Some(outcome) = self.look().await? {
            return Ok(Some(outcome));
        }
        // One commit tells the state, whatever is cleaned from the log.
        let mut record = self.table.remember_record().await?.map(CommitRecord::repeated);
        if let Some((record, expired)) = record.as_mut().zip(self.replacement.expired) {
            record.expire(expired);
        }
        require_young(&self.table.name, self.replacement.added)?;
        let info = HashMap::from([(INFO_KEY.to_owned(), self.id.clone().into())]);
        let transactions = vec![Transaction::new(APP_ID, self.replacement.chosen.next())];
        let (mut actions, operation) = (self.replacement.actions(), self.replacement.operation());
        if let Some(zone) = self.replacement.market_zone {
            let metadata = self.table.metadata().clone().add_config_key(MARKET_ZONE.to_owned(), zone.to_owned());
            actions.push(Action::Metadata(metadata.map_err(|error| self.table.error("change the zone", error))?));
        }
        crash::at(CrashPoint::Replacing);
        let put = self.table.put_next_with(info, actions, operation, record.as_ref(), transactions).await?;
        crash::at(CrashPoint::Replaced);
        match put {
            (version, Put::Stored) => Ok(Some(Replaced::Committed { version })),
            (_, Put::Exists) => {
                self.table.catch_up().await?;
                self.look().await
            }
        }
    }

    /// Looks at the commits since: whether it is there, or can't be any more.
    async fn look(&mut self) -> Result<Option<Replaced>, LakeError> {
        for version in self.seen + 1..=self.table.version() {
            let read = self.table.log.read_commit_entry(version).await;
            let Some(commit) = read.map_err(|error| self.table.error("read a commit", error))? else {
                // Cleaned away: this process slept for days.
                return Ok(Some(Replaced::Outrun));
            };
            let actions = parse_commit(&commit).map_err(|detail| damaged_commit(&self.table.name, version, detail))?;
            let id = actions.iter().find_map(|action| action.info.as_ref()?.maintenance.as_deref());
            if id == Some(&self.id) {
                return Ok(Some(Replaced::Committed { version }));
            }
            if self.replacement.market_zone.is_some() {
                return Ok(Some(Replaced::Outrun));
            }
            // Nothing else takes files out of these tables. Another tool's may be among those of a later commit.
            let takes_files = |action: &crate::lake::log::actions::Action| {
                action.txn.as_ref().is_some_and(|txn| txn.app_id == APP_ID) || action.remove.is_some()
            };
            if actions.iter().any(takes_files) {
                return Ok(Some(Replaced::Outrun));
            }
            self.seen = version;
        }
        Ok(None)
    }
}

impl Replacement<'_> {
    /// What is added takes the place of what is removed, row for row; or nothing is added, and rows leave.
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
        // Rows that a reader of changes has seen already come again in a rewrite, but with other dates in a new zone.
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

//! The put of the next version of a table; every commit is made here.
//!
//! Invariants: every file that a commit adds is complete in the store before the put; and no row is removed from an
//! append-only table.

use std::collections::HashMap;

use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action, Transaction};
use deltalake::logstore::commit_uri_from_version;
use deltalake::protocol::DeltaOperation;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde_json::Value;

use crate::lake::error::LakeError;
use crate::lake::log::record::{CommitRecord, RECORD_KEY};
use crate::lake::log::table::Table;
use crate::lake::store::folder::{AddedFile, CommitInto, NotAsWritten};

/// Concurrent HEAD requests for the files of one commit.
const PARALLEL_HEAD_REQUESTS: usize = 16;

/// Table property: rows may be added but never removed.
const APPEND_ONLY: &str = "delta.appendOnly";

/// Outcome of putting one version.
pub(in crate::lake) enum PutOutcome {
    Stored,
    /// The version exists already, written by another writer or by an earlier attempt of ours.
    Exists,
}

impl Table {
    /// Puts the version after the head, or version 0 of a table that isn't loaded. After any outcome but `Stored` the
    /// head must follow the log before it is used.
    pub(in crate::lake) async fn put_next(
        &mut self,
        actions: Vec<Action>,
        operation: DeltaOperation,
        record: Option<&CommitRecord>,
        transactions: Vec<Transaction>,
    ) -> Result<(u64, PutOutcome), LakeError> {
        self.put_next_with(HashMap::new(), actions, operation, record, transactions).await
    }

    /// Like [`Self::put_next`], with more fields in the commitInfo.
    pub(in crate::lake) async fn put_next_with(
        &mut self,
        mut info: HashMap<String, Value>,
        actions: Vec<Action>,
        operation: DeltaOperation,
        record: Option<&CommitRecord>,
        transactions: Vec<Transaction>,
    ) -> Result<(u64, PutOutcome), LakeError> {
        let version = self.head.as_ref().map_or(0, |head| head.version + 1);
        self.require_allowed(&actions)?;
        let condition = self.condition_for(&actions).await?;
        if let Some(record) = record {
            let record = serde_json::to_value(record).expect("a record holds text, numbers and maps of them");
            info.insert(RECORD_KEY.to_owned(), record);
        }
        let data = CommitData::new(actions, operation, info, transactions);
        let bytes = data.get_bytes().map_err(|error| self.error("write a commit", error))?;
        let changes = self.changes(version, &bytes)?;
        self.stale = true;
        let mut options = PutOptions::from(PutMode::Create);
        options.extensions.insert(condition);
        match self.store.put_opts(&commit_uri_from_version(Some(version)), bytes.into(), options).await {
            Ok(_) => {
                if let Some(head) = &mut self.head {
                    head.advance(changes);
                    self.stale = false;
                }
                Ok((version, PutOutcome::Stored))
            }
            Err(Error::AlreadyExists { .. }) => Ok((version, PutOutcome::Exists)),
            Err(Error::Precondition { source, .. }) if source.is::<NotAsWritten>() => Err(self.gone(source.as_ref())),
            Err(error) => Err(LakeError::store("write a commit", &self.name, &error)),
        }
    }

    /// The condition of the put. Every file that a commit adds must exist just before the put. On a local disk the put
    /// itself checks this, in the folder that the commit is written to.
    async fn condition_for(&self, actions: &[Action]) -> Result<CommitInto, LakeError> {
        if self.head.is_none() {
            return Ok(CommitInto::NewTable);
        }
        let added = actions.iter().filter_map(|action| match action {
            Action::Add(add) => Some(AddedFile { path: add.path.clone(), bytes: add.size.unsigned_abs() }),
            _ => None,
        });
        let files: Vec<AddedFile> = added.collect();
        if self.folder.is_none() {
            let check = |file: &AddedFile| {
                let file = file.clone();
                async move {
                    let found = match self.store.head(&Path::from(file.path.as_str())).await {
                        Ok(found) => Some(found.size),
                        Err(Error::NotFound { .. }) => None,
                        Err(error) => return Err(LakeError::store("look for a data file", &self.name, &error)),
                    };
                    file.check(found).map_err(|wrong| self.gone(&wrong))
                }
            };
            stream::iter(files.iter().map(check)).buffer_unordered(PARALLEL_HEAD_REQUESTS).try_collect::<()>().await?;
        }
        Ok(CommitInto::Table { folder: self.loaded_from, files })
    }

    fn gone(&self, wrong: &dyn std::error::Error) -> LakeError {
        LakeError::FileGone { file: format!("{}/{wrong}", self.name) }
    }

    /// A compaction removes files but no rows, which every table allows.
    fn require_allowed(&self, actions: &[Action]) -> Result<(), LakeError> {
        match actions.iter().any(|action| matches!(action, Action::Remove(remove) if remove.data_change)) {
            true => self.require_rows_may_leave(),
            false => Ok(()),
        }
    }

    /// # Errors
    /// The table is append-only.
    pub(in crate::lake) fn require_rows_may_leave(&self) -> Result<(), LakeError> {
        match self.property(APPEND_ONLY).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            true => Err(LakeError::AppendOnly { table: self.name.clone() }),
            false => Ok(()),
        }
    }
}

//! Moves damaged files of a log out of the way, each after a copy was made.
//!
//! Invariant: nothing is deleted before its copy is in the store.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::lake::audit::state::{Audit, AuditedTable};
use crate::lake::error::LakeError;
use crate::lake::log::checkpoint_hint::{CHECKPOINT_HINT, LastCheckpoint};
use crate::lake::store::location::INTERNAL_FOLDER;
use crate::lake::store::log_file::{LOG, commit_name, versioned};
use crate::lake::store::root::prefixed;

/// Repairs logs; copies go to `_tickhouse/doctor/<time>/<table>/_delta_log/..` under the root of the lake.
pub struct LogRepair {
    own: Arc<dyn ObjectStore>,
    /// Relative to the root of the lake.
    pub folder: String,
}

impl LogRepair {
    /// # Errors
    /// The settings don't describe a store.
    pub fn new(audit: &Audit, at: DateTime<Utc>) -> Result<Self, LakeError> {
        let own = prefixed(&audit.root, &audit.location.table_url(INTERNAL_FOLDER))?;
        Ok(Self { own, folder: format!("{INTERNAL_FOLDER}/doctor/{}", at.format("%Y%m%dT%H%M%S%.3fZ")) })
    }

    /// Removes the newest commit; `false` if another one follows it by now, in which case nothing is done.
    ///
    /// # Errors
    /// The store can't be read or written.
    pub async fn remove_last_commit(&self, table: &AuditedTable) -> Result<bool, LakeError> {
        let failed = |error: object_store::Error| LakeError::store("look for a newer commit", &table.location, &error);
        match table.store.head(&Path::from_iter([LOG, &commit_name(table.newest + 1)])).await {
            Err(object_store::Error::NotFound { .. }) => {}
            Ok(_) => return Ok(false),
            Err(error) => return Err(failed(error)),
        }
        self.back_up_and_delete(table, &Path::from_iter([LOG, &commit_name(table.newest)])).await?;
        Ok(true)
    }

    /// Removes `_last_checkpoint`: readers then list the log.
    ///
    /// # Errors
    /// The store can't be read or written.
    pub async fn remove_checkpoint_hint(&self, table: &AuditedTable) -> Result<(), LakeError> {
        self.back_up_and_delete(table, &Path::from_iter([LOG, CHECKPOINT_HINT])).await
    }

    /// Removes all parts of a checkpoint, and the hint if it names that checkpoint.
    ///
    /// # Errors
    /// The store can't be read or written.
    pub async fn remove_checkpoint(&self, table: &AuditedTable, version: u64) -> Result<(), LakeError> {
        let failed = |error: object_store::Error| LakeError::store("list the log", &table.location, &error);
        let hint = Path::from_iter([LOG, CHECKPOINT_HINT]);
        match table.store.get(&hint).await {
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(error)),
            Ok(found) => {
                let bytes = found.bytes().await.map_err(failed)?;
                let named = serde_json::from_slice::<LastCheckpoint>(&bytes).ok();
                if named.is_none_or(|named| named.version == version) {
                    self.back_up_and_delete(table, &hint).await?;
                }
            }
        }
        let files = table.store.list(Some(&Path::from(LOG))).map_ok(|file| file.location);
        let files: Vec<Path> = files.try_collect().await.map_err(failed)?;
        for file in files {
            if versioned(&file).is_some_and(|(of, rest)| of == version && rest.starts_with(".checkpoint.")) {
                self.back_up_and_delete(table, &file).await?;
            }
        }
        Ok(())
    }

    async fn back_up_and_delete(&self, table: &AuditedTable, file: &Path) -> Result<(), LakeError> {
        let failed = |action, error: object_store::Error| LakeError::store(action, &table.location, &error);
        let bytes = async { table.store.get(file).await?.bytes().await }.await;
        let bytes = bytes.map_err(|error| failed("read a damaged file", error))?;
        let name = table.location.rsplit('/').next().unwrap_or_default();
        let below = self.folder.strip_prefix(INTERNAL_FOLDER).unwrap_or(&self.folder).trim_start_matches('/');
        let copy = Path::from(format!("{below}/{name}/{file}"));
        let put = self.own.put(&copy, PutPayload::from_bytes(bytes)).await;
        put.map_err(|error| failed("copy a damaged file", error))?;
        table.store.delete(file).await.map_err(|error| failed("delete a damaged file", error))
    }
}

//! Whether a table has commits that its snapshot doesn't have.

use deltalake::logstore::commit_uri_from_version;
use object_store::ObjectStoreExt;

use crate::lake::error::LakeError;
use crate::lake::log::table::Table;

/// Whether there is a commit after the snapshot.
pub(in crate::lake) async fn has_newer(table: &Table) -> Result<bool, LakeError> {
    has_version(table, table.snapshot()?.version() + 1).await
}

pub(in crate::lake) async fn has_version(table: &Table, version: u64) -> Result<bool, LakeError> {
    match table.store.head(&commit_uri_from_version(Some(version))).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(LakeError::store("look for a newer commit", &table.name, &error)),
    }
}

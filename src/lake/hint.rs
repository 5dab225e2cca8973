//! `_last_checkpoint`: which checkpoint is the newest, as its writer says.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Deserialize;

use super::error::LakeError;
use super::log_file::LOG;

pub(super) const HINT: &str = "_last_checkpoint";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LastCheckpoint {
    pub version: u64,
    pub size_in_bytes: Option<u64>,
    /// By the store's clock; of what [`last_checkpoint`] read.
    #[serde(skip)]
    pub written: DateTime<Utc>,
}

/// `None` where there is none or it can't be read; `place` is the table, whose root `store` begins at.
///
/// # Errors
/// The store doesn't answer.
pub(super) async fn last_checkpoint(
    store: &Arc<dyn ObjectStore>,
    place: &str,
) -> Result<Option<LastCheckpoint>, LakeError> {
    let read = async {
        let found = store.get(&Path::from_iter([LOG, HINT])).await?;
        Ok((found.meta.last_modified, found.bytes().await?))
    };
    match read.await {
        Ok((written, hint)) => Ok(serde_json::from_slice(&hint).ok().map(|hint| LastCheckpoint { written, ..hint })),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(LakeError::store("read the checkpoint hint", place, &error)),
    }
}

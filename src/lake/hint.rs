//! `_last_checkpoint`: which checkpoint is the newest, as its writer says.

use std::sync::Arc;

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
}

/// `None` where there is none or it can't be read; `place` is the table, whose root `store` begins at.
///
/// # Errors
/// The store doesn't answer.
pub(super) async fn last_checkpoint(
    store: &Arc<dyn ObjectStore>,
    place: &str,
) -> Result<Option<LastCheckpoint>, LakeError> {
    let read = async { store.get(&Path::from_iter([LOG, HINT])).await?.bytes().await };
    match read.await {
        Ok(hint) => Ok(serde_json::from_slice(&hint).ok()),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(LakeError::store("read the checkpoint hint", place, &error)),
    }
}

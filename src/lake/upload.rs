//! Data files into the store, again and again until they are there.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::error::LakeError;
use super::retry::{Attempts, RetryPolicy};

/// Puts a file under a name that nobody else uses, so that a repeated put is harmless.
pub(super) async fn put(
    store: &Arc<dyn ObjectStore>,
    place: &str,
    path: &str,
    bytes: Bytes,
    retry: &RetryPolicy,
) -> Result<(), LakeError> {
    let path = Path::from(path);
    let mut attempts = Attempts::new("data file not stored", retry, place);
    loop {
        let put = store.put(&path, PutPayload::from_bytes(bytes.clone())).await;
        let put = put.map(|_| Some(())).map_err(|error| LakeError::store("write a data file", place, &error));
        if attempts.settle(put).await?.is_some() {
            return Ok(());
        }
    }
}

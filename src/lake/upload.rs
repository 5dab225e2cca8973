//! Data files into the store, again and again until they are there.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::error::LakeError;
use super::retry::{RetryPolicy, patiently};

/// Puts a file under a name that nobody else uses, so that a repeated put is harmless.
pub(super) async fn put(
    store: &Arc<dyn ObjectStore>,
    place: &str,
    path: &str,
    bytes: Bytes,
    retry: &RetryPolicy,
) -> Result<(), LakeError> {
    let path = Path::from(path);
    patiently("data file not stored", retry, place, || async {
        let put = store.put(&path, PutPayload::from_bytes(bytes.clone())).await;
        put.map(drop).map_err(|error| LakeError::store("write a data file", place, &error))
    })
    .await
}

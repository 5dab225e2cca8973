//! Data files into the store, again and again until they are there.

use std::sync::Arc;

use bytes::Bytes;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tokio::io::AsyncWriteExt;

use super::error::{LakeError, StoreProblem};
use super::location::Location;
use super::retry::{RetryPolicy, patiently};
use super::store::{StoreSettings, root_store};

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

/// Stores a file as one object, which appears when it is complete. `target` names the object where that of a lake
/// names a prefix.
///
/// # Errors
/// The store refuses it or is away.
pub async fn store_result(
    target: &Location,
    settings: &StoreSettings,
    mut file: tokio::fs::File,
) -> Result<(), LakeError> {
    let Location::S3 { prefix, .. } = target else { return Ok(()) };
    let store = root_store(target, settings)?;
    let mut writer = BufWriter::new(store, Path::from(prefix.as_str()));
    let copied = tokio::io::copy(&mut file, &mut writer).await;
    let written = match copied {
        Ok(_) => writer.shutdown().await,
        Err(error) => writer.abort().await.map_err(std::io::Error::from).and(Err(error)),
    };
    written.map_err(|error| LakeError::Store {
        action: "write the result",
        location: target.to_string(),
        problem: StoreProblem::of(&error),
    })
}

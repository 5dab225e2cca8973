//! Uploads data files, with retries until they are stored.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use crate::lake::error::{LakeError, StoreProblem};
use crate::lake::store::location::Location;
use crate::lake::store::retry::{RetryPolicy, with_retry};
use crate::lake::store::root::{StoreSettings, root_store};

/// Puts a file with a unique name, so that a repeated put is harmless.
pub(in crate::lake) async fn put(
    store: &Arc<dyn ObjectStore>,
    location: &str,
    path: &str,
    bytes: Bytes,
    retry: &RetryPolicy,
) -> Result<(), LakeError> {
    let path = Path::from(path);
    with_retry("data file not stored", retry, location, || async {
        let put = store.put(&path, PutPayload::from_bytes(bytes.clone())).await;
        put.map(drop).map_err(|error| LakeError::store("write a data file", location, &error))
    })
    .await
}

/// Bytes of a part; S3 takes up to 10,000 parts.
const PART_BYTES: usize = 16 << 20;

/// Stores a file as one object, which becomes visible when it is complete; `false` if `stop` came first, in which case
/// nothing of it stays in the store. `prefix` of the location is the object.
///
/// # Errors
/// The store refuses it or is unreachable; the location is a folder.
pub async fn store_result(
    target: &Location,
    settings: &StoreSettings,
    mut file: tokio::fs::File,
    stop: &CancellationToken,
) -> Result<bool, LakeError> {
    let failed =
        |problem: StoreProblem| LakeError::Store { action: "write the result", location: target.to_string(), problem };
    let Location::S3 { prefix, .. } = target else {
        return Err(failed(StoreProblem::Other { detail: "it is a folder".to_owned() }));
    };
    let (store, path) = (root_store(target, settings)?, Path::from(prefix.as_str()));
    let of_store = |error: object_store::Error| failed(StoreProblem::of(&error));
    let of_file = |error: std::io::Error| failed(StoreProblem::of(&error));
    let first = next_part(&mut file).await.map_err(of_file)?;
    if first.len() < PART_BYTES {
        let put = store.put(&path, PutPayload::from_bytes(first));
        return stop.run_until_cancelled(put).await.transpose().map(|put| put.is_some()).map_err(of_store);
    }
    let mut upload = store.put_multipart(&path).await.map_err(of_store)?;
    let copied = async {
        let mut part = first;
        while !part.is_empty() {
            upload.put_part(PutPayload::from_bytes(part)).await.map_err(of_store)?;
            part = next_part(&mut file).await.map_err(of_file)?;
        }
        upload.complete().await.map_err(of_store)
    };
    let copied = stop.run_until_cancelled(copied).await.transpose();
    if !matches!(copied, Ok(Some(_))) {
        upload.abort().await.map_err(of_store)?;
    }
    copied.map(|copied| copied.is_some())
}

async fn next_part(file: &mut tokio::fs::File) -> std::io::Result<Bytes> {
    let mut part = Vec::new();
    file.take(PART_BYTES as u64).read_to_end(&mut part).await?;
    Ok(part.into())
}

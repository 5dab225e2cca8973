//! Data files into the store, again and again until they are there.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tokio::time::Instant;

use super::error::LakeError;
use super::retry::{FAULT_BACKOFF, LOG_EVERY, RetryPolicy, pause};

/// Puts a file under a name that nobody else uses, so that a repeated put is harmless.
pub(super) async fn put(
    store: &Arc<dyn ObjectStore>,
    table: &str,
    path: &str,
    bytes: Bytes,
    retry: &RetryPolicy,
) -> Result<(), LakeError> {
    let path = Path::from(path);
    let started = Instant::now();
    let mut logged: Option<Instant> = None;
    let mut faults = 0;
    loop {
        let error = match store.put(&path, PutPayload::from_bytes(bytes.clone())).await {
            Ok(_) => return Ok(()),
            Err(error) => LakeError::store("write a data file", table, &error),
        };
        faults += 1;
        let wait = pause(FAULT_BACKOFF, faults);
        if retry.deadline.is_some_and(|deadline| started.elapsed() + wait > deadline) {
            return Err(error);
        }
        if logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            logged = Some(Instant::now());
            tracing::warn!(table, %error, "data file not stored, trying again");
        }
        tokio::select! {
            biased;
            () = retry.cancel.cancelled() => {
                return Err(LakeError::Stopped { table: table.to_owned(), last: error.to_string() });
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}

//! `_last_checkpoint`: the file in which a writer names the newest checkpoint.
//!
//! The protocol calls it a hint: if the checkpoint that it names doesn't exist, a reader lists the log. The Delta
//! kernel fails instead, so it reads the store through [`CheckpointHintFilter`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use serde::Deserialize;

use crate::lake::error::LakeError;
use crate::lake::store::log_file::{LOG, checkpoint_name, versioned};

pub(in crate::lake) const CHECKPOINT_HINT: &str = "_last_checkpoint";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::lake) struct LastCheckpoint {
    pub version: u64,
    pub size_in_bytes: Option<u64>,
    /// When the file was written, by the store's clock; set by [`last_checkpoint`].
    #[serde(skip)]
    pub written: DateTime<Utc>,
}

/// The content of the hint; `None` if there is none or it can't be parsed. Paths of `store` are relative to the root of
/// `table`.
///
/// # Errors
/// The store doesn't answer.
pub(in crate::lake) async fn last_checkpoint(
    store: &Arc<dyn ObjectStore>,
    table: &str,
) -> std::result::Result<Option<LastCheckpoint>, LakeError> {
    let read = async {
        let found = store.get(&Path::from_iter([LOG, CHECKPOINT_HINT])).await?;
        Ok((found.meta.last_modified, found.bytes().await?))
    };
    match read.await {
        Ok((written, hint)) => Ok(serde_json::from_slice(&hint).ok().map(|hint| LastCheckpoint { written, ..hint })),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(LakeError::store("read the checkpoint hint", table, &error)),
    }
}

/// Version of the checkpoint that the hint names, if that checkpoint doesn't exist.
///
/// # Errors
/// The store doesn't answer.
pub(in crate::lake) async fn dangling_checkpoint_hint(
    store: &Arc<dyn ObjectStore>,
    table: &str,
) -> std::result::Result<Option<u64>, LakeError> {
    let Some(LastCheckpoint { version, .. }) = last_checkpoint(store, table).await? else { return Ok(None) };
    match store.head(&Path::from_iter([LOG, &checkpoint_name(version)])).await {
        Ok(_) => return Ok(None),
        Err(Error::NotFound { .. }) => {}
        Err(error) => return Err(LakeError::store("look for a checkpoint", table, &error)),
    }
    // Checkpoints of other writers may have several parts or other names.
    let is_there = checkpoints(store, table).await?.any(|found| found == version);
    Ok((!is_there).then_some(version))
}

/// Version of the newest checkpoint, from the hint if it is valid, otherwise from a list of the log; 0 if there is
/// none.
///
/// # Errors
/// The store doesn't answer.
pub(in crate::lake) async fn newest_checkpoint(
    store: &Arc<dyn ObjectStore>,
    table: &str,
) -> std::result::Result<u64, LakeError> {
    match (last_checkpoint(store, table).await?, dangling_checkpoint_hint(store, table).await?) {
        (None, _) => Ok(0),
        (Some(hint), None) => Ok(hint.version),
        (Some(_), Some(_)) => Ok(checkpoints(store, table).await?.max().unwrap_or(0)),
    }
}

async fn checkpoints(
    store: &Arc<dyn ObjectStore>,
    table: &str,
) -> std::result::Result<impl Iterator<Item = u64>, LakeError> {
    let files = store.list(Some(&Path::from(LOG))).map_ok(|file| file.location).try_collect::<Vec<Path>>().await;
    let files = files.map_err(|error| LakeError::store("list the log", table, &error))?;
    let version =
        |file: Path| versioned(&file).filter(|(_, rest)| rest.starts_with(".checkpoint.")).map(|found| found.0);
    Ok(files.into_iter().filter_map(version))
}

/// The store of a table for the Delta kernel. It hides a hint whose checkpoint doesn't exist.
#[derive(Debug)]
pub(in crate::lake) struct CheckpointHintFilter {
    inner: Arc<dyn ObjectStore>,
    hides: AtomicBool,
}

impl CheckpointHintFilter {
    pub(in crate::lake) fn new(inner: &Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self { inner: Arc::clone(inner), hides: AtomicBool::new(false) })
    }

    /// Hides the hint; returns whether it was visible before.
    pub(in crate::lake) fn hide(&self) -> bool {
        !self.hides.swap(true, Ordering::Relaxed)
    }

    pub(in crate::lake) fn show(&self) {
        self.hides.store(false, Ordering::Relaxed);
    }
}

impl fmt::Display for CheckpointHintFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for CheckpointHintFilter {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.hides.load(Ordering::Relaxed) && location.filename() == Some(CHECKPOINT_HINT) {
            let source = "it names a checkpoint that is not there".into();
            return Err(Error::NotFound { path: location.to_string(), source });
        }
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[std::ops::Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

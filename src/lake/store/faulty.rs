//! A store with realistic failures, for tests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::ready;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lake) enum StoreFault {
    /// PutMode::Create overwrites.
    IgnoreCreate,
    /// The next `n` log entries are stored, and an error is returned.
    FailAfterStoring,
    /// The next `n` log entries are not stored, and an error is returned.
    FailBeforeStoring,
    /// The next `n` log entries are stored, and "already exists" is returned, as after a retried request.
    SpuriousExists,
    /// The next `n` log entries are not stored, and "already exists" is returned, as S3 does for concurrent puts.
    Conflict,
    /// The next `n` lists have nothing of the log.
    StaleList,
    /// The next `n` lists lack the newest commit.
    ListWithoutNewest,
}

#[derive(Debug)]
pub(in crate::lake) struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    fault: StoreFault,
    pub left: AtomicUsize,
}

impl FaultyStore {
    pub(in crate::lake) fn new(inner: Arc<dyn ObjectStore>, fault: StoreFault) -> Self {
        Self { inner, fault, left: AtomicUsize::new(0) }
    }

    fn next_request_fails(&self) -> bool {
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStore({})", self.inner)
    }
}

fn dropped() -> Error {
    Error::Generic { store: "faulty", source: "connection closed before the response".into() }
}

fn without_newest(mut objects: Vec<Result<ObjectMeta>>) -> Vec<Result<ObjectMeta>> {
    let commit = |object: &Result<ObjectMeta>| {
        object.as_ref().ok().map(|object| object.location.to_string()).filter(|path| path.ends_with(".json"))
    };
    let newest = objects.iter().filter_map(commit).max();
    objects.retain(|object| newest.is_none() || commit(object) != newest);
    objects
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        if self.fault == StoreFault::IgnoreCreate {
            options.mode = PutMode::Overwrite;
            return self.inner.put_opts(location, payload, options).await;
        }
        let is_list = matches!(self.fault, StoreFault::StaleList | StoreFault::ListWithoutNewest);
        let is_log_entry = !is_list && location.as_ref().ends_with(".json");
        if !(is_log_entry && self.next_request_fails()) {
            return self.inner.put_opts(location, payload, options).await;
        }
        if !matches!(self.fault, StoreFault::FailBeforeStoring | StoreFault::Conflict) {
            self.inner.put_opts(location, payload, options).await?;
        }
        match self.fault {
            StoreFault::SpuriousExists | StoreFault::Conflict => {
                Err(Error::AlreadyExists { path: location.to_string(), source: "412 Precondition Failed".into() })
            }
            _ => Err(dropped()),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let is_stale = self.fault == StoreFault::StaleList && self.next_request_fails();
        let of_log = move |object: &Result<ObjectMeta>| {
            object.as_ref().is_ok_and(|object| object.location.as_ref().contains("_delta_log"))
        };
        let objects = self.inner.list(prefix).filter(move |object| ready(!(is_stale && of_log(object))));
        if self.fault == StoreFault::ListWithoutNewest && self.next_request_fails() {
            return stream::once(objects.collect()).flat_map(|objects| stream::iter(without_newest(objects))).boxed();
        }
        objects.boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

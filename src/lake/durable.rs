//! A local disk that has what it acknowledged: object_store's own never syncs.
//!
//! Every write goes to a temporary file in the same directory, is synced, then linked (create) or renamed
//! (overwrite) into place, and the directory is synced. So a file under its final name is whole, also after
//! a power cut. Temporary names (`.tmp-<uuid>#0`) are hidden by object_store's listing and by every Delta reader.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use uuid::Uuid;

const TEMPORARY: &str = ".tmp-";
const WRITTEN: PutResult = PutResult { e_tag: None, version: None };

/// The whole file system as an object store.
#[derive(Debug)]
pub struct DurableLocal {
    inner: LocalFileSystem,
}

impl DurableLocal {
    pub fn new() -> Self {
        Self { inner: LocalFileSystem::new() }
    }
}

impl Default for DurableLocal {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for DurableLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DurableLocal")
    }
}

fn store_error(path: &FilePath, error: io::Error) -> Error {
    let path = path.display().to_string();
    match error.kind() {
        ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: Box::new(error) },
        ErrorKind::NotFound => Error::NotFound { path, source: Box::new(error) },
        ErrorKind::PermissionDenied => Error::PermissionDenied { path, source: Box::new(error) },
        kind => {
            let source = Box::new(io::Error::new(kind, format!("write {path}: {error}")));
            Error::Generic { store: "local disk", source }
        }
    }
}

#[cfg(unix)]
fn sync_directory(directory: &FilePath) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &FilePath) -> io::Result<()> {
    Ok(())
}

/// Creates a directory and its parents; each new entry is synced into its parent.
fn create_directories(directory: &FilePath) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_directories(parent)?;
    }
    match std::fs::create_dir(directory) {
        Ok(()) => parent.map_or(Ok(()), sync_directory),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// A file under a temporary name; removed when dropped, also after it was linked.
#[derive(Debug)]
struct Temporary {
    file: File,
    path: PathBuf,
    target: PathBuf,
    moved: bool,
}

impl Temporary {
    fn create(target: PathBuf) -> io::Result<Self> {
        let directory = target.parent().ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))?;
        let path = directory.join(format!("{TEMPORARY}{}#0", Uuid::new_v4().simple()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let file = match options.open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                create_directories(directory)?;
                options.open(&path)?
            }
            opened => opened?,
        };
        Ok(Self { file, path, target, moved: false })
    }

    fn publish(mut self, create: bool) -> io::Result<()> {
        self.file.sync_all()?;
        if create {
            std::fs::hard_link(&self.path, &self.target)?;
            self.moved = std::fs::remove_file(&self.path).is_ok();
        } else {
            std::fs::rename(&self.path, &self.target)?;
            self.moved = true;
        }
        self.target.parent().map_or(Ok(()), sync_directory)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.moved {
            return;
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "temporary file stays behind");
        }
    }
}

/// A file that a killed process left, or one that is being written.
pub(super) struct Abandoned {
    pub path: PathBuf,
    pub bytes: u64,
    pub age: Duration,
}

/// All temporary files below `folder`.
///
/// # Errors
/// A directory can't be read.
pub(super) fn temporary_files(folder: &FilePath) -> io::Result<Vec<Abandoned>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(temporary_files(&entry.path())?);
        } else if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            // One from the future is as good as new.
            let age = metadata.modified()?.elapsed().unwrap_or_default();
            found.push(Abandoned { path: entry.path(), bytes: metadata.len(), age });
        }
    }
    Ok(found)
}

/// Deletes temporary files that a killed process left below `folder`, if they are older than `age`.
///
/// # Errors
/// A directory can't be read or a file not deleted.
pub(super) fn remove_abandoned(folder: &FilePath, age: Duration) -> io::Result<usize> {
    let old: Vec<Abandoned> = temporary_files(folder)?.into_iter().filter(|file| file.age >= age).collect();
    old.iter().try_for_each(|file| std::fs::remove_file(&file.path))?;
    Ok(old.len())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

#[async_trait]
impl ObjectStore for DurableLocal {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let create = match options.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => {
                let operation = "put with PutMode::Update".to_owned();
                return Err(Error::NotImplemented { operation, implementer: self.to_string() });
            }
        };
        let target = self.inner.path_to_filesystem(location)?;
        blocking(move || {
            let write = || -> io::Result<()> {
                let mut temporary = Temporary::create(target.clone())?;
                for bytes in payload.iter() {
                    temporary.file.write_all(bytes)?;
                }
                temporary.publish(create)
            };
            write().map_err(|error| store_error(&target, error))
        })
        .await?;
        Ok(WRITTEN)
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let target = self.inner.path_to_filesystem(location)?;
        let temporary = blocking(move || {
            let created = Temporary::create(target.clone());
            created.map_err(|error| store_error(&target, error))
        })
        .await?;
        Ok(Box::new(Upload { temporary: Some(Arc::new(Mutex::new(Some(temporary)))), offset: 0 }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
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

type SharedTemporary = Arc<Mutex<Option<Temporary>>>;

/// Parts are written at their offsets, in any order; nothing shows before `complete`.
#[derive(Debug)]
struct Upload {
    /// `None` once completed or aborted.
    temporary: Option<SharedTemporary>,
    offset: u64,
}

fn ended() -> Error {
    Error::Generic { store: "local disk", source: "the upload was completed or aborted".into() }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let offset = self.offset;
        self.offset += payload.content_length() as u64;
        let temporary = self.temporary.clone();
        blocking(move || {
            let shared = temporary.ok_or_else(ended)?;
            let mut guard = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let temporary = guard.as_mut().ok_or_else(ended)?;
            let mut write = || -> io::Result<()> {
                temporary.file.seek(SeekFrom::Start(offset))?;
                payload.iter().try_for_each(|bytes| temporary.file.write_all(bytes))
            };
            write().map_err(|error| store_error(&temporary.target, error))
        })
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let shared = self.temporary.take().ok_or_else(ended)?;
        blocking(move || {
            let temporary = shared.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(ended)?;
            let target = temporary.target.clone();
            temporary.publish(false).map_err(|error| store_error(&target, error))
        })
        .await?;
        Ok(WRITTEN)
    }

    async fn abort(&mut self) -> Result<()> {
        let shared = self.temporary.take().ok_or_else(ended)?;
        blocking(move || {
            drop(shared.lock().unwrap_or_else(PoisonError::into_inner).take());
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;
    use object_store::{ObjectStoreExt, WriteMultipart};

    fn at(folder: &tempfile::TempDir, name: &str) -> Path {
        Path::from_absolute_path(folder.path().join(name)).unwrap()
    }

    fn files(folder: &FilePath) -> Vec<String> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => names.extend(files(&entry.path())),
                false => names.push(entry.file_name().into_string().unwrap()),
            }
        }
        names.sort();
        names
    }

    #[tokio::test]
    async fn create_never_overwrites_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let store = DurableLocal::new();
        let path = at(&folder, "a b/c#d/x.json");
        let create = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        store.put_opts(&path, "one".into(), create()).await.unwrap();
        let again = store.put_opts(&path, "two".into(), create()).await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "one");
        store.put(&path, "three".into()).await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "three");
        assert_eq!(files(folder.path()), ["x.json"]);
    }

    #[tokio::test]
    async fn an_upload_shows_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let store = DurableLocal::new();
        let path = at(&folder, "part-1.parquet");
        let upload = store.put_multipart(&path).await.unwrap();
        let mut writer = WriteMultipart::new_with_chunk_size(upload, 10);
        writer.write(&[7; 95]);
        assert!(matches!(store.head(&path).await, Err(Error::NotFound { .. })));
        let root = Path::from_absolute_path(folder.path()).unwrap();
        let listed: Vec<ObjectMeta> = store.list(Some(&root)).try_collect().await.unwrap();
        assert!(listed.is_empty(), "{listed:?}");
        writer.finish().await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), vec![7; 95]);

        let mut upload = store.put_multipart(&at(&folder, "part-2.parquet")).await.unwrap();
        upload.put_part("x".into()).await.unwrap();
        upload.abort().await.unwrap();
        assert!(upload.complete().await.is_err());
        let dropped = store.put_multipart(&at(&folder, "part-3.parquet")).await.unwrap();
        drop(dropped);
        assert_eq!(files(folder.path()), ["part-1.parquet"]);

        std::mem::forget(Temporary::create(folder.path().join("part-4.parquet")).unwrap());
        assert_eq!(remove_abandoned(folder.path(), Duration::from_secs(60)).unwrap(), 0);
        assert_eq!(remove_abandoned(folder.path(), Duration::ZERO).unwrap(), 1);
        assert_eq!(files(folder.path()), ["part-1.parquet"]);
    }

    #[tokio::test]
    async fn one_of_many_creators_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = at(&folder, "0.json");
        let creators = (0..16).map(|writer: u8| {
            let path = path.clone();
            tokio::spawn(async move {
                let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
                DurableLocal::new().put_opts(&path, vec![writer].into(), options).await.is_ok()
            })
        });
        let won = futures::future::join_all(creators).await.into_iter().filter(|won| *won.as_ref().unwrap()).count();
        assert_eq!(won, 1);
        assert_eq!(files(folder.path()), ["0.json"]);
    }
}

//! A local disk whose acknowledged writes are durable; object_store's own implementation never syncs.
//!
//! Every write goes to a temporary file in the same directory, is synced, then linked (create) or renamed (overwrite)
//! to its final name, and the directory is synced. So a file under its final name is complete, also after a power cut.
//! Temporary names (`.tmp-<uuid>#0`) are hidden by object_store's listing and by every Delta reader.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::stream::BoxStream;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use uuid::Uuid;

use crate::lake::store::folder::{CommitInto, TableFolder, open_inside, open_or_create, table_of};

const TEMPORARY: &str = ".tmp-";
const WRITTEN: PutResult = PutResult { e_tag: None, version: None };

/// The local file system as an object store; all writes belong to one lake.
#[derive(Debug)]
pub struct DurableLocal {
    inner: LocalFileSystem,
    /// The folders of the lake and of its tables are created by the first commit of a table.
    lake: Arc<FilePath>,
}

impl DurableLocal {
    pub fn new(lake: &FilePath) -> Self {
        Self { inner: LocalFileSystem::new(), lake: lake.into() }
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

/// A file under a temporary name; removed when dropped, also after it was linked. Its folder is held open, so that it
/// is published in the folder in which it was written.
#[derive(Debug)]
struct TemporaryFile {
    file: File,
    folder: File,
    name: String,
    target: PathBuf,
    target_name: OsString,
    moved: bool,
}

impl TemporaryFile {
    /// Creates the temporary file, and its folder below an existing table.
    fn create(lake: &FilePath, target: PathBuf) -> io::Result<Self> {
        let folder = open_inside(lake, folder_of(&target)?)?;
        Self::create_in(folder, target)
    }

    fn create_in(folder: File, target: PathBuf) -> io::Result<Self> {
        let target_name = target.file_name().ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))?.to_owned();
        let name = format!("{TEMPORARY}{}#0", Uuid::new_v4().simple());
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let file = File::from(openat(&folder, name.as_str(), flags, Mode::from_bits_truncate(0o666))?);
        Ok(Self { file, folder, name, target, target_name, moved: false })
    }

    /// Writes and syncs the complete content.
    fn write(&mut self, payload: &PutPayload) -> io::Result<()> {
        payload.iter().try_for_each(|bytes| self.file.write_all(bytes))?;
        self.file.sync_all()
    }

    /// Gives the synced file its final name.
    fn publish(mut self, create: bool) -> io::Result<()> {
        let (folder, name, target) = (&self.folder, self.name.as_str(), self.target_name.as_os_str());
        if create {
            linkat(folder, name, folder, target, AtFlags::empty())?;
            self.moved = unlinkat(folder, name, UnlinkatFlags::NoRemoveDir).is_ok();
        } else {
            renameat(folder, name, folder, target)?;
            self.moved = true;
        }
        self.folder.sync_all()
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if self.moved {
            return;
        }
        if let Err(error) = unlinkat(&self.folder, self.name.as_str(), UnlinkatFlags::NoRemoveDir) {
            tracing::debug!(name = self.name, %error, "temporary file stays behind");
        }
    }
}

fn folder_of(target: &FilePath) -> io::Result<&FilePath> {
    target.parent().ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))
}

/// Writes a complete file.
fn put(lake: &FilePath, target: &FilePath, payload: &PutPayload, create: bool) -> io::Result<()> {
    let mut temporary = TemporaryFile::create(lake, target.to_owned())?;
    temporary.write(payload)?;
    temporary.publish(create)
}

/// Writes the first commit of a table.
fn put_first(target: &FilePath, payload: &PutPayload) -> io::Result<()> {
    let mut temporary = TemporaryFile::create_in(open_or_create(folder_of(target)?)?, target.to_owned())?;
    temporary.write(payload)?;
    temporary.publish(true)
}

/// Writes a commit into the table that `into` asks for.
fn put_commit(target: &FilePath, payload: &PutPayload, into: &CommitInto) -> Result<()> {
    let failed = |error| store_error(target, error);
    let CommitInto::Table { folder, files } = into else { return put_first(target, payload).map_err(failed) };
    let table = table_of(target).and_then(|table| TableFolder::open(&table, *folder)).map_err(failed)?;
    let mut temporary = table.log().and_then(|log| TemporaryFile::create_in(log, target.to_owned())).map_err(failed)?;
    temporary.write(payload).map_err(failed)?;
    // The files are checked as late as possible.
    if let Err(wrong) = table.check(files).map_err(failed)? {
        return Err(Error::Precondition { path: wrong.path.clone(), source: Box::new(wrong) });
    }
    temporary.publish(true).map_err(failed)
}

/// A file that a killed process left, or one that is being written.
pub(in crate::lake) struct FoundTemporaryFile {
    pub path: PathBuf,
    pub bytes: u64,
    pub age: Duration,
}

/// All temporary files below `folder`.
///
/// # Errors
/// A directory can't be read.
pub(in crate::lake) fn temporary_files(folder: &FilePath) -> io::Result<Vec<FoundTemporaryFile>> {
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
            // A modification time in the future counts as new.
            let age = metadata.modified()?.elapsed().unwrap_or_default();
            found.push(FoundTemporaryFile { path: entry.path(), bytes: metadata.len(), age });
        }
    }
    Ok(found)
}

/// Deletes temporary files that a killed process left below `folder`, if they are older than `age`.
///
/// # Errors
/// A directory can't be read or a file not deleted.
pub(in crate::lake) fn remove_abandoned(folder: &FilePath, age: Duration) -> io::Result<usize> {
    let old: Vec<FoundTemporaryFile> = temporary_files(folder)?.into_iter().filter(|file| file.age >= age).collect();
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
        let (lake, into) = (Arc::clone(&self.lake), options.extensions.get::<CommitInto>().cloned());
        blocking(move || match into {
            Some(into) => put_commit(&target, &payload, &into),
            None => put(&lake, &target, &payload, create).map_err(|error| store_error(&target, error)),
        })
        .await?;
        Ok(WRITTEN)
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let target = self.inner.path_to_filesystem(location)?;
        let lake = Arc::clone(&self.lake);
        let temporary = blocking(move || {
            let created = TemporaryFile::create(&lake, target.clone());
            created.map_err(|error| store_error(&target, error))
        })
        .await?;
        Ok(Box::new(LocalUpload { temporary: Some(Arc::new(Mutex::new(Some(temporary)))), offset: 0 }))
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

type SharedTemporaryFile = Arc<Mutex<Option<TemporaryFile>>>;

/// Parts are written at their offsets, in any order; nothing shows before `complete`.
#[derive(Debug)]
struct LocalUpload {
    /// `None` once completed or aborted.
    temporary: Option<SharedTemporaryFile>,
    offset: u64,
}

fn ended() -> Error {
    Error::Generic { store: "local disk", source: "the upload was completed or aborted".into() }
}

#[async_trait]
impl MultipartUpload for LocalUpload {
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
            let published = temporary.file.sync_all().and_then(|()| temporary.publish(false));
            published.map_err(|error| store_error(&target, error))
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

    /// A lake with the folder of a table.
    fn lake(folder: &tempfile::TempDir) -> DurableLocal {
        std::fs::create_dir_all(folder.path().join("ticks")).unwrap();
        DurableLocal::new(folder.path())
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
        let store = lake(&folder);
        let path = at(&folder, "ticks/a b/c#d/x.json");
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
        let store = lake(&folder);
        let path = at(&folder, "ticks/part-1.parquet");
        let upload = store.put_multipart(&path).await.unwrap();
        let mut writer = WriteMultipart::new_with_chunk_size(upload, 10);
        writer.write(&[7; 95]);
        assert!(matches!(store.head(&path).await, Err(Error::NotFound { .. })));
        let root = Path::from_absolute_path(folder.path()).unwrap();
        let listed: Vec<ObjectMeta> = store.list(Some(&root)).try_collect().await.unwrap();
        assert!(listed.is_empty(), "{listed:?}");
        writer.finish().await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), vec![7; 95]);

        let mut upload = store.put_multipart(&at(&folder, "ticks/part-2.parquet")).await.unwrap();
        upload.put_part("x".into()).await.unwrap();
        upload.abort().await.unwrap();
        assert!(upload.complete().await.is_err());
        let dropped = store.put_multipart(&at(&folder, "ticks/part-3.parquet")).await.unwrap();
        drop(dropped);
        assert_eq!(files(folder.path()), ["part-1.parquet"]);

        std::mem::forget(TemporaryFile::create(folder.path(), folder.path().join("ticks/part-4.parquet")).unwrap());
        assert_eq!(remove_abandoned(folder.path(), Duration::from_secs(60)).unwrap(), 0);
        assert_eq!(remove_abandoned(folder.path(), Duration::ZERO).unwrap(), 1);
        assert_eq!(files(folder.path()), ["part-1.parquet"]);
    }

    #[tokio::test]
    async fn one_of_many_creators_wins() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(lake(&folder));
        let path = at(&folder, "ticks/0.json");
        let creators = (0..16).map(|writer: u8| {
            let (store, path) = (Arc::clone(&store), path.clone());
            tokio::spawn(async move {
                let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
                store.put_opts(&path, vec![writer].into(), options).await.is_ok()
            })
        });
        let won = futures::future::join_all(creators).await.into_iter().filter(|won| *won.as_ref().unwrap()).count();
        assert_eq!(won, 1);
        assert_eq!(files(folder.path()), ["0.json"]);
    }
}

//! Folders of a lake on a local disk: which of them a write may create, and whether a path still leads to the same
//! folder.
//!
//! A file system can become unavailable under a running process and come back: NFS, a detached volume, a folder that is
//! moved. Files that are written below the empty mount point meanwhile are hidden once it is mounted again. So the
//! folders of a lake and of its tables are created by the first commit of a table and never later, and a commit is
//! written only into a folder that has the files that it adds.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path as FilePath, PathBuf};
use std::time::SystemTime;

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};

use crate::lake::store::location::INTERNAL_FOLDER;
use crate::lake::store::log_file::LOG;

/// Part of every error about a missing folder, as errors of the Delta kernel keep only the text.
pub(in crate::lake) const MISSING: &str = "the folder is not there";
/// Part of every error about a folder that isn't the one that the table was read from.
pub(in crate::lake) const CHANGED: &str = "another folder is there";

/// Identifies the folder that a path led to. Device numbers may change when a file system is mounted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lake) struct FolderIdentity {
    device: u64,
    inode: u64,
    /// Distinguishes a reused inode; not every file system has it.
    created: Option<SystemTime>,
}

impl FolderIdentity {
    /// # Errors
    /// The folder is not there, or can't be seen.
    pub(in crate::lake) fn at(folder: &FilePath) -> io::Result<Self> {
        Ok(Self::of(&open(folder)?.metadata()?))
    }

    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino(), created: metadata.created().ok() }
    }
}

/// The condition of the put of a commit, passed in [`object_store::PutOptions::extensions`]. Only a local disk checks
/// it.
#[derive(Debug, Clone)]
pub(in crate::lake) enum CommitInto {
    /// The first commit of a table: its folders are created.
    NewTable,
    Table {
        /// The folder that the table was read from.
        folder: Option<FolderIdentity>,
        files: Vec<AddedFile>,
    },
}

/// A data file that a commit adds; the path is relative to the root of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lake) struct AddedFile {
    pub path: String,
    pub bytes: u64,
}

/// A file that a commit adds is not in the store as it was written.
#[derive(Debug, thiserror::Error)]
#[error("{path} {detail}")]
pub(in crate::lake) struct NotAsWritten {
    pub path: String,
    pub detail: String,
}

impl AddedFile {
    /// `found` is the size in the store; `None` if the file doesn't exist.
    pub(in crate::lake) fn check(&self, found: Option<u64>) -> Result<(), NotAsWritten> {
        let detail = match found {
            Some(bytes) if bytes == self.bytes => return Ok(()),
            Some(bytes) => format!("has {bytes} bytes, {} were written", self.bytes),
            None => "is not there any more".to_owned(),
        };
        Err(NotAsWritten { path: self.path.clone(), detail })
    }
}

/// The open folder of a table: all operations refer to the same folder, even if its path leads to another one later.
pub(in crate::lake) struct TableFolder(File);

impl TableFolder {
    /// # Errors
    /// The folder doesn't exist, or isn't the `expected` one.
    pub(in crate::lake) fn open(folder: &FilePath, expected: Option<FolderIdentity>) -> io::Result<Self> {
        let opened = open(folder)?;
        let identity = FolderIdentity::of(&opened.metadata()?);
        match expected.is_none_or(|expected| expected == identity) {
            true => Ok(Self(opened)),
            false => Err(io::Error::other(format!("{}: {CHANGED}", folder.display()))),
        }
    }

    /// The folder of its log.
    ///
    /// # Errors
    /// The table has none.
    pub(in crate::lake) fn log(&self) -> io::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(File::from(openat(&self.0, LOG, flags, Mode::empty())?))
    }

    /// # Errors
    /// The outer error: the folder can't be read.
    pub(in crate::lake) fn check(&self, files: &[AddedFile]) -> io::Result<Result<(), NotAsWritten>> {
        for file in files {
            let found = match fstatat(&self.0, file.path.as_str(), AtFlags::empty()) {
                Ok(found) => Some(u64::try_from(found.st_size).unwrap_or_default()),
                Err(nix::Error::ENOENT | nix::Error::ENOTDIR) => None,
                Err(error) => return Err(error.into()),
            };
            if let wrong @ Err(_) = file.check(found) {
                return Ok(wrong);
            }
        }
        Ok(Ok(()))
    }
}

/// Opens a folder for operations relative to it.
fn open(folder: &FilePath) -> io::Result<File> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(folder);
    opened.map_err(|error| match error.kind() {
        ErrorKind::NotFound => missing(folder),
        _ => error,
    })
}

fn missing(folder: &FilePath) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("{}: {MISSING}", folder.display()))
}

/// Opens the folder of a file of the lake, creating it below an existing table.
///
/// # Errors
/// The table is not there, or the folder can't be created or opened.
pub(in crate::lake) fn open_inside(lake: &FilePath, folder: &FilePath) -> io::Result<File> {
    match open(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create_inside(lake, folder)?;
            open(folder)
        }
        opened => opened,
    }
}

/// Like [`open_inside`], and also creates the folders of the lake and of the table.
///
/// # Errors
/// The folder can't be created or opened.
pub(in crate::lake) fn open_or_create(folder: &FilePath) -> io::Result<File> {
    create_all(folder)?;
    open(folder)
}

/// Invariant: a folder is created only in an existing one, and the folder of a table is never created here. So if the
/// file system becomes unavailable between two steps, the next one fails.
fn create_inside(lake: &FilePath, folder: &FilePath) -> io::Result<()> {
    let outside = || io::Error::new(ErrorKind::InvalidInput, format!("{} is not in the lake", folder.display()));
    let mut parts = folder.strip_prefix(lake).map_err(|_| outside())?.components();
    let first = parts.next().ok_or_else(|| missing(lake))?;
    let mut base = lake.join(first);
    if first.as_os_str() == INTERNAL_FOLDER {
        // An empty mount point has no table.
        let table = lake.join("ticks");
        match table.is_dir() {
            true => create_one(&base)?,
            false => return Err(missing(&table)),
        }
    } else if !base.is_dir() {
        return Err(missing(&base));
    }
    for part in parts {
        base.push(part);
        create_one(&base)?;
    }
    Ok(())
}

/// Creates a folder and its parents; each new entry is synced into its parent.
fn create_all(folder: &FilePath) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = parent(folder) {
        create_all(parent)?;
    }
    create_one(folder)
}

fn create_one(folder: &FilePath) -> io::Result<()> {
    match std::fs::create_dir(folder) {
        Ok(()) => parent(folder).map_or(Ok(()), |parent| File::open(parent)?.sync_all()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(missing(parent(folder).unwrap_or(folder))),
        Err(error) => Err(error),
    }
}

fn parent(folder: &FilePath) -> Option<&FilePath> {
    folder.parent().filter(|parent| !parent.as_os_str().is_empty())
}

/// The folder of the table that a commit at this path belongs to.
pub(in crate::lake) fn table_of(commit: &FilePath) -> io::Result<PathBuf> {
    let table = commit.parent().and_then(FilePath::parent);
    table.map(FilePath::to_owned).ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_a_lake_and_of_its_tables_are_not_created_again() {
        let directory = tempfile::tempdir().unwrap();
        let lake = directory.path().join("lake");
        let below = |path: &str| open_inside(&lake, &lake.join(path)).map(drop).map_err(|error| error.to_string());
        let refused = |path: &str| below(path).unwrap_err().contains(MISSING);
        assert!(refused("ticks/trade_date=2026-11-20"));
        std::fs::create_dir(&lake).unwrap();
        assert!(refused("ticks/trade_date=2026-11-20") && refused(INTERNAL_FOLDER));
        assert_eq!(std::fs::read_dir(&lake).unwrap().count(), 0, "an empty mount point stays empty");
        std::fs::create_dir(lake.join("ticks")).unwrap();
        assert_eq!(below("ticks/trade_date=2026-11-20"), Ok(()));
        assert_eq!(below("_tickhouse/doctor/copy"), Ok(()));
        assert!(refused("signals/trade_date=2026-11-20"));
        let outside = open_inside(&lake, &directory.path().join("other")).unwrap_err();
        assert_eq!(outside.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_folder_of_the_same_name_is_another_one() {
        let directory = tempfile::tempdir().unwrap();
        let table = directory.path().join("ticks");
        std::fs::create_dir_all(table.join(LOG)).unwrap();
        let identity = FolderIdentity::at(&table).unwrap();
        let file = AddedFile { path: "part.parquet".to_owned(), bytes: 3 };
        let opened = TableFolder::open(&table, Some(identity)).unwrap();
        let detail =
            |opened: &TableFolder| opened.check(std::slice::from_ref(&file)).unwrap().err().map(|wrong| wrong.detail);
        assert_eq!(detail(&opened).as_deref(), Some("is not there any more"));
        std::fs::write(table.join("part.parquet"), "ab").unwrap();
        assert_eq!(detail(&opened).as_deref(), Some("has 2 bytes, 3 were written"));
        std::fs::write(table.join("part.parquet"), "abc").unwrap();
        assert_eq!(detail(&opened), None);

        // An open folder stays the same, wherever its path leads to.
        std::fs::rename(&table, directory.path().join("moved")).unwrap();
        assert!(TableFolder::open(&table, Some(identity)).err().unwrap().to_string().contains(MISSING));
        std::fs::create_dir(&table).unwrap();
        assert!(TableFolder::open(&table, Some(identity)).err().unwrap().to_string().contains(CHANGED));
        assert_eq!(detail(&opened), None);
        assert!(opened.log().unwrap().metadata().unwrap().is_dir());
    }
}

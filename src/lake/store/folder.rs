//! Folders of a lake on a local disk: which of them a write may create, and whether one is still what it was.
//!
//! A file system can go away under a running process and come back: NFS, a volume that is detached, a folder that is
//! moved. What is written below the empty mount point meanwhile is lost once it is mounted again. So the folders of a
//! lake and of its tables appear with the first commit of a table and never later, and a commit goes into a table only
//! if the very folder that it goes into has the files that it adds.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path as FilePath, PathBuf};
use std::time::SystemTime;

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};

use crate::lake::store::location::OWN;
use crate::lake::store::log_file::LOG;

/// Part of every error about a folder that is not there; errors of the Delta kernel keep texts alone.
pub(in crate::lake) const MISSING: &str = "the folder is not there";
/// The same for a folder that isn't the one that the table was read from.
pub(in crate::lake) const CHANGED: &str = "another folder is there";

/// Which folder a path led to. Device numbers may change when a file system is mounted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lake) struct FolderIdentity {
    device: u64,
    inode: u64,
    /// An inode may be used again; not every file system knows it.
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

/// What the put of a commit asks for; travels in [`object_store::PutOptions::extensions`]. Only a local disk needs it.
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
    /// `found`: its size in the store; `None` where it is not.
    pub(in crate::lake) fn check(&self, found: Option<u64>) -> Result<(), NotAsWritten> {
        let detail = match found {
            Some(bytes) if bytes == self.bytes => return Ok(()),
            Some(bytes) => format!("has {bytes} bytes, {} were written", self.bytes),
            None => "is not there any more".to_owned(),
        };
        Err(NotAsWritten { path: self.path.clone(), detail })
    }
}

/// The folder of a table, held open: whatever happens to the path, everything here is about one and the same folder.
pub(in crate::lake) struct TableFolder(File);

impl TableFolder {
    /// # Errors
    /// It is not there, or it is another one than `expected`.
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
    /// The outer one: the folder can't be read.
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

/// Opens a folder, for what is done relative to it.
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

/// Opens the folder that a file of the lake goes to, creating it below a table that is there.
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

/// The same, with the folders of the lake and of the table.
///
/// # Errors
/// The folder can't be created or opened.
pub(in crate::lake) fn open_or_create(folder: &FilePath) -> io::Result<File> {
    create_all(folder)?;
    open(folder)
}

/// Invariant: each folder is created in one that is there, and that of a table never is. So if the file system goes away
/// between two steps, the next one fails.
fn create_inside(lake: &FilePath, folder: &FilePath) -> io::Result<()> {
    let outside = || io::Error::new(ErrorKind::InvalidInput, format!("{} is not in the lake", folder.display()));
    let mut parts = folder.strip_prefix(lake).map_err(|_| outside())?.components();
    let first = parts.next().ok_or_else(|| missing(lake))?;
    let mut base = lake.join(first);
    if first.as_os_str() == OWN {
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
        let place = tempfile::tempdir().unwrap();
        let lake = place.path().join("lake");
        let below = |path: &str| open_inside(&lake, &lake.join(path)).map(drop).map_err(|error| error.to_string());
        let refused = |path: &str| below(path).unwrap_err().contains(MISSING);
        assert!(refused("ticks/trade_date=2026-11-20"));
        std::fs::create_dir(&lake).unwrap();
        assert!(refused("ticks/trade_date=2026-11-20") && refused(OWN));
        assert_eq!(std::fs::read_dir(&lake).unwrap().count(), 0, "an empty mount point stays empty");
        std::fs::create_dir(lake.join("ticks")).unwrap();
        assert_eq!(below("ticks/trade_date=2026-11-20"), Ok(()));
        assert_eq!(below("_tickhouse/doctor/copy"), Ok(()));
        assert!(refused("signals/trade_date=2026-11-20"));
        let outside = open_inside(&lake, &place.path().join("other")).unwrap_err();
        assert_eq!(outside.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_folder_of_the_same_name_is_another_one() {
        let place = tempfile::tempdir().unwrap();
        let table = place.path().join("ticks");
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

        // What was opened stays what it is, wherever its path leads to.
        std::fs::rename(&table, place.path().join("moved")).unwrap();
        assert!(TableFolder::open(&table, Some(identity)).err().unwrap().to_string().contains(MISSING));
        std::fs::create_dir(&table).unwrap();
        assert!(TableFolder::open(&table, Some(identity)).err().unwrap().to_string().contains(CHANGED));
        assert_eq!(detail(&opened), None);
        assert!(opened.log().unwrap().metadata().unwrap().is_dir());
    }
}

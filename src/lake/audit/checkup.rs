//! What a lake needs of its store, tried out, and what lies in the store beside the tables.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::lake::audit::state::{Audit, AuditedTable};
use crate::lake::error::LakeError;
use crate::lake::store::durable::{remove_abandoned, temporary_files};
use crate::lake::store::location::{Location, OWN};
use crate::lake::store::probe::require_conditional_put;
use crate::lake::store::root::prefixed;

/// Written over at each check, so that there is only one.
const TRIED: &str = "doctor/tried";
/// The same, to see the time: nobody deletes it meanwhile.
const CLOCK: &str = "clock";

/// A temporary file this old belongs to no upload that is still going on.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// A right that was tried out.
#[derive(Debug)]
pub struct Access {
    pub right: &'static str,
    pub tried: Result<(), LakeError>,
}

/// A file of the store, whether a table names it or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    pub path: Path,
    pub bytes: u64,
    pub modified: DateTime<Utc>,
}

/// Files under temporary names in a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TemporaryFiles {
    /// So old that nobody writes them any more.
    pub abandoned: usize,
    pub abandoned_bytes: u64,
    pub fresh: usize,
}

impl Audit {
    /// A store that isn't a folder has to refuse a second object under one name.
    ///
    /// # Errors
    /// It doesn't, or it can't be used at all.
    pub async fn require_conditional_put(&self) -> Result<(), LakeError> {
        let Location::S3 { prefix, .. } = &self.location else { return Ok(()) };
        let lake: Arc<dyn ObjectStore> =
            Arc::new(PrefixStore::new(Arc::clone(&self.root), Path::from(prefix.as_str())));
        require_conditional_put(&lake, &self.location).await
    }

    /// Writes, reads, lists and, if asked, deletes a small file of its own.
    ///
    /// # Errors
    /// The location is none of a store.
    pub async fn try_access(&self, delete: bool) -> Result<Vec<Access>, LakeError> {
        let own = prefixed(&self.root, &self.location.table_url(OWN))?;
        let path = Path::from(TRIED);
        let failed = |action, error: object_store::Error| LakeError::store(action, &self.location, &error);
        let put = own.put(&path, PutPayload::from_static(b"doctor")).await;
        let is_there = put.is_ok();
        let mut all = vec![Access { right: "write", tried: put.map(drop).map_err(|error| failed("write", error)) }];
        if is_there {
            let got = async { own.get(&path).await?.bytes().await }.await;
            all.push(Access { right: "read", tried: got.map(drop).map_err(|error| failed("read", error)) });
        }
        let listed = own.list(None).try_next().await;
        all.push(Access { right: "list", tried: listed.map(drop).map_err(|error| failed("list", error)) });
        if delete && is_there {
            let deleted = own.delete(&path).await;
            all.push(Access { right: "delete", tried: deleted.map_err(|error| failed("delete", error)) });
        }
        Ok(all)
    }

    /// How far this machine's clock is ahead of the store's; `None` where the store is a folder of this machine.
    ///
    /// # Errors
    /// The store can't be written or read.
    pub async fn clock_ahead(&self) -> Result<Option<TimeDelta>, LakeError> {
        if matches!(self.location, Location::Folder(_)) {
            return Ok(None);
        }
        let before = Utc::now();
        let (stored, after) = self.times().await?;
        // The store tells whole seconds, and the answer took a while.
        let (least, most) = (before - stored - TimeDelta::seconds(1), after - stored);
        Ok(Some(TimeDelta::zero().clamp(least, most)))
    }

    /// The store's time, by the stamp of a small file that is written there, and this machine's when that was done.
    ///
    /// # Errors
    /// The store can't be written or read.
    pub(in crate::lake) async fn times(&self) -> Result<(DateTime<Utc>, DateTime<Utc>), LakeError> {
        let own = prefixed(&self.root, &self.location.table_url(OWN))?;
        let path = Path::from(CLOCK);
        let failed = |error: object_store::Error| LakeError::store("ask for the time", &self.location, &error);
        own.put(&path, PutPayload::from_static(b"now")).await.map_err(failed)?;
        let after = Utc::now();
        Ok((own.head(&path).await.map_err(failed)?.last_modified, after))
    }

    /// Files that belong to no write any more, or to one that goes on.
    ///
    /// # Errors
    /// The folder can't be read.
    pub async fn temporary_files(&self) -> Result<TemporaryFiles, LakeError> {
        self.in_folder("look for temporary files", |folder| {
            let mut found = TemporaryFiles::default();
            for file in temporary_files(folder)? {
                match file.age >= ABANDONED {
                    true => {
                        (found.abandoned, found.abandoned_bytes) =
                            (found.abandoned + 1, found.abandoned_bytes + file.bytes)
                    }
                    false => found.fresh += 1,
                }
            }
            Ok(found)
        })
        .await
    }

    /// Deletes the abandoned ones; how many there were.
    ///
    /// # Errors
    /// The folder can't be read or written.
    pub async fn remove_temporary_files(&self) -> Result<usize, LakeError> {
        self.in_folder("delete temporary files", |folder| remove_abandoned(folder, ABANDONED)).await
    }

    async fn in_folder<T: Default + Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce(&std::path::Path) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, LakeError> {
        let Location::Folder(folder) = self.location.clone() else { return Ok(T::default()) };
        let done = tokio::task::spawn_blocking(move || match folder.is_dir() {
            true => work(&folder),
            false => Ok(T::default()),
        });
        let done = done.await.map_err(object_store::Error::from).and_then(|done| {
            done.map_err(|error| object_store::Error::Generic { store: "local disk", source: Box::new(error) })
        });
        done.map_err(|error| LakeError::store(action, &self.location, &error))
    }
}

impl AuditedTable {
    /// Data files that the store has.
    ///
    /// # Errors
    /// The store doesn't answer.
    pub async fn listed(&self) -> Result<Vec<ListedFile>, LakeError> {
        data_files(&self.store, &self.place).await
    }
}

/// Data files below the root of a table, which `place` names. Folders whose names begin with `_` or `.` are not its own.
pub(in crate::lake) async fn data_files(
    store: &Arc<dyn ObjectStore>,
    place: &str,
) -> Result<Vec<ListedFile>, LakeError> {
    let failed = |error: object_store::Error| LakeError::store("list the files", place, &error);
    let mut found = Vec::new();
    let mut listed = store.list(None);
    while let Some(object) = listed.try_next().await.map_err(failed)? {
        let is_hidden = object.location.parts().any(|part| part.as_ref().starts_with(['_', '.']));
        if !is_hidden {
            let (path, bytes, modified) = (object.location, object.size, object.last_modified);
            found.push(ListedFile { path, bytes, modified });
        }
    }
    Ok(found)
}

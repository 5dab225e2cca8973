//! Tests what a lake requires of its store, and finds files in the store that belong to no table.

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
use crate::lake::store::location::{INTERNAL_FOLDER, Location};
use crate::lake::store::probe::require_conditional_put;
use crate::lake::store::root::prefixed;

/// Each check overwrites this object, so that there is only one.
const ACCESS_PROBE_KEY: &str = "doctor/tried";
/// Object whose timestamp shows the store's time. It differs from [`ACCESS_PROBE_KEY`] because a concurrent check may
/// delete that one.
const CLOCK_PROBE_KEY: &str = "clock";

/// A temporary file this old doesn't belong to an upload that is still running.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// A permission that was tested.
#[derive(Debug)]
pub struct AccessCheck {
    pub right: &'static str,
    pub result: Result<(), LakeError>,
}

/// A file of the store, whether a table names it or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    pub path: Path,
    pub bytes: u64,
    pub modified: DateTime<Utc>,
}

/// Number of files with temporary names in a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TemporaryFileCounts {
    /// Files so old that no process is still writing them.
    pub abandoned: usize,
    pub abandoned_bytes: u64,
    pub fresh: usize,
}

impl Audit {
    /// Requires of an object store that it refuses to overwrite an object in a conditional put.
    ///
    /// # Errors
    /// It overwrites the object, or it can't be used at all.
    pub async fn require_conditional_put(&self) -> Result<(), LakeError> {
        let Location::S3 { prefix, .. } = &self.location else { return Ok(()) };
        let lake: Arc<dyn ObjectStore> =
            Arc::new(PrefixStore::new(Arc::clone(&self.root), Path::from(prefix.as_str())));
        require_conditional_put(&lake, &self.location).await
    }

    /// Writes, reads, lists and, if `delete` is set, deletes a small object.
    ///
    /// # Errors
    /// The settings don't describe a store.
    pub async fn try_access(&self, delete: bool) -> Result<Vec<AccessCheck>, LakeError> {
        let own = prefixed(&self.root, &self.location.table_url(INTERNAL_FOLDER))?;
        let path = Path::from(ACCESS_PROBE_KEY);
        let failed = |action, error: object_store::Error| LakeError::store(action, &self.location, &error);
        let put = own.put(&path, PutPayload::from_static(b"doctor")).await;
        let is_there = put.is_ok();
        let mut all =
            vec![AccessCheck { right: "write", result: put.map(drop).map_err(|error| failed("write", error)) }];
        if is_there {
            let got = async { own.get(&path).await?.bytes().await }.await;
            all.push(AccessCheck { right: "read", result: got.map(drop).map_err(|error| failed("read", error)) });
        }
        let listed = own.list(None).try_next().await;
        all.push(AccessCheck { right: "list", result: listed.map(drop).map_err(|error| failed("list", error)) });
        if delete && is_there {
            let deleted = own.delete(&path).await;
            all.push(AccessCheck { right: "delete", result: deleted.map_err(|error| failed("delete", error)) });
        }
        Ok(all)
    }

    /// How far this machine's clock is ahead of the store's; `None` if the store is a local folder.
    ///
    /// # Errors
    /// The store can't be written or read.
    pub async fn clock_ahead(&self) -> Result<Option<TimeDelta>, LakeError> {
        if matches!(self.location, Location::Folder(_)) {
            return Ok(None);
        }
        let before = Utc::now();
        let (stored, after) = self.store_and_local_time().await?;
        // The store reports whole seconds, and the request took some time.
        let (least, most) = (before - stored - TimeDelta::seconds(1), after - stored);
        Ok(Some(TimeDelta::zero().clamp(least, most)))
    }

    /// The store's time, from the timestamp of a small object that is written there, and this machine's time after that
    /// write.
    ///
    /// # Errors
    /// The store can't be written or read.
    pub(in crate::lake) async fn store_and_local_time(&self) -> Result<(DateTime<Utc>, DateTime<Utc>), LakeError> {
        let own = prefixed(&self.root, &self.location.table_url(INTERNAL_FOLDER))?;
        let path = Path::from(CLOCK_PROBE_KEY);
        let failed = |error: object_store::Error| LakeError::store("ask for the time", &self.location, &error);
        own.put(&path, PutPayload::from_static(b"now")).await.map_err(failed)?;
        let after = Utc::now();
        Ok((own.head(&path).await.map_err(failed)?.last_modified, after))
    }

    /// Counts temporary files: abandoned ones, and those of writes that may still be running.
    ///
    /// # Errors
    /// The folder can't be read.
    pub async fn temporary_files(&self) -> Result<TemporaryFileCounts, LakeError> {
        self.in_local_folder("look for temporary files", |folder| {
            let mut found = TemporaryFileCounts::default();
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

    /// Deletes the abandoned files and returns their number.
    ///
    /// # Errors
    /// The folder can't be read or written.
    pub async fn remove_temporary_files(&self) -> Result<usize, LakeError> {
        self.in_local_folder("delete temporary files", |folder| remove_abandoned(folder, ABANDONED)).await
    }

    async fn in_local_folder<T: Default + Send + 'static>(
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
    /// Data files of the table that are in the store.
    ///
    /// # Errors
    /// The store doesn't answer.
    pub async fn listed_files(&self) -> Result<Vec<ListedFile>, LakeError> {
        data_files(&self.store, &self.location).await
    }
}

/// Data files below the root of the table that `location` names. Folders whose names begin with `_` or `.` are skipped,
/// as they hold no data of it.
pub(in crate::lake) async fn data_files(
    store: &Arc<dyn ObjectStore>,
    location: &str,
) -> Result<Vec<ListedFile>, LakeError> {
    let failed = |error: object_store::Error| LakeError::store("list the files", location, &error);
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

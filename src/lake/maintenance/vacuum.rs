//! Deletes files that no version needs any more: those that were removed from the table long ago, and those that no
//! commit ever added.
//!
//! A file is deleted if it was both written and removed more than a week ago, or more than `--delete-after` ago, which
//! is at least a day. So neither a reader of an older version within the log retention needs it, nor a writer whose
//! commit is still pending: a writer gives its files up after
//! [`NewFile::MAX_COMMIT_AGE`](crate::lake::NewFile::MAX_COMMIT_AGE).

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use object_store::path::Path;

use crate::lake::audit::state::Audit;
use crate::lake::audit::store_checks::{ListedFile, data_files};
use crate::lake::error::LakeError;
use crate::lake::maintenance::lake_maintenance::LakeMaintenance;
use crate::lake::store::root::{delete_all, prefixed};
use crate::util::crash::{self, CrashPoint};

/// Files that are deleted in one request, or in one round of requests.
const FILES_PER_DELETE: usize = 1_000;

/// A file in the folder of a table that the newest version doesn't reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreferencedFile {
    /// Name of the table, such as `ticks`.
    pub table: &'static str,
    pub path: Path,
    pub bytes: u64,
    /// The log has its removal; otherwise nothing references it, because a killed writer left it behind.
    pub was_removed: bool,
}

impl LakeMaintenance {
    /// The earlier one of two times, this machine's and that of the store, which timestamps files: by the earlier one
    /// fewer files are old. Writes a small object next to the tables.
    ///
    /// # Errors
    /// The store can't be read or written.
    pub async fn earlier_now(&self) -> Result<DateTime<Utc>, LakeError> {
        let (stored, own) = Audit::of(self.location(), self.root()).store_and_local_time().await?;
        Ok(stored.min(own))
    }

    /// Files that were written before `before`, and either removed from their table before it or never added.
    ///
    /// # Errors
    /// The store doesn't answer, or a log is damaged, so that the files that its table needs are unknown.
    pub async fn unreferenced(&mut self, before: DateTime<Utc>) -> Result<Vec<UnreferencedFile>, LakeError> {
        let names: Vec<&'static str> = self.tables().iter().map(|table| table.name).collect();
        let mut found = Vec::new();
        for name in names {
            // The list is read before the log, so that files that are committed in between are in the log.
            let location = format!("{}/{name}", self.location());
            let store = prefixed(self.root(), &self.location().table_url(name))?;
            let listed = data_files(&store, &location).await?;
            let Some(audited) = Audit::of(self.location(), self.root()).table(name).await? else { continue };
            let state = audited.state.filter(|state| audited.problems.is_empty() && state.version == audited.newest);
            let state = state.ok_or_else(|| LakeError::Table {
                action: "look for files that nothing needs",
                table: location,
                detail: "its log is damaged: run tickhouse verify".to_owned(),
            })?;
            let needed: HashSet<&Path> = state.files.iter().map(|file| &file.path).collect();
            let is_old_data = |file: &ListedFile| {
                let (path, is_in_folder) = (file.path.as_ref(), file.path.parts().count() > 1);
                let is_data = is_in_folder && path.starts_with(&state.partition_column) && path.ends_with(".parquet");
                is_data && file.modified < before
            };
            for ListedFile { path, bytes, .. } in listed.into_iter().filter(is_old_data) {
                let removed = state.removed.get(&path);
                let recently = removed.is_some_and(|time| time.is_none_or(|time| time >= before.timestamp_millis()));
                if !needed.contains(&path) && !recently {
                    found.push(UnreferencedFile { table: name, path, bytes, was_removed: removed.is_some() });
                }
            }
        }
        Ok(found)
    }

    /// Deletes what [`Self::unreferenced`] found. Files that are gone already are no failure.
    ///
    /// # Errors
    /// The store refuses; some of them are deleted then.
    pub async fn delete(&self, files: &[UnreferencedFile]) -> Result<(), LakeError> {
        let failed = |error: object_store::Error| LakeError::store("delete a data file", self.location(), &error);
        for chunk in files.chunks(FILES_PER_DELETE) {
            let locations: Vec<object_store::Result<Path>> = chunk
                .iter()
                .map(|file| {
                    let url = self.location().table_url(file.table);
                    let root = Path::from_url_path(url.path())?;
                    Ok(root.parts().chain(file.path.parts()).collect())
                })
                .collect();
            delete_all(self.root(), locations).await.map_err(failed)?;
            crash::at(CrashPoint::Vacuuming);
        }
        Ok(())
    }
}

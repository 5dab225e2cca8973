//! Files that no version needs any more: those that left the table long ago, and those that nothing ever named.
//!
//! What is deleted is older than a week by both of its times, or than `--delete-after`, a day at least. So a reader of an
//! older version within the log retention doesn't miss it, nor a writer whose commit is still under way: that one gives
//! its files up after [`NewFile::OFFERED_FOR`](crate::lake::NewFile::OFFERED_FOR).

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use object_store::path::Path;

use crate::lake::audit::checkup::{ListedFile, data_files};
use crate::lake::audit::state::Audit;
use crate::lake::error::LakeError;
use crate::lake::maintenance::merged::Maintenance;
use crate::lake::store::root::{delete_all, prefixed};
use crate::util::crash::{self, CrashPoint};

/// Files that one request, or a round of them, deletes.
const AT_ONCE: usize = 1_000;

/// A file in the folder of a table that its newest version doesn't have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreferenced {
    /// As in `ticks`.
    pub table: &'static str,
    pub path: Path,
    pub bytes: u64,
    /// The log knows that it left the table; otherwise nothing names it: a killed writer left it behind.
    pub was_removed: bool,
}

impl Maintenance {
    /// The time by two clocks, this machine's and that of the store, which stamps files: the earlier one, by which
    /// fewer files are old. Writes a small file beside the tables.
    ///
    /// # Errors
    /// The store can't be read or written.
    pub async fn earlier_now(&self) -> Result<DateTime<Utc>, LakeError> {
        let (stored, own) = Audit::of(self.location(), self.root()).times().await?;
        Ok(stored.min(own))
    }

    /// Files that are older than `before` and left their table, if they ever were in it, before that.
    ///
    /// # Errors
    /// The store doesn't answer; a log is damaged, so that it can't be told what the table needs.
    pub async fn unreferenced(&mut self, before: DateTime<Utc>) -> Result<Vec<Unreferenced>, LakeError> {
        let names: Vec<&'static str> = self.tables().iter().map(|table| table.name).collect();
        let mut found = Vec::new();
        for name in names {
            // Listed before the log is read: what is committed in between is in the log.
            let place = format!("{}/{name}", self.location());
            let store = prefixed(self.root(), &self.location().table_url(name))?;
            let listed = data_files(&store, &place).await?;
            let Some(audited) = Audit::of(self.location(), self.root()).table(name).await? else { continue };
            let state = audited.state.filter(|state| audited.problems.is_empty() && state.version == audited.newest);
            let state = state.ok_or_else(|| LakeError::Table {
                action: "look for files that nothing needs",
                table: place,
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
                    found.push(Unreferenced { table: name, path, bytes, was_removed: removed.is_some() });
                }
            }
        }
        Ok(found)
    }

    /// Deletes what [`Self::unreferenced`] found. Files that are gone already are no failure.
    ///
    /// # Errors
    /// The store refuses; some of them are deleted then.
    pub async fn delete(&self, files: &[Unreferenced]) -> Result<(), LakeError> {
        let failed = |error: object_store::Error| LakeError::store("delete a data file", self.location(), &error);
        for chunk in files.chunks(AT_ONCE) {
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

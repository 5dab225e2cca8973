//! Work beside the commits: checkpoints, clean-up of the log, temporary files of killed processes.
//!
//! Never touches data files. Any number of workers may run it; a checkpoint is the same whoever writes it.

use std::time::Duration;

use deltalake::checkpoints::{cleanup_metadata, create_checkpoint};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::Deserialize;

use super::durable::remove_abandoned;
use super::error::LakeError;
use super::location::Location;
use super::table::Table;

/// A temporary file this old belongs to no upload that is still going on.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Handles of its own on some tables.
pub struct Maintenance {
    location: Location,
    tables: Vec<Table>,
}

/// How much is done beside the commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upkeep {
    /// Commits from one checkpoint to the next.
    pub commits: u64,
    /// Old files of the log are deleted too.
    pub clean: bool,
}

/// What one run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintained {
    pub checkpoints: usize,
    /// Of the checkpoints that were written.
    pub checkpoint_bytes: u64,
    pub log_files_deleted: usize,
    pub temporary_files_deleted: usize,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LastCheckpoint {
    version: u64,
    size_in_bytes: Option<u64>,
}

impl Maintenance {
    pub(super) fn new(location: &Location, tables: Vec<Table>) -> Self {
        Self { location: location.clone(), tables }
    }

    /// Version of the first table that its newest checkpoint holds; 0 where there is none.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn checkpoint(&self) -> Result<u64, LakeError> {
        match self.tables.first() {
            Some(table) => Ok(last_checkpoint(table).await?.version),
            None => Ok(0),
        }
    }

    /// Writes a checkpoint of each table that is `commits` or more ahead of its last one; with `clean` also deletes
    /// what the log retention of the table (7 days) lets go. Does nothing but two small reads otherwise.
    ///
    /// # Errors
    /// The store can't be read or written. The tables are whole in any case.
    pub async fn run(&mut self, Upkeep { commits, clean }: Upkeep) -> Result<Maintained, LakeError> {
        let mut done = Maintained::default();
        for table in &mut self.tables {
            table.load().await?;
            if table.snapshot()?.version() < last_checkpoint(table).await?.version + commits.max(1) {
                continue;
            }
            let written = create_checkpoint(table.delta(), None).await;
            written.map_err(|error| table.error("write a checkpoint", error))?;
            done.checkpoints += 1;
            done.checkpoint_bytes += last_checkpoint(table).await?.size_in_bytes.unwrap_or(0);
            if !clean {
                continue;
            }
            let deleted = cleanup_metadata(table.delta(), None).await;
            done.log_files_deleted += deleted.map_err(|error| table.error("clean the log", error))?;
        }
        if let (Location::Folder(folder), 1.., true) = (&self.location, done.checkpoints, clean) {
            let (folder, place) = (folder.clone(), self.location.to_string());
            let removed = tokio::task::spawn_blocking(move || remove_abandoned(&folder, ABANDONED)).await;
            let removed = removed.map_err(object_store::Error::from).and_then(|removed| {
                removed.map_err(|error| object_store::Error::Generic { store: "local disk", source: Box::new(error) })
            });
            let action = "delete temporary files";
            done.temporary_files_deleted = removed.map_err(|error| LakeError::store(action, place, &error))?;
        }
        Ok(done)
    }
}

/// The newest checkpoint by the table's hint; version 0 where there is none or it can't be read.
async fn last_checkpoint(table: &Table) -> Result<LastCheckpoint, LakeError> {
    let read = async { table.store.get(&Path::from("_delta_log/_last_checkpoint")).await?.bytes().await };
    match read.await {
        Ok(hint) => Ok(serde_json::from_slice(&hint).unwrap_or_default()),
        Err(object_store::Error::NotFound { .. }) => Ok(LastCheckpoint::default()),
        Err(error) => Err(LakeError::store("read the checkpoint hint", &table.name, &error)),
    }
}

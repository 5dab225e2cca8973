//! Finds the damaged file that makes a log unreadable.
//!
//! This runs only after a load has failed, because the kernel's errors don't name the file.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use url::Url;

use crate::lake::error::LakeError;
use crate::lake::log::checkpoint_hint::{CHECKPOINT_HINT, LastCheckpoint, last_checkpoint};
use crate::lake::log::head::CommitChanges;
use crate::lake::store::log_file::{COMMIT, LOG, checkpoint_name, commit_name, versioned};

const COMMIT_FIX: &str = "restore it from a backup; `tickhouse doctor` says whether the lake can do without it";
const CHECKPOINT_FIX: &str = "restore it from a backup, or remove it and _last_checkpoint if the commits from the \
                              checkpoint before it (or version 0) on are still there";
const GAP_FIX: &str = "restore it from a backup: without it the commits after it say nothing";

/// The damaged file among those that a load reads: the newest checkpoint and the commits after it.
///
/// # Errors
/// [`LakeError::Damaged`], the log can't be listed or read, or the list lacks an existing file.
pub(in crate::lake) async fn find(store: &Arc<dyn ObjectStore>, table: &str) -> Result<(), LakeError> {
    let failed = |error: object_store::Error| LakeError::store("look for the damaged file", table, &error);
    let listed = store.list(Some(&Path::from(LOG))).map_ok(|file| file.location);
    let mut files: Vec<Path> = listed.try_collect().await.map_err(failed)?;
    files.sort();
    require_listed(store, table, &files).await?;
    let checkpoint = files.iter().rfind(|file| name(file).contains(".checkpoint.")).cloned();
    let from = checkpoint.as_ref().and_then(versioned).map(|(version, _)| version);
    let first = from.map_or(0, |version| version + 1);
    let commits = files.iter().filter_map(commit);
    let expected_and_found = (first..).zip(commits.filter(|version| *version >= first));
    if let Some((missing, _)) = { expected_and_found }.find(|(expected, found)| expected != found) {
        return Err(damaged(table, &commit_name(missing), "it is not there".to_owned(), GAP_FIX));
    }
    for file in files {
        let is_commit = commit(&file).is_some_and(|version| Some(version) >= from);
        let is_checkpoint = checkpoint.as_ref() == Some(&file) && name(&file).ends_with(".parquet");
        if !(is_commit || is_checkpoint) {
            continue;
        }
        let bytes = store.get(&file).await.map_err(failed)?.bytes().await.map_err(failed)?;
        let (checked, fix) = match is_checkpoint {
            true => (read_checkpoint(bytes), CHECKPOINT_FIX),
            false => (CommitChanges::parse(&bytes).map(drop), COMMIT_FIX),
        };
        checked.map_err(|detail| damaged(table, name(&file), detail, fix))?;
    }
    Ok(())
}

/// Requires that the list contains the checkpoint that the hint names, or the first commit: a load starts at one of
/// them.
async fn require_listed(store: &Arc<dyn ObjectStore>, table: &str, listed: &[Path]) -> Result<(), LakeError> {
    let file = match last_checkpoint(store, table).await? {
        Some(LastCheckpoint { version, .. }) => checkpoint_name(version),
        None => commit_name(0),
    };
    let path = Path::from_iter([LOG, &file]);
    if listed.contains(&path) {
        return Ok(());
    }
    match store.head(&path).await {
        Ok(_) => Err(LakeError::stale_list(table, &path)),
        Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(LakeError::store("look for the start of the log", table, &error)),
    }
}

/// Inspects the commits since the last checkpoint. Only a local disk is inspected, as other stores never keep a partial
/// file.
///
/// # Errors
/// [`LakeError::Damaged`].
pub(in crate::lake) async fn require_no_empty_commit(
    url: &Url,
    table: &str,
    version: Option<u64>,
) -> Result<(), LakeError> {
    let (Ok(folder), Some(version)) = (url.to_file_path(), version) else { return Ok(()) };
    let log = folder.join(LOG);
    let inspect = move || {
        let hint = std::fs::read(log.join(CHECKPOINT_HINT)).unwrap_or_default();
        let from = serde_json::from_slice::<LastCheckpoint>(&hint).map_or(0, |hint| hint.version);
        let from = if log.join(checkpoint_name(from)).exists() { from } else { 0 };
        let is_empty = |version: &u64| {
            let commit = std::fs::metadata(log.join(commit_name(*version)));
            commit.is_ok_and(|commit| commit.len() == 0)
        };
        (from..=version).rev().find(is_empty)
    };
    match tokio::task::spawn_blocking(inspect).await {
        Ok(Some(version)) => Err(damaged_commit(table, version, "it is empty".to_owned())),
        Ok(None) => Ok(()),
        Err(error) => Err(LakeError::store("inspect the log", table, &error.into())),
    }
}

/// The error for a commit that can't be parsed.
pub(in crate::lake) fn damaged_commit(table: &str, version: u64, detail: String) -> LakeError {
    damaged(table, &commit_name(version), detail, COMMIT_FIX)
}

fn damaged(table: &str, name: &str, detail: String, fix: &'static str) -> LakeError {
    LakeError::Damaged { file: format!("{table}/{LOG}/{name}"), detail, fix }
}

/// Version of the commit; `None` if the file is not a commit.
fn commit(file: &Path) -> Option<u64> {
    versioned(file).filter(|(_, ending)| *ending == COMMIT).map(|(version, _)| version)
}

fn name(file: &Path) -> &str {
    file.filename().unwrap_or_default()
}

fn read_checkpoint(bytes: Bytes) -> Result<(), String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(|builder| builder.build());
    for batch in reader.map_err(|error| error.to_string())? {
        batch.map_err(|error| error.to_string())?;
    }
    Ok(())
}

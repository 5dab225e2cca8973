//! Keeps the newest record in the log, whatever the clean-up deletes and whoever commits.
//!
//! Our own commits repeat the record, those of other tools don't. So if the newest commit is another tool's, one of
//! ours follows it before anything is deleted.

use deltalake::kernel::Transaction;

use crate::lake::commit::append::append;
use crate::lake::commit::put::PutOutcome;
use crate::lake::error::LakeError;
use crate::lake::log::head::CommitChanges;
use crate::lake::log::record::CommitRecord;
use crate::lake::log::table::Table;

const APP_ID: &str = "tickhouse/record";
/// Lost races after which the clean-up is put off.
const ATTEMPTS: usize = 10;

/// Whether the newest commit now has the record, or there is no record at all. The snapshot is that of the newest
/// commit.
///
/// # Errors
/// The log can't be read or written.
pub(in crate::lake) async fn recommit_record(table: &mut Table) -> Result<bool, LakeError> {
    for _ in 0..ATTEMPTS {
        table.settle_head().await?;
        if newest_has_record(table).await? {
            return Ok(true);
        }
        let Some(record) = table.remember_record().await?.map(CommitRecord::without_reason) else { return Ok(true) };
        let partition_column = table.metadata().partition_columns().first().cloned().unwrap_or_default();
        // The commit contains an action, because other readers may not expect an empty one.
        let version = i64::try_from(table.version()).unwrap_or(i64::MAX).saturating_add(1);
        let transactions = vec![Transaction::new(APP_ID, version)];
        let put = table.put_next(Vec::new(), append(&partition_column), Some(&record), transactions).await?;
        let (version, is_stored) = (put.0, matches!(put.1, PutOutcome::Stored));
        if is_stored {
            tracing::info!(table = %table.name, version, "carried the counters on: another tool wrote the newest \
                commit");
        }
        table.load().await?;
        if is_stored {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn newest_has_record(table: &Table) -> Result<bool, LakeError> {
    let version = table.version();
    let read = table.log.read_commit_entry(version).await;
    let Some(commit) = read.map_err(|error| table.error("read a commit", error))? else { return Ok(false) };
    let changes = CommitChanges::parse(&commit);
    Ok(changes
        .map_err(|detail| crate::lake::log::damage::damaged_commit(&table.name, version, detail))?
        .record
        .is_some())
}

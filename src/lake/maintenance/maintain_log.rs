//! Writes checkpoints of one table and cleans up its log.

use chrono::{DateTime, TimeDelta, Utc};
use deltalake::checkpoints::{cleanup_expired_logs_for, create_checkpoint};
use deltalake::table::config::TablePropertiesExt;

use crate::lake::commit::recommit::recommit_record;
use crate::lake::error::LakeError;
use crate::lake::log::checkpoint_hint::{last_checkpoint, newest_checkpoint};
use crate::lake::log::table::Table;
use crate::lake::maintenance::prune::prune_checkpoints;

/// How the log of a table is maintained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogMaintenance {
    /// Commits from one checkpoint to the next.
    pub commits: u64,
    /// Whether old files of the log are deleted.
    pub clean: bool,
}

/// What one run of log maintenance did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogMaintenanceStats {
    pub checkpoints: usize,
    /// Size of the written checkpoints.
    pub checkpoint_bytes: u64,
    pub log_files_deleted: usize,
}

/// Writes a checkpoint if it is due, and then deletes expired log files if `clean` is set.
pub(in crate::lake) async fn maintain_log(
    table: &mut Table,
    LogMaintenance { commits, clean }: LogMaintenance,
    now: DateTime<Utc>,
) -> Result<LogMaintenanceStats, LakeError> {
    let mut done = LogMaintenanceStats::default();
    table.load().await?;
    let newest = newest_checkpoint(&table.store, &table.name).await?;
    if table.snapshot()?.version() < newest.saturating_add(commits.max(1)) {
        return Ok(done);
    }
    table.require_same_folder().await?;
    // If other writers win every race, the clean-up is put off until the next run.
    let clean = clean && recommit_record(table).await?;
    let written = create_checkpoint(table.delta(), None).await;
    written.map_err(|error| table.error("write a checkpoint", error))?;
    done.checkpoints = 1;
    table.show_checkpoint_hint();
    let Some(hint) = last_checkpoint(&table.store, &table.name).await? else { return Ok(done) };
    done.checkpoint_bytes = hint.size_in_bytes.unwrap_or(0);
    if clean {
        // The checkpoint has just been written, so its timestamp is the store's time. By the earlier one of two clocks
        // fewer files are old.
        let now = now.min(hint.written);
        let state = table.snapshot()?;
        let retention = TimeDelta::from_std(state.table_config().log_retention_duration()).unwrap_or(TimeDelta::MAX);
        let before = now.checked_sub_signed(retention).unwrap_or(DateTime::<Utc>::MIN_UTC);
        let expired = cleanup_expired_logs_for(state.version(), table.log.as_ref(), before.timestamp_millis(), None);
        let expired = expired.await.map_err(|error| table.error("clean the log", error))?;
        // A checkpoint that was the newest one within the last day may still be read. The oldest ones are needed by the
        // clean-up of other tools.
        let day = TimeDelta::days(1);
        done.log_files_deleted = expired + prune_checkpoints(table, before + day..now - day, hint.version).await?;
    }
    Ok(done)
}

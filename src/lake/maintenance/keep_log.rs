//! Checkpoints of one table, and the clean-up of its log.

use chrono::{DateTime, TimeDelta, Utc};
use deltalake::checkpoints::{cleanup_expired_logs_for, create_checkpoint};
use deltalake::table::config::TablePropertiesExt;

use crate::lake::commit::carry::carry_record;
use crate::lake::error::LakeError;
use crate::lake::log::hint::{last_checkpoint, newest_checkpoint};
use crate::lake::log::table::Table;
use crate::lake::maintenance::prune::thin_checkpoints;

/// How much is done beside the commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upkeep {
    /// Commits from one checkpoint to the next.
    pub commits: u64,
    /// Old files of the log are deleted too.
    pub clean: bool,
}

/// What one run did for the logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintained {
    pub checkpoints: usize,
    /// Of the checkpoints that were written.
    pub checkpoint_bytes: u64,
    pub log_files_deleted: usize,
}

/// A checkpoint where it is due, and then what is too old, if that is asked for.
pub(in crate::lake) async fn keep_log(
    table: &mut Table,
    Upkeep { commits, clean }: Upkeep,
    now: DateTime<Utc>,
) -> Result<Maintained, LakeError> {
    let mut done = Maintained::default();
    table.load().await?;
    let newest = newest_checkpoint(&table.store, &table.name).await?;
    if table.snapshot()?.version() < newest.saturating_add(commits.max(1)) {
        return Ok(done);
    }
    table.require_same_folder().await?;
    // Writers that are always faster let the clean-up wait for the next time.
    let clean = clean && carry_record(table).await?;
    let written = create_checkpoint(table.delta(), None).await;
    written.map_err(|error| table.error("write a checkpoint", error))?;
    done.checkpoints = 1;
    table.show_hint();
    let Some(hint) = last_checkpoint(&table.store, &table.name).await? else { return Ok(done) };
    done.checkpoint_bytes = hint.size_in_bytes.unwrap_or(0);
    if clean {
        // It was written just now by the store's clock: by the earlier of two clocks fewer files are old.
        let now = now.min(hint.written);
        let state = table.snapshot()?;
        let retention = TimeDelta::from_std(state.table_config().log_retention_duration()).unwrap_or(TimeDelta::MAX);
        let before = now.checked_sub_signed(retention).unwrap_or(DateTime::<Utc>::MIN_UTC);
        let expired = cleanup_expired_logs_for(state.version(), table.log.as_ref(), before.timestamp_millis(), None);
        let expired = expired.await.map_err(|error| table.error("clean the log", error))?;
        // What was the newest within a day may still be read. The oldest are where another cleaner stops.
        let day = TimeDelta::days(1);
        done.log_files_deleted = expired + thin_checkpoints(table, before + day..now - day, hint.version).await?;
    }
    Ok(done)
}

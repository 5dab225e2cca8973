//! What an operator decides about offsets: a range that is lost, or a topic that begins anew.
//!
//! Both are commits like any other, so that workers of before are fenced and the log tells who, when and why.

use deltalake::kernel::{Action, MetadataExt};
use deltalake::protocol::DeltaOperation;
use uuid::Uuid;

use super::commit::{Advance, CommitNote, CommitOutcome, epoch_of};
use super::create::{CLUSTER_ID, EPOCH};
use super::error::LakeError;
use super::handle::Lake;
use super::record::CommitRecord;
use super::retry::Attempts;
use super::table::{Put, Table};
use crate::market::{Counts, OffsetRange};

impl Lake {
    /// How partitions move when each is to be read next from the offset given: what lies in between counts as
    /// lost. A partition that was never committed begins there, and nothing is lost.
    ///
    /// # Errors
    /// An offset is below what the table has, or negative; the log can't be read.
    pub async fn plan_offsets(&self, offsets: &[(i32, i64)]) -> Result<Vec<Advance>, LakeError> {
        let mut plan = Vec::with_capacity(offsets.len());
        for &(partition, offset) in offsets {
            let base = self.next_offset(partition).await?;
            let next = base.unwrap_or(offset);
            let range = OffsetRange::new(next, offset).map_err(|_| LakeError::Backwards { partition, next, offset })?;
            let counts = Counts { lost: range.len(), ..Counts::default() };
            plan.push(Advance { partition, base, range, counts });
        }
        Ok(plan)
    }

    /// Carries out a plan of [`Lake::plan_offsets`]. `reason` says who and why; the commit has the time.
    ///
    /// # Errors
    /// As [`Lake::commit_ticks`]; `Fenced` means that a partition moved after the plan was made.
    pub async fn set_offsets(&mut self, plan: &[Advance], reason: &str) -> Result<CommitOutcome, LakeError> {
        let note = CommitNote { reason: Some(reason.to_owned()), ..CommitNote::default() };
        self.commit_ticks(&[], plan, &note).await
    }

    /// Says that the topic was recreated or moved to another cluster: offsets count anew, under the next
    /// epoch. Workers of the old one are fenced at their next commit.
    ///
    /// # Errors
    /// Another operator began an epoch at the same time, or the store can't be written.
    pub async fn begin_epoch(&mut self, cluster_id: &str, reason: &str) -> Result<i32, LakeError> {
        self.ticks.load().await?;
        self.ticks.forget_commits();
        let before = epoch_of(&self.ticks, EPOCH)?;
        let record = CommitRecord {
            commit_id: Uuid::new_v4().to_string(),
            epoch: before + 1,
            reason: Some(reason.to_owned()),
            ..CommitRecord::default()
        };
        let mut attempts = Attempts::new("commit not confirmed", &self.retry, &self.ticks.name);
        loop {
            let result = begin(&mut self.ticks, before, cluster_id, &record).await;
            if let Some(epoch) = attempts.settle(result).await? {
                self.epoch = epoch;
                return Ok(epoch);
            }
        }
    }
}

/// One attempt; `None` when another writer was faster.
async fn begin(
    ticks: &mut Table,
    before: i32,
    cluster_id: &str,
    record: &CommitRecord,
) -> Result<Option<i32>, LakeError> {
    ticks.settle_head().await?;
    if ticks.landed_as(&record.commit_id).is_some() {
        return Ok(Some(record.epoch));
    }
    if epoch_of(ticks, EPOCH)? != before {
        return Err(LakeError::EpochMoved { table: ticks.name.clone() });
    }
    let change = [(EPOCH, record.epoch.to_string()), (CLUSTER_ID, cluster_id.to_owned())];
    let mut metadata = ticks.metadata().clone();
    for (key, value) in &change {
        let changed = metadata.add_config_key((*key).to_owned(), value.clone());
        metadata = changed.map_err(|error| ticks.error("begin an epoch", error))?;
    }
    let properties = change.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let operation = DeltaOperation::SetTableProperties { properties };
    match ticks.put_next(vec![Action::Metadata(metadata)], operation, Some(record), Vec::new()).await? {
        (_, Put::Stored) => Ok(Some(record.epoch)),
        // The next attempt begins by reading what is there: perhaps it is ours.
        (_, Put::Exists) => Ok(None),
    }
}

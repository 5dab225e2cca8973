//! Decisions of an operator about offsets: a range that is given up, or a new epoch for a recreated topic.
//!
//! Both are ordinary commits, so that running workers are fenced and the log records who decided, when and why.

use deltalake::kernel::{Action, MetadataExt};
use deltalake::protocol::DeltaOperation;
use uuid::Uuid;

use crate::lake::commit::append::{CommitNote, CommitOutcome};
use crate::lake::commit::create::{identity_of, identity_properties};
use crate::lake::commit::handle::Lake;
use crate::lake::commit::put::PutOutcome;
use crate::lake::error::LakeError;
use crate::lake::log::properties::{EPOCH, TOPIC_ID};
use crate::lake::log::record::CommitRecord;
use crate::lake::log::table::Table;
use crate::lake::log::transactions::Advance;
use crate::lake::store::retry::RetryLoop;
use crate::market::{Counts, OffsetRange, TopicIdentity};

impl Lake {
    /// Plans to continue each partition at the given offset: offsets in between count as lost. A partition that was
    /// never committed starts there, and nothing is lost.
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
            plan.push(Advance { partition, base, range, counts, leader_epoch: None });
        }
        Ok(plan)
    }

    /// Commits a plan of [`Lake::plan_offsets`]. `reason` says who decided and why; the commit records the time.
    ///
    /// # Errors
    /// As [`Lake::commit_ticks`]; `Fenced` means that a partition moved after the plan was made.
    pub async fn set_offsets(&mut self, plan: &[Advance], reason: &str) -> Result<CommitOutcome, LakeError> {
        let note = CommitNote { reason: Some(reason.to_owned()), ..CommitNote::default() };
        let known: Vec<i32> = plan.iter().filter(|one| one.base.is_some()).map(|one| one.partition).collect();
        self.require_counters(&known).await?;
        self.commit_ticks(&[], plan, &note).await
    }

    /// Begins the next epoch after the topic was recreated or moved to another cluster: from then on offsets are those
    /// of `identity`. Workers of the old epoch are fenced at their next commit.
    ///
    /// # Errors
    /// Another operator began an epoch at the same time, or the store can't be written.
    pub async fn begin_epoch(&mut self, identity: &TopicIdentity, reason: &str) -> Result<i32, LakeError> {
        self.ticks.load().await?;
        self.ticks.forget_commits();
        let before = self.ticks.epoch_of(EPOCH)?;
        let record = CommitRecord {
            commit_id: Uuid::new_v4().to_string(),
            epoch: before + 1,
            reason: Some(reason.to_owned()),
            ..CommitRecord::default()
        };
        let mut attempts = RetryLoop::new("commit not confirmed", &self.retry, &self.ticks.name);
        loop {
            let result = begin(&mut self.ticks, before, identity, &record).await;
            if let Some(epoch) = attempts.settle(result).await? {
                self.epoch = epoch;
                return Ok(epoch);
            }
        }
    }

    /// Stores the id of the topic if the table has none, because the brokers didn't report it when the table was
    /// created.
    ///
    /// # Errors
    /// Another worker was faster, with the id of another topic; the store can't be written.
    pub async fn learn_topic_id(&mut self, kafka: &TopicIdentity) -> Result<(), LakeError> {
        let mut attempts = RetryLoop::new("commit not confirmed", &self.retry, &self.ticks.name);
        loop {
            let result = learn(&mut self.ticks, kafka).await;
            if attempts.settle(result).await?.is_some() {
                return Ok(());
            }
        }
    }
}

/// One attempt; `None` if another writer was faster.
async fn begin(
    ticks: &mut Table,
    before: i32,
    identity: &TopicIdentity,
    record: &CommitRecord,
) -> Result<Option<i32>, LakeError> {
    ticks.settle_head().await?;
    if ticks.landed_as(&record.commit_id).is_some() {
        return Ok(Some(record.epoch));
    }
    if ticks.epoch_of(EPOCH)? != before {
        return Err(LakeError::EpochMoved { table: ticks.name.clone() });
    }
    let mut changes = vec![(EPOCH, Some(record.epoch.to_string()))];
    changes.extend(identity_properties(identity));
    Ok(put_properties(ticks, &changes, Some(record)).await?.then_some(record.epoch))
}

/// One attempt; `None` if another writer was faster.
async fn learn(ticks: &mut Table, kafka: &TopicIdentity) -> Result<Option<()>, LakeError> {
    ticks.settle_head().await?;
    let known = identity_of(ticks);
    known.require(kafka)?;
    if known.topic_id.is_some() || kafka.topic_id.is_none() {
        return Ok(Some(()));
    }
    let record = ticks.remember_record().await?.map(CommitRecord::without_reason);
    Ok(put_properties(ticks, &[(TOPIC_ID, kafka.topic_id.clone())], record.as_ref()).await?.then_some(()))
}

/// Puts the next version with changed properties; a property without a value is removed. False if that version exists
/// already, in which case the next attempt reads it first: it may be ours.
async fn put_properties(
    ticks: &mut Table,
    changes: &[(&'static str, Option<String>)],
    record: Option<&CommitRecord>,
) -> Result<bool, LakeError> {
    let mut metadata = ticks.metadata().clone();
    for (key, value) in changes {
        let changed = match value {
            Some(value) => metadata.add_config_key((*key).to_owned(), value.clone()),
            None => metadata.remove_config_key(key),
        };
        metadata = changed.map_err(|error| ticks.error("change the properties", error))?;
    }
    let properties = changes.iter().filter_map(|(key, value)| Some(((*key).to_owned(), value.clone()?))).collect();
    let operation = DeltaOperation::SetTableProperties { properties };
    let (_, put) = ticks.put_next(vec![Action::Metadata(metadata)], operation, record, Vec::new()).await?;
    Ok(matches!(put, PutOutcome::Stored))
}

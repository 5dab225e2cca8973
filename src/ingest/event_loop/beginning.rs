//! Where a lake begins: the start policy is applied once, to every partition that the topic has then, in one commit.
//!
//! A partition that is added later, while an ingest runs or between two runs, is none of those: what was written to it
//! before anybody noticed it belongs to the lake, so it is read from its first message.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ingest::error::IngestError;
use crate::ingest::event_loop::pipeline::Pipeline;
use crate::ingest::event_loop::policy::{BeginError, named};
use crate::ingest::settings::StartPolicy;
use crate::kafka::{Assigned, TopicEnds, topic_ends};
use crate::lake::{CommitNote, CommitOutcome, Lake};

/// A partition without a leader doesn't hold up the others longer than this.
const PATIENCE: Duration = Duration::from_secs(10);

impl Pipeline {
    /// Commits where the partitions begin, unless the lake has a position already or is in a later epoch.
    ///
    /// # Errors
    /// The start names no usable offset, Kafka doesn't answer, or the lake can't be written.
    pub(in crate::ingest) async fn begin_lake(
        &self,
        lake: &mut Lake,
        assigned: &[Assigned],
    ) -> Result<(), IngestError> {
        if *self.start_of(lake) == StartPolicy::Earliest
            || has_position(lake, assigned.iter().map(|at| at.partition)).await?
        {
            return Ok(());
        }
        let kafka = self.options.kafka.clone();
        let TopicEnds { known, silent } = tokio::task::spawn_blocking(move || topic_ends(&kafka, PATIENCE)).await??;
        if has_position(lake, known.iter().map(|at| at.partition).chain(silent.iter().copied())).await? {
            return Ok(());
        }
        let mut begins = BTreeMap::new();
        for at in known {
            begins.insert(at.partition, self.first_of(at).await?);
        }
        if !silent.is_empty() {
            tracing::warn!(
                partitions = ?silent,
                "no leader answers for these partitions; --start doesn't count for them: they are read from their first \
                 message when they have one"
            );
        }
        let begins: Vec<(i32, i64)> = begins.into_iter().collect();
        let plan = lake.plan_offsets(&begins).await?;
        match lake.commit_ticks(&[], &plan, &CommitNote::default()).await? {
            CommitOutcome::Committed { version } | CommitOutcome::AlreadyApplied { version } => {
                self.status.send_modify(|status| status.version = version);
                tracing::info!(version, start = %self.options.start, "the lake begins");
            }
            // Another worker of the group was faster; its positions count.
            CommitOutcome::Fenced { .. } => lake.refresh_with_retry().await?,
        }
        Ok(())
    }

    /// A start counts for the first epoch: what a recreated topic has when the next one begins was written while nobody
    /// read it.
    pub(in crate::ingest) fn start_of(&self, lake: &Lake) -> &StartPolicy {
        if lake.epoch() > 0 { &StartPolicy::Earliest } else { &self.options.start }
    }

    async fn first_of(&self, at: Assigned) -> Result<i64, IngestError> {
        Ok(match &self.options.start {
            StartPolicy::Earliest => at.low,
            StartPolicy::Latest => at.high,
            StartPolicy::Time(millis) => self.offset_at(at.partition, *millis).await?.unwrap_or(at.high),
            start @ StartPolicy::Offsets(_) => {
                named(at, start)?.ok_or(BeginError::Unnamed { partition: at.partition })?
            }
        })
    }
}

async fn has_position(lake: &Lake, partitions: impl Iterator<Item = i32>) -> Result<bool, IngestError> {
    for partition in partitions {
        if lake.next_offset(partition).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

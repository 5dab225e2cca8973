//! The initial offsets of a lake: the start policy is applied once, in one commit, to every partition that the topic
//! has.
//!
//! The policy doesn't apply to a partition that is added later, while an ingest runs or between two runs: it is read
//! from its first message, because all of its messages are newer than the start.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ingest::error::IngestError;
use crate::ingest::event_loop::pipeline::Pipeline;
use crate::ingest::event_loop::policy::{StartOffsetError, named_offset};
use crate::ingest::settings::StartPolicy;
use crate::kafka::{PartitionWatermarks, TopicEnds, topic_ends};
use crate::lake::{CommitNote, CommitOutcome, Lake};

/// Longest time that a partition without a leader delays the other partitions.
const ENDS_TIMEOUT: Duration = Duration::from_secs(10);

impl Pipeline {
    /// Commits the initial offsets, unless the lake has an offset already or is in a later epoch.
    ///
    /// # Errors
    /// The start names no usable offset, Kafka doesn't answer, or the lake can't be written.
    pub(in crate::ingest) async fn commit_initial_offsets(
        &self,
        lake: &mut Lake,
        assigned: &[PartitionWatermarks],
    ) -> Result<(), IngestError> {
        if *self.start_policy(lake) == StartPolicy::Earliest
            || has_position(lake, assigned.iter().map(|at| at.partition)).await?
        {
            return Ok(());
        }
        let kafka = self.options.kafka.clone();
        let TopicEnds { known, silent } =
            tokio::task::spawn_blocking(move || topic_ends(&kafka, ENDS_TIMEOUT)).await??;
        if has_position(lake, known.iter().map(|at| at.partition).chain(silent.iter().copied())).await? {
            return Ok(());
        }
        let mut begins = BTreeMap::new();
        for at in known {
            begins.insert(at.partition, self.initial_offset(at).await?);
        }
        if !silent.is_empty() {
            tracing::warn!(
                partitions = ?silent,
                "no leader answers for these partitions; --start doesn't count for them: they are read from their \
                 first message when they have one"
            );
        }
        let begins: Vec<(i32, i64)> = begins.into_iter().collect();
        let plan = lake.plan_offsets(&begins).await?;
        match lake.commit_ticks(&[], &plan, &CommitNote::default()).await? {
            CommitOutcome::Committed { version } | CommitOutcome::AlreadyApplied { version } => {
                self.status.send_modify(|status| status.version = version);
                tracing::info!(version, start = %self.options.start, "the lake begins");
            }
            // Another worker of the group has committed its offsets first; they are used.
            CommitOutcome::Fenced { .. } => lake.refresh_with_retry().await?,
        }
        Ok(())
    }

    /// The configured start applies to the first epoch only: the messages of a recreated topic are all new to the lake.
    pub(in crate::ingest) fn start_policy(&self, lake: &Lake) -> &StartPolicy {
        if lake.epoch() > 0 { &StartPolicy::Earliest } else { &self.options.start }
    }

    async fn initial_offset(&self, at: PartitionWatermarks) -> Result<i64, IngestError> {
        Ok(match &self.options.start {
            StartPolicy::Earliest => at.low,
            StartPolicy::Latest => at.high,
            StartPolicy::Time(millis) => self.offset_at(at.partition, *millis).await?.unwrap_or(at.high),
            start @ StartPolicy::Offsets(_) => {
                named_offset(at, start)?.ok_or(StartOffsetError::Unnamed { partition: at.partition })?
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

//! Starts to read assigned partitions: compares the next offset of the table with the offsets that Kafka holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ingest::batching::assemble::now_micros;
use crate::ingest::batching::batch::IngestChunk;
use crate::ingest::error::IngestError;
use crate::ingest::event_loop::counters::with_heartbeat;
use crate::ingest::event_loop::partitions::OwnedPartition;
use crate::ingest::event_loop::pipeline::Pipeline;
use crate::ingest::event_loop::policy::{DataLoss, StartOffset, StartOffsetError, start_offset};
use crate::ingest::flushing::orphaned_dead_letters::OrphanedDeadLetters;
use crate::ingest::settings::StartPolicy;
use crate::kafka::{ConsumerCommand, PartitionStart, PartitionWatermarks};
use crate::lake::Lake;
use crate::market::TopicIdentity;

/// Timeout of a query for an offset, retries included.
const OFFSET_TIMEOUT: Duration = Duration::from_secs(60);
const OFFSET_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Where to start in a partition, decided without changing any state.
struct StartPosition {
    assigned: PartitionWatermarks,
    /// Transaction versions of `ticks` and `dead_letters`.
    base: Option<i64>,
    dead_base: Option<i64>,
    start_offset: StartOffset,
    next: i64,
    /// Leader epoch of the record before `next`, if the table ends there.
    leader_epoch: Option<i32>,
    orphaned: Option<OrphanedDeadLetters>,
}

/// The start positions of an assignment.
#[derive(Default)]
struct StartPositions {
    found: Vec<StartPosition>,
    /// Partitions whose next offset in the table is beyond the watermark: the watermark is older than another worker's
    /// commit.
    outdated: Vec<(i32, i64)>,
}

impl Pipeline {
    /// Starts to read newly assigned partitions, and restarts those that were announced again.
    ///
    /// # Errors
    /// Kafka and the table disagree and the policy is to stop, or the lake can't be read.
    pub(in crate::ingest) async fn accept_assignment(
        &mut self,
        kafka: &TopicIdentity,
        assigned: &[PartitionWatermarks],
        stop: &CancellationToken,
    ) -> Result<(), IngestError> {
        if assigned.is_empty() {
            return Ok(());
        }
        let Some(mut lake) = self.lake.take() else { return Ok(()) };
        let found = self.positions(&mut lake, kafka, assigned);
        let found = with_heartbeat(&self.status, &self.counters.tally, found);
        let positions = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            positions = found => Some(positions),
        };
        self.lake = Some(lake);
        self.follow_epoch()?;
        let Some(positions) = positions else {
            self.waiting_assignments.push((kafka.clone(), assigned.to_vec()));
            return Ok(());
        };
        let positions = positions?;
        for (partition, next) in positions.outdated {
            self.stale_watermarks.insert(partition, next);
            self.consumer.send(ConsumerCommand::RefreshWatermarks(partition))?;
        }
        self.start_reading(positions.found)
    }

    /// Must be called after each refresh of the lake, before the next batch is encoded: if the epoch has changed, the
    /// offsets that were read are those of the previous epoch.
    pub(in crate::ingest) fn follow_epoch(&mut self) -> Result<(), IngestError> {
        let epoch = self.lake.as_ref().map_or(self.encoder.epoch(), Lake::epoch);
        if epoch == self.encoder.epoch() {
            return Ok(());
        }
        self.encoder = Arc::new(self.encoder.with_epoch(epoch));
        let owned: Vec<i32> = self.partitions.iter().map(|(number, _)| number).collect();
        if let Some(goal) = &mut self.goal {
            goal.forget_ends();
        }
        self.restart(&owned)
    }

    /// Reads the partitions again from the table's current offsets, after a fenced commit.
    pub(in crate::ingest) fn restart(&mut self, numbers: &[i32]) -> Result<(), IngestError> {
        let mut restarted = Vec::new();
        for &number in numbers {
            if self.partitions.discard_uncommitted(number) {
                self.batch.drop_partition(number);
                restarted.push(number);
            }
        }
        Ok(self.consumer.send(ConsumerCommand::Announce(restarted))?)
    }

    async fn positions(
        &self,
        lake: &mut Lake,
        kafka: &TopicIdentity,
        assigned: &[PartitionWatermarks],
    ) -> Result<StartPositions, IngestError> {
        lake.refresh_with_retry().await?;
        lake.identity().require(kafka).map_err(DataLoss::from)?;
        lake.learn_topic_id(kafka).await?;
        self.commit_initial_offsets(lake, assigned).await?;
        let numbers: Vec<i32> = assigned.iter().map(|assigned| assigned.partition).collect();
        let counters = lake.require_counters(&numbers).await?;
        let mut positions = StartPositions::default();
        for &assigned in assigned {
            let PartitionWatermarks { partition, high, .. } = assigned;
            let base = lake.next_offset(partition).await?;
            let start_offset = match start_offset(assigned, base, self.start_policy(lake), self.options.on_data_loss) {
                Err(StartOffsetError::DataLoss(DataLoss::Shrunk { next, .. }))
                    if self.stale_watermarks.get(&partition).is_none_or(|known| high >= *known) =>
                {
                    positions.outdated.push((partition, next));
                    continue;
                }
                start_offset => start_offset?,
            };
            let next = match start_offset {
                StartOffset::At(offset) => offset,
                StartOffset::AfterLoss(lost) => lost.next(),
            };
            let dead_base = lake.dead_next_offset(partition).await?;
            let orphaned = OrphanedDeadLetters::read(lake, partition, next, dead_base).await?;
            let known = counters.get(&partition).filter(|known| start_offset == StartOffset::At(known.next));
            let leader_epoch = known.and_then(|known| known.leader_epoch);
            positions.found.push(StartPosition {
                assigned,
                base,
                dead_base,
                start_offset,
                next,
                leader_epoch,
                orphaned,
            });
        }
        Ok(positions)
    }

    fn start_reading(&mut self, positions: Vec<StartPosition>) -> Result<(), IngestError> {
        let mut starts = Vec::new();
        for StartPosition { assigned, base, dead_base, start_offset, next, leader_epoch, orphaned } in positions {
            let PartitionWatermarks { partition, low, high } = assigned;
            let target = self.goal.as_mut().map(|goal| goal.target(partition, low, high));
            self.stale_watermarks.remove(&partition);
            self.batch.drop_partition(partition);
            if let StartOffset::AfterLoss(lost) = start_offset {
                tracing::error!(partition, %lost, "Kafka no longer holds these offsets; recording them as lost");
                let chunk = IngestChunk::lost(partition, lost, self.decoder.columns(), now_micros());
                self.batch.push(chunk).expect("the partition's rows were dropped");
            }
            if base.is_none() && self.options.start != StartPolicy::Earliest {
                // The position is committed at once: a later start with another policy would skip messages.
                let chunk = IngestChunk::empty(partition, next, self.decoder.columns(), now_micros());
                self.batch.push(chunk).expect("the partition's rows were dropped");
            }
            tracing::info!(partition, offset = next, end = high, "reading");
            let generation = self.partitions.new_generation();
            let (committed, first, end) = (base, next, high);
            let newest = None;
            let state =
                OwnedPartition { generation, base, dead_base, next, committed, first, end, newest, target, orphaned };
            self.partitions.insert(partition, state);
            let is_accepted = self.accepted_truncations.remove(&partition);
            let leader_epoch = leader_epoch.filter(|_| !is_accepted);
            starts.push(PartitionStart { partition, generation, offset: next, leader_epoch });
        }
        Ok(self.consumer.send(ConsumerCommand::Start(starts))?)
    }

    pub(in crate::ingest) async fn offset_at(
        &self,
        partition: i32,
        timestamp_ms: i64,
    ) -> Result<Option<i64>, IngestError> {
        let deadline = Instant::now() + OFFSET_TIMEOUT;
        let mut last = "it doesn't answer".to_owned();
        loop {
            let (answer, offsets) = oneshot::channel();
            self.consumer.send(ConsumerCommand::OffsetForTime { partition, timestamp_ms, answer })?;
            match tokio::time::timeout_at(deadline, offsets).await {
                Ok(Ok(Ok(found))) => return Ok(found),
                Ok(Ok(Err(text))) => last = text,
                Ok(Err(_)) => return Err(IngestError::Kafka("the consumer thread has ended".to_owned())),
                Err(_) => {
                    return Err(IngestError::Kafka(format!(
                        "the broker doesn't report the offset of partition {partition} for a time: {last}"
                    )));
                }
            }
            tokio::time::sleep(OFFSET_RETRY_PAUSE).await;
        }
    }
}

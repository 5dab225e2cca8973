//! Taking up partitions: what the table says comes next, against what Kafka still holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::assemble::now_micros;
use super::batch::Chunk;
use super::buried::Buried;
use super::error::IngestError;
use super::partitions::Partition;
use super::pipeline::Pipeline;
use super::policy::{Begin, DataLoss, begin};
use crate::kafka::{Assigned, Command};
use crate::lake::Lake;
use crate::market::TopicIdentity;

/// One answer of a broker and the retries before it.
const OFFSETS_PATIENCE: Duration = Duration::from_secs(60);
const OFFSETS_PAUSE: Duration = Duration::from_secs(1);

impl Pipeline {
    /// Begins to read newly assigned partitions, or again those that had to be announced again.
    ///
    /// # Errors
    /// Kafka and the table disagree and the policy says stop, or the lake can't be read.
    pub(super) async fn take_up(
        &mut self,
        kafka: &TopicIdentity,
        assigned: &[Assigned],
        stop: &CancellationToken,
    ) -> Result<(), IngestError> {
        let Some(mut lake) = self.lake.take() else { return Ok(()) };
        let result = self.begin_reading(&mut lake, kafka, assigned, stop).await;
        self.lake = Some(lake);
        result
    }

    /// Reads the partitions again from where the table is now, after a fenced commit.
    pub(super) fn restart(&mut self, numbers: &[i32]) {
        let mut again = Vec::new();
        for &number in numbers {
            if self.partitions.begin_again(number) {
                self.batch.drop_partition(number);
                again.push(number);
            }
        }
        self.consumer.send(Command::Announce(again));
    }

    async fn begin_reading(
        &mut self,
        lake: &mut Lake,
        kafka: &TopicIdentity,
        assigned: &[Assigned],
        stop: &CancellationToken,
    ) -> Result<(), IngestError> {
        if assigned.is_empty() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            read = lake.refresh_patiently() => read?,
        }
        lake.identity().require(kafka).map_err(DataLoss::from)?;
        lake.learn_topic_id(kafka).await?;
        if self.encoder.epoch() != lake.epoch() {
            self.encoder = Arc::new(self.encoder.with_epoch(lake.epoch()));
            // What the others have read counts by the offsets of the old epoch.
            let numbers = self.partitions.iter().map(|(number, _)| number);
            let others: Vec<i32> =
                numbers.filter(|number| assigned.iter().all(|one| one.partition != *number)).collect();
            self.restart(&others);
        }
        let mut starts = Vec::new();
        for &assigned in assigned {
            let Assigned { partition, high, .. } = assigned;
            let target = match self.partitions.get(partition) {
                Some(owned) => owned.target,
                None => self.options.until_latest.then_some(high),
            };
            self.batch.drop_partition(partition);
            let base = lake.next_offset(partition).await?;
            let begin = begin(assigned, base, &self.options.start, self.options.on_data_loss)?;
            let next = match begin {
                Begin::At(offset) => offset,
                Begin::After(lost) => lost.next(),
                Begin::AtTime(millis) => self.offset_at(partition, millis).await?.unwrap_or(high),
            };
            if let Begin::After(lost) = begin {
                tracing::error!(partition, %lost, "Kafka no longer holds these offsets; recording them as lost");
                let chunk = Chunk::lost(partition, lost, self.decoder.columns(), now_micros());
                self.batch.push(chunk).expect("the partition's rows were dropped");
            }
            let buried = Buried::read(lake, partition, next).await?;
            tracing::info!(partition, offset = next, end = high, "reading");
            let generation = self.partitions.new_generation();
            let state = Partition { generation, base, next, committed: base, first: next, end: high, target, buried };
            self.partitions.insert(partition, state);
            starts.push((partition, generation, next));
        }
        self.consumer.send(Command::Start(starts));
        Ok(())
    }

    async fn offset_at(&self, partition: i32, timestamp_ms: i64) -> Result<Option<i64>, IngestError> {
        let deadline = Instant::now() + OFFSETS_PATIENCE;
        let mut last = "it doesn't answer".to_owned();
        loop {
            let (answer, offsets) = oneshot::channel();
            self.consumer.send(Command::OffsetForTime { partition, timestamp_ms, answer });
            match tokio::time::timeout_at(deadline, offsets).await {
                Ok(Ok(Ok(found))) => return Ok(found),
                Ok(Ok(Err(text))) => last = text,
                Ok(Err(_)) => return Err(IngestError::Kafka("the consumer thread has ended".to_owned())),
                Err(_) => {
                    return Err(IngestError::Kafka(format!(
                        "the broker doesn't tell partition {partition}'s offset of a time: {last}"
                    )));
                }
            }
            tokio::time::sleep(OFFSETS_PAUSE).await;
        }
    }
}

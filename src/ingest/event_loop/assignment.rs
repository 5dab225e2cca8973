//! Taking up partitions: what the table says comes next, against what Kafka still holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ingest::batching::assemble::now_micros;
use crate::ingest::batching::batch::Chunk;
use crate::ingest::error::IngestError;
use crate::ingest::event_loop::counted::beating;
use crate::ingest::event_loop::partitions::Partition;
use crate::ingest::event_loop::pipeline::Pipeline;
use crate::ingest::event_loop::policy::{Begin, BeginError, DataLoss, begin};
use crate::ingest::flushing::orphaned_dead_letters::Buried;
use crate::ingest::settings::StartPolicy;
use crate::kafka::{Assigned, Command, Start};
use crate::lake::Lake;
use crate::market::TopicIdentity;

/// One answer of a broker and the retries before it.
const OFFSETS_PATIENCE: Duration = Duration::from_secs(60);
const OFFSETS_PAUSE: Duration = Duration::from_secs(1);

/// Where to begin in a partition, decided without touching any state.
struct Place {
    assigned: Assigned,
    /// Transaction versions of ticks and dead letters.
    base: Option<i64>,
    dead_base: Option<i64>,
    begin: Begin,
    next: i64,
    /// Of the record before `next`, if that is where the table ends.
    leader_epoch: Option<i32>,
    buried: Option<Buried>,
}

/// What is known of an assignment.
#[derive(Default)]
struct Places {
    found: Vec<Place>,
    /// The table continues at this offset, beyond a watermark that is older: other workers go on meanwhile.
    outdated: Vec<(i32, i64)>,
}

impl Pipeline {
    /// Begins to read newly assigned partitions, or again those that had to be announced again.
    ///
    /// # Errors
    /// Kafka and the table disagree and the policy says stop, or the lake can't be read.
    pub(in crate::ingest) async fn take_up(
        &mut self,
        kafka: &TopicIdentity,
        assigned: &[Assigned],
        stop: &CancellationToken,
    ) -> Result<(), IngestError> {
        if assigned.is_empty() {
            return Ok(());
        }
        let Some(mut lake) = self.lake.take() else { return Ok(()) };
        let places = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            places = beating(&self.status, &self.counted.tally, self.places(&mut lake, kafka, assigned)) => Some(places),
        };
        self.lake = Some(lake);
        self.follow_epoch()?;
        let Some(places) = places else {
            self.waiting.push((kafka.clone(), assigned.to_vec()));
            return Ok(());
        };
        let places = places?;
        for (partition, next) in places.outdated {
            self.asked_again.insert(partition, next);
            self.consumer.send(Command::AskAgain(partition))?;
        }
        self.begin_reading(places.found)
    }

    /// After each refresh of the lake, before the next batch is encoded: what was read counts by the offsets of the epoch
    /// before.
    pub(in crate::ingest) fn follow_epoch(&mut self) -> Result<(), IngestError> {
        let epoch = self.lake.as_ref().map_or(self.encoder.epoch(), Lake::epoch);
        if epoch == self.encoder.epoch() {
            return Ok(());
        }
        self.encoder = Arc::new(self.encoder.with_epoch(epoch));
        let owned: Vec<i32> = self.partitions.iter().map(|(number, _)| number).collect();
        if let Some(goal) = &mut self.goal {
            goal.forget();
        }
        self.restart(&owned)
    }

    /// Reads the partitions again from where the table is now, after a fenced commit.
    pub(in crate::ingest) fn restart(&mut self, numbers: &[i32]) -> Result<(), IngestError> {
        let mut again = Vec::new();
        for &number in numbers {
            if self.partitions.begin_again(number) {
                self.batch.drop_partition(number);
                again.push(number);
            }
        }
        Ok(self.consumer.send(Command::Announce(again))?)
    }

    async fn places(
        &self,
        lake: &mut Lake,
        kafka: &TopicIdentity,
        assigned: &[Assigned],
    ) -> Result<Places, IngestError> {
        lake.refresh_with_retry().await?;
        lake.identity().require(kafka).map_err(DataLoss::from)?;
        lake.learn_topic_id(kafka).await?;
        self.begin_lake(lake, assigned).await?;
        let numbers: Vec<i32> = assigned.iter().map(|assigned| assigned.partition).collect();
        let counters = lake.require_counters(&numbers).await?;
        let mut places = Places::default();
        for &assigned in assigned {
            let Assigned { partition, high, .. } = assigned;
            let base = lake.next_offset(partition).await?;
            let begin = match begin(assigned, base, self.start_of(lake), self.options.on_data_loss) {
                Err(BeginError::DataLoss(DataLoss::Shrunk { next, .. }))
                    if self.asked_again.get(&partition).is_none_or(|known| high >= *known) =>
                {
                    places.outdated.push((partition, next));
                    continue;
                }
                begin => begin?,
            };
            let next = match begin {
                Begin::At(offset) => offset,
                Begin::After(lost) => lost.next(),
            };
            let dead_base = lake.dead_next_offset(partition).await?;
            let buried = Buried::read(lake, partition, next, dead_base).await?;
            let known = counters.get(&partition).filter(|known| begin == Begin::At(known.next));
            let leader_epoch = known.and_then(|known| known.leader_epoch);
            places.found.push(Place { assigned, base, dead_base, begin, next, leader_epoch, buried });
        }
        Ok(places)
    }

    fn begin_reading(&mut self, places: Vec<Place>) -> Result<(), IngestError> {
        let mut starts = Vec::new();
        for Place { assigned, base, dead_base, begin, next, leader_epoch, buried } in places {
            let Assigned { partition, low, high } = assigned;
            let target = self.goal.as_mut().map(|goal| goal.target(partition, low, high));
            self.asked_again.remove(&partition);
            self.batch.drop_partition(partition);
            if let Begin::After(lost) = begin {
                tracing::error!(partition, %lost, "Kafka no longer holds these offsets; recording them as lost");
                let chunk = Chunk::lost(partition, lost, self.decoder.columns(), now_micros());
                self.batch.push(chunk).expect("the partition's rows were dropped");
            }
            if base.is_none() && self.options.start != StartPolicy::Earliest {
                // The table learns it at once: a start that names another offset would skip what came meanwhile.
                let chunk = Chunk::empty(partition, next, self.decoder.columns(), now_micros());
                self.batch.push(chunk).expect("the partition's rows were dropped");
            }
            tracing::info!(partition, offset = next, end = high, "reading");
            let generation = self.partitions.new_generation();
            let (committed, first, end) = (base, next, high);
            let newest = None;
            let state = Partition { generation, base, dead_base, next, committed, first, end, newest, target, buried };
            self.partitions.insert(partition, state);
            let is_accepted = self.accepted_logs.remove(&partition);
            let leader_epoch = leader_epoch.filter(|_| !is_accepted);
            starts.push(Start { partition, generation, offset: next, leader_epoch });
        }
        Ok(self.consumer.send(Command::Start(starts))?)
    }

    pub(in crate::ingest) async fn offset_at(
        &self,
        partition: i32,
        timestamp_ms: i64,
    ) -> Result<Option<i64>, IngestError> {
        let deadline = Instant::now() + OFFSETS_PATIENCE;
        let mut last = "it doesn't answer".to_owned();
        loop {
            let (answer, offsets) = oneshot::channel();
            self.consumer.send(Command::OffsetForTime { partition, timestamp_ms, answer })?;
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

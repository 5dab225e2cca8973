//! The loop: one task owns partitions, batch and lake; every change of state is in one `match`.
//!
//! Invariants:
//! - At most one flush is in flight. It borrows the lake; what needs the lake waits for it.
//! - Chunks of an assignment that is over are dropped: whoever owns the partition reads them again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::decode::Decoder;
use crate::ingest::batching::assemble::{Deliveries, Delivery};
use crate::ingest::batching::batch::Batch;
use crate::ingest::batching::column_pool::ColumnsReturn;
use crate::ingest::error::IngestError;
use crate::ingest::event_loop::brokers::Brokers;
use crate::ingest::event_loop::counted::{BEAT, Counted, Newest};
use crate::ingest::event_loop::dead_share::{DeadShare, DeadShareRule};
use crate::ingest::event_loop::goal::{Goal, OwnWork};
use crate::ingest::event_loop::optional_watch::OptionalWatch;
use crate::ingest::event_loop::partitions::Partitions;
use crate::ingest::event_loop::policy::{DataLoss, FlushPolicy};
use crate::ingest::event_loop::status::{Phase, Status, Volume};
use crate::ingest::flushing::encode::TickEncoder;
use crate::ingest::flushing::flush::{Flush, Flushed, Outcome, flush};
use crate::ingest::settings::{DataLossPolicy, StartPolicy};
use crate::kafka::{Assigned, Command, Consumer, Event, KafkaSettings};
use crate::lake::{Advance, Lake};
use crate::market::TopicIdentity;
use crate::util::throttle::Throttle;

/// A request that is under way when the ingest ends.
const LAST_ANSWER: Duration = Duration::from_secs(1);
/// Of the time for a stop: that answer, the way out of the group, the end of the maintenance.
const LEAVING: Duration = Duration::from_secs(5);

/// Flush intervals while compaction is behind.
const STRETCHED: u32 = 4;

/// What the loop needs to know.
#[derive(Debug, Clone)]
pub(in crate::ingest) struct PipelineOptions {
    pub flush: FlushPolicy,
    pub kafka: KafkaSettings,
    pub start: StartPolicy,
    pub on_data_loss: DataLossPolicy,
    pub dead_share: DeadShareRule,
    /// From `stop` to the end.
    pub stop_timeout: Duration,
    /// Small files come faster than they are compacted: flush less often.
    pub behind: Arc<AtomicBool>,
}

impl PipelineOptions {
    /// Bound of the last flush after `stop`.
    fn last_flush(&self) -> Duration {
        self.stop_timeout.saturating_sub(LEAVING).max(self.stop_timeout / 2)
    }
}

pub(in crate::ingest) struct Pipeline {
    pub(in crate::ingest) options: PipelineOptions,
    pub(in crate::ingest) consumer: Consumer<Deliveries>,
    pub(in crate::ingest) partitions: Partitions,
    pub(in crate::ingest) batch: Batch,
    /// Present unless a flush is in flight.
    pub(in crate::ingest) lake: Option<Lake>,
    /// Makes empty columns.
    pub(in crate::ingest) decoder: Decoder,
    pub(in crate::ingest) encoder: Arc<TickEncoder>,
    spare: ColumnsReturn,
    pub(in crate::ingest) in_flight: Option<InFlight>,
    /// First chunk of the batch.
    batch_since: Instant,
    /// Owned partitions of which the brokers don't tell enough to read them.
    pub(in crate::ingest) unannounced: Vec<i32>,
    /// Owned partitions whose table was ahead of their watermarks, by the offset that the table has next.
    pub(in crate::ingest) asked_again: BTreeMap<i32, i64>,
    /// Owned partitions whose log is another one than the table's, by the operator's word.
    pub(in crate::ingest) accepted_logs: BTreeSet<i32>,
    /// Assignments that wait for the lake.
    pub(in crate::ingest) waiting: Vec<(TopicIdentity, Vec<Assigned>)>,
    pub(in crate::ingest) status: watch::Sender<Status>,
    pub(in crate::ingest) counted: Counted,
    pub(in crate::ingest) dead_share: DeadShare,
    pub(in crate::ingest) optional: OptionalWatch,
    pub(in crate::ingest) brokers: Brokers,
    /// Of the lake's retry policy: gives up; cancelled when the stop takes too long.
    give_up: CancellationToken,
    trouble: Throttle,
    refusal: Throttle,
    /// What librdkafka reported last of the brokers.
    pub(in crate::ingest) reported: Option<String>,
    beat_at: Instant,
    /// Of `--until-latest`.
    pub(in crate::ingest) goal: Option<Goal>,
}

pub(in crate::ingest) struct InFlight {
    task: JoinHandle<(Lake, Result<Flushed, IngestError>)>,
    partitions: BTreeSet<i32>,
    /// The hand-over of revoked partitions waits for the commit.
    release: bool,
    newest: Newest,
}

/// Ends a flush whose outcome nobody waits for; as after a crash, the next start finds it out.
async fn abandon<T>(mut flush: JoinHandle<T>) {
    match tokio::time::timeout(LAST_ANSWER, &mut flush).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::error!(%error, "the flush task failed"),
        Err(_) => flush.abort(),
    }
}

enum Turn {
    Stop,
    Flushed(Result<(Lake, Result<Flushed, IngestError>), tokio::task::JoinError>),
    Due,
    /// Whether the table has everything.
    Check,
    GiveUp,
    TooLate,
    Event(Option<Event<Deliveries>>),
    Beat,
}

impl Pipeline {
    pub(in crate::ingest) fn new(
        options: PipelineOptions,
        consumer: Consumer<Deliveries>,
        lake: Lake,
        decoder: Decoder,
        encoder: TickEncoder,
        spare: ColumnsReturn,
        status: watch::Sender<Status>,
        counted: Counted,
    ) -> Self {
        let give_up = lake.retry().cancel.clone();
        status.send_modify(|status| status.version = lake.version());
        Self {
            dead_share: DeadShare::new(options.dead_share),
            options,
            consumer,
            partitions: Partitions::default(),
            batch: Batch::default(),
            lake: Some(lake),
            decoder,
            encoder: Arc::new(encoder),
            spare,
            in_flight: None,
            batch_since: Instant::now(),
            unannounced: Vec::new(),
            asked_again: BTreeMap::new(),
            accepted_logs: BTreeSet::new(),
            waiting: Vec::new(),
            status,
            counted,
            optional: OptionalWatch::default(),
            brokers: Brokers::new(),
            give_up,
            trouble: Throttle::default(),
            refusal: Throttle::default(),
            reported: None,
            beat_at: Instant::now(),
            goal: None,
        }
    }

    /// Changes with every event.
    pub(in crate::ingest) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Runs until `stop`, or with a goal until the table has all of it; then flushes, commits and leaves the group.
    ///
    /// # Errors
    /// Data loss that needs a decision, a lake that can't be written, a consumer that has failed, or a goal that was not
    /// reached.
    pub(in crate::ingest) async fn run(mut self, stop: CancellationToken) -> Result<Status, IngestError> {
        self.status.send_modify(|status| status.phase = Phase::Running);
        let result = self.turns(&stop).await.map_err(|error| self.reason_of(error));
        if let Some(in_flight) = self.in_flight.take() {
            self.give_up.cancel();
            abandon(in_flight.task).await;
        }
        self.consumer.stop().await;
        result.map(|()| self.status.borrow().clone())
    }

    /// Why the consumer thread has ended may wait behind the event that a command of ours answers.
    fn reason_of(&mut self, error: IngestError) -> IngestError {
        if !matches!(error, IngestError::Consumer(_)) {
            return error;
        }
        while let Ok(event) = self.consumer.events.try_recv() {
            if let Event::Failed { text } = event {
                return IngestError::Kafka(text);
            }
        }
        error
    }

    async fn turns(&mut self, stop: &CancellationToken) -> Result<(), IngestError> {
        let mut stop_by: Option<Instant> = None;
        loop {
            let stopping = stop_by.is_some() || self.goal.as_ref().is_some_and(|goal| goal.is_reached);
            if stopping && self.in_flight.is_none() {
                if self.batch.is_empty() {
                    return self.end(stop_by).await;
                }
                if stop_by.is_none() {
                    self.dead_share.end()?;
                }
                self.start_flush()?;
            }
            let own = self.own_work();
            if own == OwnWork::Read && !stopping && self.in_flight.is_none() {
                self.dead_share.end()?;
                self.start_flush()?;
            }
            let turn = self.next_turn(stop, stop_by, stopping, own).await;
            let is_data = matches!(turn, Turn::Event(Some(Event::Data(_))));
            match turn {
                Turn::Stop => {
                    stop_by = Some(Instant::now() + self.options.last_flush());
                    self.status.send_modify(|status| status.phase = Phase::Stopping);
                }
                Turn::Flushed(joined) => self.on_flushed(joined, stop).await?,
                Turn::Due => self.start_flush()?,
                Turn::Check => self.check_goal(stop).await?,
                Turn::GiveUp => {
                    if let Some(unreached) = self.give_up().await? {
                        return Err(IngestError::Unreached(unreached));
                    }
                }
                Turn::TooLate => return Err(IngestError::StopTimeout),
                Turn::Beat => {
                    self.beat_at = Instant::now() + BEAT;
                    // A flush asks for the topic's id itself, and one question at a time is answered.
                    if self.in_flight.is_none() {
                        self.beat();
                    }
                }
                Turn::Event(event) => self.on_event(event, stop).await?,
            }
            self.publish(!is_data);
            if let Some(goal) = &mut self.goal {
                goal.note_progress(&self.partitions, Instant::now());
            }
        }
    }

    async fn next_turn(
        &mut self,
        stop: &CancellationToken,
        stop_by: Option<Instant>,
        stopping: bool,
        own: OwnWork,
    ) -> Turn {
        let far = Instant::now() + Duration::from_secs(3600);
        let stretch = if self.options.behind.load(Ordering::Relaxed) { STRETCHED } else { 1 };
        let due = match (&self.in_flight, self.options.flush.wait(&self.batch)) {
            (None, Some(wait)) => Some(self.batch_since + wait * stretch),
            _ => None,
        };
        let waits_for_flush = self.in_flight.is_some() && self.options.flush.full(&self.batch);
        let receiving = !stopping && !waits_for_flush && own != OwnWork::Read;
        let (check, give_up) = self.goal_times(stopping, own);
        let in_flight = &mut self.in_flight;
        tokio::select! {
            biased;
            () = stop.cancelled(), if stop_by.is_none() => Turn::Stop,
            joined = async { (&mut in_flight.as_mut().expect("checked by the branch").task).await }, if in_flight.is_some() => {
                Turn::Flushed(joined)
            }
            () = sleep_until(stop_by.unwrap_or(far)), if stop_by.is_some() => Turn::TooLate,
            () = sleep_until(due.unwrap_or(far)), if due.is_some() => Turn::Due,
            () = sleep_until(check.unwrap_or(far)), if check.is_some() => Turn::Check,
            () = sleep_until(give_up.unwrap_or(far)), if give_up.is_some() => Turn::GiveUp,
            () = sleep_until(self.beat_at) => Turn::Beat,
            event = self.consumer.events.recv(), if receiving => Turn::Event(event),
        }
    }

    async fn on_event(
        &mut self,
        event: Option<Event<Deliveries>>,
        stop: &CancellationToken,
    ) -> Result<(), IngestError> {
        match event {
            Some(Event::Data(deliveries)) => self.take_in(deliveries)?,
            Some(Event::Assigned { identity, partitions, unannounced }) => {
                self.unannounced = unannounced;
                if !partitions.is_empty() {
                    self.on_group();
                }
                self.waiting.push((identity, partitions));
                self.settle_assignments(stop).await?;
            }
            Some(Event::Unannounced { partitions }) => {
                self.counted.rebalances += 1;
                self.counted.is_spare = false;
                self.unannounced = partitions;
                self.on_group();
            }
            Some(Event::NothingAssigned) => {
                self.counted.is_spare = true;
                self.on_group();
                tracing::info!("no partition for this worker: the group has enough members");
            }
            Some(Event::Revoked { partitions }) => self.on_revoked(partitions)?,
            Some(Event::Truncated { partition, text }) => {
                let loss = DataLoss::Truncated { partition, text };
                match self.options.on_data_loss {
                    DataLossPolicy::Stop => return Err(loss.into()),
                    DataLossPolicy::Earliest | DataLossPolicy::Latest => {
                        tracing::error!("{loss}; reading on");
                        self.accepted_logs.insert(partition);
                    }
                }
            }
            Some(Event::Ends(ends)) => {
                for (number, end) in ends {
                    if let Some(partition) = self.partitions.get_mut(number) {
                        partition.end = partition.end.max(end);
                    }
                }
            }
            Some(Event::Trouble { code, text, refused, all_down }) => {
                if all_down || refused {
                    self.brokers.have_gone(Instant::now());
                }
                self.on_trouble(&format!("{code}: {text}"), refused);
            }
            Some(Event::Failed { text }) => return Err(IngestError::Kafka(text)),
            None => return Err(IngestError::Kafka("the consumer thread has ended".to_owned())),
        }
        Ok(())
    }

    fn take_in(&mut self, deliveries: Deliveries) -> Result<(), IngestError> {
        self.brokers.are_back();
        self.counted.coercions = deliveries.coercions;
        if let Some(keys) = deliveries.keys {
            self.optional.keys = *keys;
        }
        for Delivery { generation, chunk, bytes } in deliveries.list {
            if !self.partitions.accept(generation, &chunk)? {
                continue;
            }
            let counts = chunk.counts;
            self.counted.read.count += (counts.stored_offsets + counts.dead + counts.skipped).unsigned_abs();
            self.counted.read.bytes += bytes as u64;
            self.dead_share.add(&chunk)?;
            self.optional.add(&chunk);
            if self.batch.is_empty() {
                self.batch_since = Instant::now();
            }
            self.batch.push(chunk).expect("the partition's next was checked");
        }
        Ok(())
    }

    /// Takes up waiting assignments, unless a flush has the lake.
    async fn settle_assignments(&mut self, stop: &CancellationToken) -> Result<(), IngestError> {
        if self.lake.is_none() {
            return Ok(());
        }
        for (identity, assigned) in std::mem::take(&mut self.waiting) {
            self.take_up(&identity, &assigned, stop).await?;
        }
        Ok(())
    }

    fn on_revoked(&mut self, revoked: Vec<i32>) -> Result<(), IngestError> {
        tracing::info!(partitions = ?revoked, "handing over");
        self.counted.rebalances += 1;
        for (_, assigned) in &mut self.waiting {
            assigned.retain(|assigned| !revoked.contains(&assigned.partition));
        }
        self.unannounced.retain(|partition| !revoked.contains(partition));
        for partition in &revoked {
            self.asked_again.remove(partition);
            self.partitions.remove(*partition);
            self.batch.drop_partition(*partition);
        }
        match &mut self.in_flight {
            Some(flush) if revoked.iter().any(|partition| flush.partitions.contains(partition)) => {
                flush.release = true;
            }
            _ => self.consumer.send(Command::Release)?,
        }
        self.on_group();
        Ok(())
    }

    /// A refusal has a clock of its own: it follows troubles that pass by themselves.
    fn on_trouble(&mut self, text: &str, refused: bool) {
        self.reported = Some(text.to_owned());
        let throttle = if refused { &mut self.refusal } else { &mut self.trouble };
        if throttle.is_due() {
            tracing::warn!("Kafka is in trouble, trying again: {text}");
        }
    }

    fn start_flush(&mut self) -> Result<(), IngestError> {
        let Some(mut lake) = self.lake.take() else { return Ok(()) };
        let batch = std::mem::take(&mut self.batch);
        let mut advances = Vec::new();
        let mut dead_bases = BTreeMap::new();
        for (partition, range, counts, leader_epoch) in batch.ranges() {
            let Some(owned) = self.partitions.get_mut(partition) else { continue };
            advances.push(Advance { partition, base: owned.base, range, counts, leader_epoch });
            dead_bases.insert(partition, owned.dead_base);
            owned.base = Some(range.next());
        }
        let partitions = advances.iter().map(|advance| advance.partition).collect();
        let newest = batch.newest().collect();
        self.counted.writing = Volume { count: batch.rows() as u64, bytes: batch.bytes() as u64 };
        let (encoder, spare) = (Arc::clone(&self.encoder), self.spare.clone());
        let (answer, topic_id) = oneshot::channel();
        self.consumer.send(Command::TopicId { answer })?;
        let flushing = async move {
            let result = flush(&mut lake, encoder, spare, Flush { batch, advances, dead_bases, topic_id }).await;
            (lake, result)
        };
        let task = tokio::spawn(flushing.in_current_span());
        self.in_flight = Some(InFlight { task, partitions, release: false, newest });
        Ok(())
    }

    async fn on_flushed(
        &mut self,
        joined: Result<(Lake, Result<Flushed, IngestError>), tokio::task::JoinError>,
        stop: &CancellationToken,
    ) -> Result<(), IngestError> {
        let Some(in_flight) = self.in_flight.take() else { return Ok(()) };
        self.counted.writing = Volume::default();
        let (lake, result) = joined?;
        let flushed = result?;
        self.lake = Some(lake);
        if in_flight.release {
            self.consumer.send(Command::Release)?;
        }
        match &flushed.outcome {
            Outcome::Committed { version, resolved } => {
                self.on_committed(*version, *resolved, &flushed, &in_flight.newest)?;
                if let Some(goal) = &mut self.goal {
                    goal.leave_out(flushed.elapsed);
                }
            }
            Outcome::Fenced { partitions } => {
                tracing::warn!(?partitions, outcome = "fenced", "another worker was faster; reading its offsets again");
                self.status.send_modify(|status| status.fenced += 1);
                self.restart(&flushed.partitions())?;
            }
            Outcome::TopicMismatch { id } => {
                tracing::warn!(
                    topic_id = id,
                    outcome = "other_topic",
                    "Kafka has another topic of this name now; the last batch is not written"
                );
                self.restart(&flushed.partitions())?;
            }
        }
        self.settle_assignments(stop).await
    }
}

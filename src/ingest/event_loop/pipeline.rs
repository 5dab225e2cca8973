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
use crate::ingest::batching::assemble::{DecodedChunk, DecodedChunks};
use crate::ingest::batching::batch::IngestBatch;
use crate::ingest::batching::column_pool::ColumnRecycler;
use crate::ingest::error::IngestError;
use crate::ingest::event_loop::broker_availability::BrokerAvailability;
use crate::ingest::event_loop::counters::{HEARTBEAT_INTERVAL, NewestTimestamps, PipelineCounters};
use crate::ingest::event_loop::dead_letter_share::{DeadLetterShareMonitor, DeadLetterShareRule};
use crate::ingest::event_loop::goal::{Goal, OwnWork};
use crate::ingest::event_loop::optional_path_monitor::OptionalPathMonitor;
use crate::ingest::event_loop::partitions::OwnedPartitions;
use crate::ingest::event_loop::policy::{DataLoss, FlushPolicy};
use crate::ingest::event_loop::status::{CountAndBytes, IngestPhase, IngestStatus};
use crate::ingest::flushing::encode::TickEncoder;
use crate::ingest::flushing::flush::{FlushOutcome, FlushReport, FlushRequest, flush};
use crate::ingest::settings::{DataLossPolicy, StartPolicy};
use crate::kafka::{ConsumerCommand, ConsumerEvent, GroupConsumer, KafkaSettings, PartitionWatermarks};
use crate::lake::{Advance, Lake};
use crate::market::TopicIdentity;
use crate::util::throttle::LogThrottle;

/// Timeout of a request that is in flight when the ingest ends.
const IN_FLIGHT_TIMEOUT: Duration = Duration::from_secs(1);
/// Part of the stop timeout that is reserved for that request, for leaving the group and for the end of the
/// maintenance.
const SHUTDOWN_RESERVE: Duration = Duration::from_secs(5);

/// Factor of the flush interval while compaction is behind.
const BACKLOG_FLUSH_FACTOR: u32 = 4;

/// The settings of the loop.
#[derive(Debug, Clone)]
pub(in crate::ingest) struct PipelineOptions {
    pub flush: FlushPolicy,
    pub kafka: KafkaSettings,
    pub start: StartPolicy,
    pub on_data_loss: DataLossPolicy,
    pub dead_share: DeadLetterShareRule,
    /// Maximum time from `stop` to the end of the ingest.
    pub stop_timeout: Duration,
    /// Small files are written faster than they are compacted, so the loop flushes less often.
    pub compaction_behind: Arc<AtomicBool>,
}

impl PipelineOptions {
    /// Maximum time of the last flush after `stop`.
    fn last_flush(&self) -> Duration {
        self.stop_timeout.saturating_sub(SHUTDOWN_RESERVE).max(self.stop_timeout / 2)
    }
}

pub(in crate::ingest) struct Pipeline {
    pub(in crate::ingest) options: PipelineOptions,
    pub(in crate::ingest) consumer: GroupConsumer<DecodedChunks>,
    pub(in crate::ingest) partitions: OwnedPartitions,
    pub(in crate::ingest) batch: IngestBatch,
    /// Present unless a flush is in flight.
    pub(in crate::ingest) lake: Option<Lake>,
    /// Creates empty columns.
    pub(in crate::ingest) decoder: Decoder,
    pub(in crate::ingest) encoder: Arc<TickEncoder>,
    column_recycler: ColumnRecycler,
    pub(in crate::ingest) in_flight: Option<InFlightFlush>,
    /// When the first chunk of the batch arrived.
    batch_since: Instant,
    /// Owned partitions whose watermarks the brokers haven't reported yet.
    pub(in crate::ingest) unannounced: Vec<i32>,
    /// Owned partitions whose next offset in the table, which is the value, was beyond their watermarks.
    pub(in crate::ingest) stale_watermarks: BTreeMap<i32, i64>,
    /// Owned partitions whose log was truncated and that the policy continues with.
    pub(in crate::ingest) accepted_truncations: BTreeSet<i32>,
    /// Assignments that wait for the lake.
    pub(in crate::ingest) waiting_assignments: Vec<(TopicIdentity, Vec<PartitionWatermarks>)>,
    pub(in crate::ingest) status: watch::Sender<IngestStatus>,
    pub(in crate::ingest) counters: PipelineCounters,
    pub(in crate::ingest) dead_share: DeadLetterShareMonitor,
    pub(in crate::ingest) optional: OptionalPathMonitor,
    pub(in crate::ingest) brokers: BrokerAvailability,
    /// Cancels the retries of the lake when the stop takes too long.
    give_up: CancellationToken,
    broker_error_throttle: LogThrottle,
    refusal_throttle: LogThrottle,
    /// The broker error that librdkafka reported last.
    pub(in crate::ingest) last_broker_error: Option<String>,
    heartbeat_at: Instant,
    /// The goal of `--until-latest`.
    pub(in crate::ingest) goal: Option<Goal>,
}

pub(in crate::ingest) struct InFlightFlush {
    task: JoinHandle<(Lake, Result<FlushReport, IngestError>)>,
    partitions: BTreeSet<i32>,
    /// Revoked partitions are released after the commit.
    release: bool,
    newest: NewestTimestamps,
}

/// Ends a flush without its outcome; as after a crash, the next start determines it from the table.
async fn abandon<T>(mut flush: JoinHandle<T>) {
    match tokio::time::timeout(IN_FLIGHT_TIMEOUT, &mut flush).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::error!(%error, "the flush task failed"),
        Err(_) => flush.abort(),
    }
}

enum LoopEvent {
    Stop,
    Flushed(Result<(Lake, Result<FlushReport, IngestError>), tokio::task::JoinError>),
    FlushDue,
    /// Check whether the table has everything up to the goal.
    CheckGoal,
    GoalTimeout,
    StopTimeout,
    Consumer(Option<ConsumerEvent<DecodedChunks>>),
    Heartbeat,
}

impl Pipeline {
    pub(in crate::ingest) fn new(
        options: PipelineOptions,
        consumer: GroupConsumer<DecodedChunks>,
        lake: Lake,
        decoder: Decoder,
        encoder: TickEncoder,
        column_recycler: ColumnRecycler,
        status: watch::Sender<IngestStatus>,
        counters: PipelineCounters,
    ) -> Self {
        let give_up = lake.retry().cancel.clone();
        status.send_modify(|status| status.version = lake.version());
        Self {
            dead_share: DeadLetterShareMonitor::new(options.dead_share),
            options,
            consumer,
            partitions: OwnedPartitions::default(),
            batch: IngestBatch::default(),
            lake: Some(lake),
            decoder,
            encoder: Arc::new(encoder),
            column_recycler,
            in_flight: None,
            batch_since: Instant::now(),
            unannounced: Vec::new(),
            stale_watermarks: BTreeMap::new(),
            accepted_truncations: BTreeSet::new(),
            waiting_assignments: Vec::new(),
            status,
            counters,
            optional: OptionalPathMonitor::default(),
            brokers: BrokerAvailability::new(),
            give_up,
            broker_error_throttle: LogThrottle::default(),
            refusal_throttle: LogThrottle::default(),
            last_broker_error: None,
            heartbeat_at: Instant::now(),
            goal: None,
        }
    }

    /// Returns a receiver of the status, which changes with every event.
    pub(in crate::ingest) fn status(&self) -> watch::Receiver<IngestStatus> {
        self.status.subscribe()
    }

    /// Runs until `stop`, or with a goal until the table has all of it; then flushes, commits and leaves the group.
    ///
    /// # Errors
    /// Data loss that needs a decision, a lake that can't be written, a consumer that has failed, or a goal that was
    /// not reached.
    pub(in crate::ingest) async fn run(mut self, stop: CancellationToken) -> Result<IngestStatus, IngestError> {
        self.status.send_modify(|status| status.phase = IngestPhase::Running);
        let result = self.run_loop(&stop).await.map_err(|error| self.consumer_failure(error));
        if let Some(in_flight) = self.in_flight.take() {
            self.give_up.cancel();
            abandon(in_flight.task).await;
        }
        self.consumer.stop().await;
        result.map(|()| self.status.borrow().clone())
    }

    /// Returns the error that ended the consumer thread, which may still be queued when a command fails.
    fn consumer_failure(&mut self, error: IngestError) -> IngestError {
        if !matches!(error, IngestError::Consumer(_)) {
            return error;
        }
        while let Ok(event) = self.consumer.events.try_recv() {
            if let ConsumerEvent::Failed { text } = event {
                return IngestError::Kafka(text);
            }
        }
        error
    }

    async fn run_loop(&mut self, stop: &CancellationToken) -> Result<(), IngestError> {
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
            if own == OwnWork::AllRead && !stopping && self.in_flight.is_none() {
                self.dead_share.end()?;
                self.start_flush()?;
            }
            let event = self.next_event(stop, stop_by, stopping, own).await;
            let is_data = matches!(event, LoopEvent::Consumer(Some(ConsumerEvent::Data(_))));
            match event {
                LoopEvent::Stop => {
                    stop_by = Some(Instant::now() + self.options.last_flush());
                    self.status.send_modify(|status| status.phase = IngestPhase::Stopping);
                }
                LoopEvent::Flushed(joined) => self.on_flushed(joined, stop).await?,
                LoopEvent::FlushDue => self.start_flush()?,
                LoopEvent::CheckGoal => self.check_goal(stop).await?,
                LoopEvent::GoalTimeout => {
                    if let Some(unreached) = self.give_up().await? {
                        return Err(IngestError::Unreached(unreached));
                    }
                }
                LoopEvent::StopTimeout => return Err(IngestError::StopTimeout),
                LoopEvent::Heartbeat => {
                    self.heartbeat_at = Instant::now() + HEARTBEAT_INTERVAL;
                    // A flush queries the topic's id itself, and only one query at a time is answered.
                    if self.in_flight.is_none() {
                        self.heartbeat();
                    }
                }
                LoopEvent::Consumer(event) => self.on_consumer_event(event, stop).await?,
            }
            self.publish(!is_data);
            if let Some(goal) = &mut self.goal {
                goal.note_progress(&self.partitions, Instant::now());
            }
        }
    }

    async fn next_event(
        &mut self,
        stop: &CancellationToken,
        stop_by: Option<Instant>,
        stopping: bool,
        own: OwnWork,
    ) -> LoopEvent {
        let far = Instant::now() + Duration::from_secs(3600);
        let stretch = if self.options.compaction_behind.load(Ordering::Relaxed) { BACKLOG_FLUSH_FACTOR } else { 1 };
        let due = match (&self.in_flight, self.options.flush.wait(&self.batch)) {
            (None, Some(wait)) => Some(self.batch_since + wait * stretch),
            _ => None,
        };
        let waits_for_flush = self.in_flight.is_some() && self.options.flush.full(&self.batch);
        let receiving = !stopping && !waits_for_flush && own != OwnWork::AllRead;
        let (check, give_up) = self.goal_times(stopping, own);
        let in_flight = &mut self.in_flight;
        tokio::select! {
            biased;
            () = stop.cancelled(), if stop_by.is_none() => LoopEvent::Stop,
            joined = async { (&mut in_flight.as_mut().expect("checked by the \
                branch").task).await }, if in_flight.is_some() => {
                LoopEvent::Flushed(joined)
            }
            () = sleep_until(stop_by.unwrap_or(far)), if stop_by.is_some() => LoopEvent::StopTimeout,
            () = sleep_until(due.unwrap_or(far)), if due.is_some() => LoopEvent::FlushDue,
            () = sleep_until(check.unwrap_or(far)), if check.is_some() => LoopEvent::CheckGoal,
            () = sleep_until(give_up.unwrap_or(far)), if give_up.is_some() => LoopEvent::GoalTimeout,
            () = sleep_until(self.heartbeat_at) => LoopEvent::Heartbeat,
            event = self.consumer.events.recv(), if receiving => LoopEvent::Consumer(event),
        }
    }

    async fn on_consumer_event(
        &mut self,
        event: Option<ConsumerEvent<DecodedChunks>>,
        stop: &CancellationToken,
    ) -> Result<(), IngestError> {
        match event {
            Some(ConsumerEvent::Data(decoded)) => self.add_chunks(decoded)?,
            Some(ConsumerEvent::Assigned { identity, partitions, unannounced }) => {
                self.unannounced = unannounced;
                if !partitions.is_empty() {
                    self.on_group();
                }
                self.waiting_assignments.push((identity, partitions));
                self.accept_waiting_assignments(stop).await?;
            }
            Some(ConsumerEvent::Unannounced { partitions }) => {
                self.counters.rebalances += 1;
                self.counters.is_idle = false;
                self.unannounced = partitions;
                self.on_group();
            }
            Some(ConsumerEvent::NothingAssigned) => {
                self.counters.is_idle = true;
                self.on_group();
                tracing::info!("no partition for this worker: the group has enough members");
            }
            Some(ConsumerEvent::Revoked { partitions }) => self.on_revoked(partitions)?,
            Some(ConsumerEvent::Truncated { partition, text }) => {
                let loss = DataLoss::Truncated { partition, text };
                match self.options.on_data_loss {
                    DataLossPolicy::Stop => return Err(loss.into()),
                    DataLossPolicy::Earliest | DataLossPolicy::Latest => {
                        tracing::error!("{loss}; continuing");
                        self.accepted_truncations.insert(partition);
                    }
                }
            }
            Some(ConsumerEvent::Ends(ends)) => {
                for (number, end) in ends {
                    if let Some(partition) = self.partitions.get_mut(number) {
                        partition.end = partition.end.max(end);
                    }
                }
            }
            Some(ConsumerEvent::BrokerError { code, text, refused, all_down }) => {
                if all_down || refused {
                    self.brokers.mark_unreachable(Instant::now());
                }
                self.on_broker_error(&format!("{code}: {text}"), refused);
            }
            Some(ConsumerEvent::Failed { text }) => return Err(IngestError::Kafka(text)),
            None => return Err(IngestError::Kafka("the consumer thread has ended".to_owned())),
        }
        Ok(())
    }

    fn add_chunks(&mut self, decoded: DecodedChunks) -> Result<(), IngestError> {
        self.brokers.mark_reachable();
        self.counters.coercions = decoded.coercions;
        if let Some(keys) = decoded.keys {
            self.optional.keys = *keys;
        }
        for DecodedChunk { generation, chunk, bytes } in decoded.chunks {
            if !self.partitions.accept(generation, &chunk)? {
                continue;
            }
            let counts = chunk.counts;
            self.counters.read.count += (counts.stored_offsets + counts.dead + counts.skipped).unsigned_abs();
            self.counters.read.bytes += bytes as u64;
            self.dead_share.add(&chunk)?;
            self.optional.add(&chunk);
            if self.batch.is_empty() {
                self.batch_since = Instant::now();
            }
            self.batch.push(chunk).expect("the partition's next was checked");
        }
        Ok(())
    }

    /// Accepts waiting assignments, unless a flush has taken the lake.
    async fn accept_waiting_assignments(&mut self, stop: &CancellationToken) -> Result<(), IngestError> {
        if self.lake.is_none() {
            return Ok(());
        }
        for (identity, assigned) in std::mem::take(&mut self.waiting_assignments) {
            self.accept_assignment(&identity, &assigned, stop).await?;
        }
        Ok(())
    }

    fn on_revoked(&mut self, revoked: Vec<i32>) -> Result<(), IngestError> {
        tracing::info!(partitions = ?revoked, "handing over");
        self.counters.rebalances += 1;
        for (_, assigned) in &mut self.waiting_assignments {
            assigned.retain(|assigned| !revoked.contains(&assigned.partition));
        }
        self.unannounced.retain(|partition| !revoked.contains(partition));
        for partition in &revoked {
            self.stale_watermarks.remove(partition);
            self.partitions.remove(*partition);
            self.batch.drop_partition(*partition);
        }
        match &mut self.in_flight {
            Some(flush) if revoked.iter().any(|partition| flush.partitions.contains(partition)) => {
                flush.release = true;
            }
            _ => self.consumer.send(ConsumerCommand::Release)?,
        }
        self.on_group();
        Ok(())
    }

    /// Refusals have their own throttle: they follow errors that pass by themselves, and would be suppressed by these.
    fn on_broker_error(&mut self, text: &str, refused: bool) {
        self.last_broker_error = Some(text.to_owned());
        let throttle = if refused { &mut self.refusal_throttle } else { &mut self.broker_error_throttle };
        if throttle.is_due() {
            tracing::warn!("Kafka reports an error, trying again: {text}");
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
        self.counters.writing = CountAndBytes { count: batch.rows() as u64, bytes: batch.bytes() as u64 };
        let (encoder, column_recycler) = (Arc::clone(&self.encoder), self.column_recycler.clone());
        let (answer, topic_id) = oneshot::channel();
        self.consumer.send(ConsumerCommand::TopicId { answer })?;
        let flushing = async move {
            let result =
                flush(&mut lake, encoder, column_recycler, FlushRequest { batch, advances, dead_bases, topic_id })
                    .await;
            (lake, result)
        };
        let task = tokio::spawn(flushing.in_current_span());
        self.in_flight = Some(InFlightFlush { task, partitions, release: false, newest });
        Ok(())
    }

    async fn on_flushed(
        &mut self,
        joined: Result<(Lake, Result<FlushReport, IngestError>), tokio::task::JoinError>,
        stop: &CancellationToken,
    ) -> Result<(), IngestError> {
        let Some(in_flight) = self.in_flight.take() else { return Ok(()) };
        self.counters.writing = CountAndBytes::default();
        let (lake, result) = joined?;
        let flushed = result?;
        self.lake = Some(lake);
        if in_flight.release {
            self.consumer.send(ConsumerCommand::Release)?;
        }
        match &flushed.outcome {
            FlushOutcome::Committed { version, resolved } => {
                self.on_committed(*version, *resolved, &flushed, &in_flight.newest)?;
                if let Some(goal) = &mut self.goal {
                    goal.exclude(flushed.elapsed);
                }
            }
            FlushOutcome::Fenced { partitions } => {
                tracing::warn!(?partitions, outcome = "fenced", "another worker was faster; reading its offsets again");
                self.status.send_modify(|status| status.fenced += 1);
                self.restart(&flushed.partitions())?;
            }
            FlushOutcome::TopicMismatch { id } => {
                tracing::warn!(
                    topic_id = id,
                    outcome = "other_topic",
                    "Kafka has another topic of this name now; the last batch is not written"
                );
                self.restart(&flushed.partitions())?;
            }
        }
        self.accept_waiting_assignments(stop).await
    }
}

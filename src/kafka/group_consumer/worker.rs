//! The consumer thread: polls librdkafka, sends what the handler decodes, and processes the notices of the callbacks.

mod start;

use std::collections::BTreeSet;
use std::sync::mpsc as std_mpsc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::kafka::events::{
    ConsumerCommand, ConsumerEvent, KafkaRecord, PartitionStart, PartitionWatermarks, RecordHandler, TopicIdAnswer,
};
use crate::kafka::group_consumer::notice::{ConsumerNotice, is_truncation, keep};
use crate::kafka::raw::{PartitionPosition, RawConsumer, RawError, TopicIdQuery};
use crate::kafka::refusal::{BrokerRefusal, ClientSecurity};
use crate::market::TopicIdentity;
use crate::util::backoff::Backoff;

/// The batch call waits for a full batch or this long: it bounds the latency of everything here.
const BATCH_WAIT: Duration = Duration::from_millis(5);
const FULL_QUEUE_TIMEOUT: Duration = Duration::from_millis(500);
/// Contract: a rebalance hands over within 5 s.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(5);
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeouts of the queries about new partitions, in total and for one partition: nothing is polled meanwhile.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(3);
const PARTITION_TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout of a query for the topic's id, which a flush waits for.
const TOPIC_ID_TIMEOUT: Duration = Duration::from_secs(5);
const BROKER_RETRY_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_BROKER_RETRY_PAUSE: Duration = Duration::from_secs(8);
/// A process that was suspended this long may have been removed from the group ..
const SUSPENDED: Duration = Duration::from_secs(2);
/// .. and learns of it within this time. Until then it doesn't commit: a static member that commits under its old id is
/// fenced permanently.
const REJOIN_GRACE: Duration = Duration::from_secs(10);
const ENDS_INTERVAL: Duration = Duration::from_secs(1);

pub(in crate::kafka) struct ConsumerWorker<H: RecordHandler> {
    /// Above the client, so that it is dropped first.
    topic_id: Option<(TopicIdQuery, oneshot::Sender<TopicIdAnswer>)>,
    reports_topic_id: bool,
    raw: RawConsumer,
    access: ClientSecurity,
    handler: H,
    events: mpsc::Sender<ConsumerEvent<H::Output>>,
    commands: std_mpsc::Receiver<ConsumerCommand>,
    runtime: Handle,
    notices: Vec<ConsumerNotice>,
    /// Partitions that the group assigned to this member.
    owned: BTreeSet<i32>,
    /// Owned partitions whose records are delivered.
    running: BTreeSet<i32>,
    /// Partitions that are assigned at a position whose leader epoch is still to be validated; they are not running.
    validating: Vec<PartitionStart>,
    /// Running partitions whose position may still be that of an earlier assignment.
    unproven: BTreeSet<i32>,
    /// Partitions that stopped running because an error arrived in place of a record.
    failed: BTreeSet<i32>,
    /// Partitions that the group assigned and whose watermarks aren't known yet.
    unannounced: Vec<i32>,
    announce_at: Instant,
    announce_pauses: Backoff,
    ends_at: Instant,
    polled_at: Instant,
    no_commits_until: Instant,
    /// When a revocation was noticed that isn't announced yet.
    revoke_noticed: Option<Instant>,
    revoking: Option<(Vec<i32>, Instant)>,
    paused: bool,
    stopping: bool,
}

impl<H: RecordHandler> ConsumerWorker<H> {
    pub(in crate::kafka) fn new(
        raw: RawConsumer,
        access: ClientSecurity,
        reports_topic_id: bool,
        handler: H,
        events: mpsc::Sender<ConsumerEvent<H::Output>>,
        commands: std_mpsc::Receiver<ConsumerCommand>,
    ) -> Self {
        Self {
            topic_id: None,
            reports_topic_id,
            raw,
            access,
            handler,
            events,
            commands,
            runtime: Handle::current(),
            notices: Vec::new(),
            owned: BTreeSet::new(),
            running: BTreeSet::new(),
            validating: Vec::new(),
            unproven: BTreeSet::new(),
            failed: BTreeSet::new(),
            unannounced: Vec::new(),
            announce_at: Instant::now(),
            announce_pauses: Backoff::new(BROKER_RETRY_PAUSE, LONGEST_BROKER_RETRY_PAUSE),
            ends_at: Instant::now(),
            polled_at: Instant::now(),
            no_commits_until: Instant::now(),
            revoke_noticed: None,
            revoking: None,
            paused: false,
            stopping: false,
        }
    }

    pub(in crate::kafka) fn run(&mut self) {
        while !self.stopping {
            if let Err(text) = self.poll() {
                self.send(ConsumerEvent::Failed { text });
                break;
            }
            if let Some(output) = self.handler.take() {
                self.send(ConsumerEvent::Data(output));
            }
            self.process_notices();
        }
        // A revocation that is not answered yet would delay the close.
        if let Err(error) = self.raw.incremental_unassign(&[]).and_then(|()| self.raw.close()) {
            tracing::debug!("{error}");
        }
    }

    /// Handles commands, reads one batch, and collects the notices of the callbacks.
    fn poll(&mut self) -> Result<(), String> {
        if self.polled_at.elapsed() >= SUSPENDED {
            self.no_commits_until = Instant::now() + REJOIN_GRACE;
        }
        self.polled_at = Instant::now();
        while let Ok(command) = self.commands.try_recv() {
            self.handle_command(command).map_err(|error| error.to_string())?;
        }
        self.validate().map_err(|error| error.to_string())?;
        self.answer_topic_id();
        let Self { raw, handler, running, unproven, failed, notices, revoke_noticed, .. } = self;
        {
            let batch = raw.batch(BATCH_WAIT).map_err(|error| error.to_string())?;
            for message in batch.iter() {
                let partition = message.partition();
                match message.error() {
                    None if running.contains(&partition) => {
                        unproven.remove(&partition);
                        handler.record(&KafkaRecord::new(&message));
                    }
                    None => {}
                    Some(code) => {
                        // An error moves the position past its offset, and records after it may be beyond a gap.
                        if message.is_of_partition() && running.remove(&partition) {
                            handler.release(partition);
                            failed.insert(partition);
                        }
                        let text = message.payload().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
                        keep(notices, ConsumerNotice::Message { partition, code, text });
                    }
                }
            }
        }
        for notice in raw.take_notices() {
            match &notice {
                ConsumerNotice::Revoke { .. } => {
                    revoke_noticed.get_or_insert_with(Instant::now);
                }
                // The group waits for an assign call, and pauses the partitions that are read; the new partitions are
                // added when their start offsets are known.
                ConsumerNotice::Assign(_) => raw.incremental_assign(&[]).map_err(|error| error.to_string())?,
                _ => {}
            }
            keep(notices, notice);
        }
        for PartitionPosition { partition, offset, leader_epoch } in
            raw.positions(running).map_err(|error| error.to_string())?
        {
            if !unproven.contains(&partition) {
                handler.reached(partition, offset, leader_epoch);
            }
        }
        Ok(())
    }

    /// Processes the notices. This sends events and so must not run inside [`Self::send`].
    fn process_notices(&mut self) {
        // One by one: the remaining notices must stay visible while an event waits for room.
        while !self.notices.is_empty() {
            match self.notices.remove(0) {
                ConsumerNotice::Assign(partitions) if partitions.is_empty() => {
                    if self.owned.is_empty() {
                        self.send(ConsumerEvent::NothingAssigned);
                    }
                }
                ConsumerNotice::Assign(partitions) => {
                    self.owned.extend(&partitions);
                    self.unannounced.extend(partitions);
                    self.send(ConsumerEvent::Unannounced { partitions: self.unannounced.clone() });
                }
                ConsumerNotice::Revoke { partitions, lost } => self.revoke(partitions, lost),
                ConsumerNotice::HandedOver { partitions } => {
                    self.drop_partitions(&partitions);
                    self.send(ConsumerEvent::Revoked { partitions });
                }
                ConsumerNotice::Error { code, text, fatal: true } => {
                    self.send(ConsumerEvent::Failed { text: format!("{code}: {text}") });
                    self.stopping = true;
                }
                ConsumerNotice::Error { code, text, .. } => {
                    let refusal = self.access.refusal(code, &text).filter(BrokerRefusal::is_certain);
                    let refused = refusal.is_some();
                    let text = refusal.map_or(text, |refusal| refusal.to_string());
                    let all_down = code == RDKafkaErrorCode::AllBrokersDown;
                    self.send(ConsumerEvent::BrokerError { code, text, refused, all_down });
                }
                ConsumerNotice::Message { code: RDKafkaErrorCode::Fatal, text, .. } => {
                    self.send(ConsumerEvent::Failed { text });
                    self.stopping = true;
                }
                ConsumerNotice::Message { partition, code, text } if is_truncation(code, &text) => {
                    self.send(ConsumerEvent::Truncated { partition, text });
                }
                // Whether the offset still exists is checked when the partition is announced again.
                ConsumerNotice::Message { code: RDKafkaErrorCode::AutoOffsetReset, text, .. } => {
                    tracing::debug!("{text}")
                }
                ConsumerNotice::Message { code: code @ RDKafkaErrorCode::BadCompression, text, .. } => {
                    let text =
                        format!("{text}; a batch that unpacks to over 100 MB needs -X receive.message.max.bytes");
                    self.send(ConsumerEvent::BrokerError { code, text, refused: false, all_down: false });
                }
                ConsumerNotice::Message { code, text, .. } => {
                    self.send(ConsumerEvent::BrokerError { code, text, refused: false, all_down: false })
                }
            }
        }
        for partition in std::mem::take(&mut self.failed) {
            if self.owned.contains(&partition) {
                self.unassign_and_announce(partition);
            }
        }
        self.announce();
        self.report_ends();
        self.bound_hand_over();
    }

    /// Bounds the time of a hand-over, as the group waits for it.
    fn bound_hand_over(&mut self) {
        let mut late = self.revoking.as_ref().is_some_and(|(_, until)| Instant::now() >= *until);
        if self.revoke_noticed.is_some_and(|since| since.elapsed() >= HAND_OVER_TIMEOUT) {
            self.revoke_noticed = None;
            for notice in &mut self.notices {
                if let ConsumerNotice::Revoke { partitions, .. } = notice {
                    let partitions = std::mem::take(partitions);
                    self.revoking.get_or_insert_with(|| (Vec::new(), Instant::now())).0.extend(&partitions);
                    *notice = ConsumerNotice::HandedOver { partitions };
                    late = true;
                }
            }
        }
        if late {
            tracing::warn!(
                "a hand-over took longer than {} s; the partitions are released without it",
                HAND_OVER_TIMEOUT.as_secs()
            );
            self.unassign_revoked();
        }
    }

    fn handle_command(&mut self, command: ConsumerCommand) -> Result<(), RawError> {
        match command {
            ConsumerCommand::Start(starts) => self.start(starts)?,
            ConsumerCommand::Release => self.unassign_revoked(),
            ConsumerCommand::Announce(partitions) => {
                partitions.into_iter().for_each(|partition| self.announce_again(partition))
            }
            ConsumerCommand::RefreshWatermarks(partition) => {
                self.announce_again(partition);
                if self.owned.contains(&partition) && !self.unannounced.contains(&partition) {
                    self.unannounced.push(partition);
                }
            }
            ConsumerCommand::Commit(offsets) if self.no_commits_until > Instant::now() => {
                tracing::debug!(
                    ?offsets,
                    "offsets are not committed to the group: the process was suspended and may be another member now"
                );
            }
            ConsumerCommand::Commit(offsets) => {
                if let Err(error) = self.raw.commit_async(&offsets) {
                    tracing::debug!("{error}");
                }
            }
            ConsumerCommand::OffsetForTime { partition, timestamp_ms, answer } => {
                let found = self.raw.offset_for_time(partition, timestamp_ms, BROKER_TIMEOUT);
                send_answer(answer, found.map_err(|error| error.to_string()));
            }
            ConsumerCommand::TopicId { answer } if self.reports_topic_id => {
                self.topic_id = Some((self.raw.query_topic_id(TOPIC_ID_TIMEOUT), answer));
            }
            ConsumerCommand::TopicId { answer } => send_answer(answer, Ok(None)),
            ConsumerCommand::Stop => self.stopping = true,
        }
        Ok(())
    }

    fn answer_topic_id(&mut self) {
        let found = self.topic_id.as_ref().and_then(|(query, _)| query.answer(Duration::ZERO));
        if let Some(found) = found
            && let Some((_, answer)) = self.topic_id.take()
        {
            send_answer(answer, found.map_err(|error| error.to_string()));
        }
    }

    /// Announces a partition again, so that the owner of the state decides with new watermarks where to start.
    fn announce_again(&mut self, partition: i32) {
        let waiting = self.validating.len();
        self.validating.retain(|start| start.partition != partition);
        if !self.running.remove(&partition) && self.validating.len() == waiting {
            return;
        }
        self.handler.release(partition);
        self.unassign_and_announce(partition);
    }

    fn unassign_and_announce(&mut self, partition: i32) {
        // librdkafka keeps the pause of a partition that is unassigned.
        if let Err(error) =
            self.raw.pause(&[partition], false).and_then(|()| self.raw.incremental_unassign(&[partition]))
        {
            tracing::debug!(partition, "{error}");
        }
        self.unannounced.push(partition);
        self.announce_at = Instant::now() + BROKER_RETRY_PAUSE;
    }

    fn report_ends(&mut self) {
        if self.ends_at.elapsed() < ENDS_INTERVAL || self.running.is_empty() {
            return;
        }
        self.ends_at = Instant::now();
        let ends = self.running.iter().filter_map(|p| Some((*p, self.raw.known_end(*p)?))).collect();
        self.send(ConsumerEvent::Ends(ends));
    }

    fn revoke(&mut self, partitions: Vec<i32>, lost: bool) {
        let noticed = self.revoke_noticed.take().unwrap_or_else(Instant::now);
        self.drop_partitions(&partitions);
        self.unassign_revoked();
        self.revoking = Some((partitions.clone(), noticed + HAND_OVER_TIMEOUT));
        if lost {
            self.unassign_revoked();
        }
        self.send(ConsumerEvent::Revoked { partitions });
    }

    fn drop_partitions(&mut self, partitions: &[i32]) {
        self.unannounced.retain(|partition| !partitions.contains(partition));
        self.validating.retain(|start| !partitions.contains(&start.partition));
        for partition in partitions {
            self.owned.remove(partition);
            self.running.remove(partition);
            self.failed.remove(partition);
            self.handler.release(*partition);
        }
    }

    fn unassign_revoked(&mut self) {
        if let Some((partitions, _)) = self.revoking.take()
            && let Err(error) = self
                .raw
                .incremental_unassign(&partitions.into_iter().filter(|p| self.raw.is_assigned(*p)).collect::<Vec<_>>())
        {
            tracing::debug!("{error}");
        }
    }

    /// Queries the watermarks of new partitions and announces them; retries later if the broker doesn't answer.
    fn announce(&mut self) {
        if self.unannounced.is_empty() || Instant::now() < self.announce_at {
            return;
        }
        let (code, text) = match self.ask_about_unannounced() {
            Ok((identity, partitions)) => {
                self.unannounced.retain(|one| partitions.iter().all(|assigned| assigned.partition != *one));
                self.send(ConsumerEvent::Assigned { identity, partitions, unannounced: self.unannounced.clone() });
                if self.unannounced.is_empty() {
                    self.announce_pauses.reset();
                    return;
                }
                (RDKafkaErrorCode::OperationTimedOut, "ask for the ends of partitions".to_owned())
            }
            Err(problem) => problem,
        };
        self.announce_at = Instant::now() + self.announce_pauses.next_pause();
        self.send(ConsumerEvent::BrokerError { code, text, refused: false, all_down: false });
    }

    /// Returns the partitions whose leader answers. A partition without one doesn't delay the others and is queried
    /// last the next time.
    fn ask_about_unannounced(
        &mut self,
    ) -> Result<(TopicIdentity, Vec<PartitionWatermarks>), (RDKafkaErrorCode, String)> {
        let until = Instant::now() + ANNOUNCE_TIMEOUT;
        let left = || until.saturating_duration_since(Instant::now());
        let no_id = || (RDKafkaErrorCode::OperationTimedOut, "ask for the cluster's id".to_owned());
        let cluster_id = self.raw.cluster_id(left()).ok_or_else(no_id)?;
        let query = self.reports_topic_id.then(|| self.raw.query_topic_id(left()));
        let topic_id =
            query.map_or(Ok(None), TopicIdQuery::wait).map_err(|error| (error.code, error.call.to_owned()))?;
        let (mut found, mut problem, mut asked) = (Vec::new(), None, 0);
        for &partition in &self.unannounced {
            if left().is_zero() {
                break;
            }
            asked += 1;
            match self.raw.watermarks(partition, left().min(PARTITION_TIMEOUT)) {
                Ok((low, high)) => found.push(PartitionWatermarks { partition, low, high }),
                Err(error) => problem = Some((error.code, format!("{} of partition {partition}", error.call))),
            }
        }
        self.unannounced.rotate_left(asked);
        match problem.filter(|_| found.is_empty()) {
            Some(problem) => Err(problem),
            None => Ok((TopicIdentity { cluster_id, topic_id }, found)),
        }
    }

    /// Waits for room in the queue and keeps polling meanwhile.
    fn send(&mut self, event: ConsumerEvent<H::Output>) {
        let mut event = event;
        let waiting_since = Instant::now();
        loop {
            match self.events.try_send(event) {
                Ok(()) => break,
                Err(mpsc::error::TrySendError::Closed(_)) => {
                    self.stopping = true;
                    break;
                }
                Err(mpsc::error::TrySendError::Full(back)) => event = back,
            }
            let patience = FULL_QUEUE_TIMEOUT.saturating_sub(waiting_since.elapsed());
            if !patience.is_zero() {
                let events = &self.events;
                // The timer has to be created inside of the runtime; the permit is dropped, and the next try_send takes
                // it.
                self.runtime.block_on(async { tokio::time::timeout(patience, events.reserve()).await.is_ok() });
                continue;
            }
            self.set_paused(true);
            if let Err(text) = self.poll() {
                tracing::error!("{text}");
                self.stopping = true;
                break;
            }
            if self.stopping {
                break;
            }
            self.bound_hand_over();
        }
        self.set_paused(false);
    }

    fn set_paused(&mut self, paused: bool) {
        if self.paused == paused {
            return;
        }
        self.paused = paused;
        let partitions: Vec<i32> = self.running.iter().copied().collect();
        if let Err(error) = self.raw.pause(&partitions, paused) {
            tracing::warn!("{error}");
        }
    }
}

fn send_answer<T>(answer: oneshot::Sender<T>, found: T) {
    if answer.send(found).is_err() {
        tracing::debug!("nobody waits for an answer any more");
    }
}

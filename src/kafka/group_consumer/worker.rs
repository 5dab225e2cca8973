//! The consumer's thread: polls librdkafka, gathers what the handler decodes, and settles what the callbacks left.

mod start;

use std::collections::BTreeSet;
use std::sync::mpsc as std_mpsc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::kafka::events::{Assigned, Command, Event, Handler, Record, Start, TopicIdAnswer};
use crate::kafka::group_consumer::notice::{Notice, keep, tells_truncation};
use crate::kafka::raw::{Position, RawConsumer, RawError, TopicIdQuery};
use crate::kafka::refusal::{Access, Refusal};
use crate::market::TopicIdentity;

/// The batch call waits for a full batch or this long: it bounds the latency of everything here.
const BATCH_WAIT: Duration = Duration::from_millis(5);
const FULL_QUEUE_PATIENCE: Duration = Duration::from_millis(500);
/// Contract: a rebalance hands over within 5 s.
const HAND_OVER: Duration = Duration::from_secs(5);
const BROKER_ANSWER: Duration = Duration::from_secs(10);
/// What is asked about new partitions, in one go and of one partition: nothing is polled meanwhile.
const ANNOUNCE_ANSWER: Duration = Duration::from_secs(3);
const PARTITION_ANSWER: Duration = Duration::from_secs(1);
/// A flush waits for it.
const TOPIC_ID_ANSWER: Duration = Duration::from_secs(5);
const BROKER_RETRY: Duration = Duration::from_secs(1);
const LONGEST_BROKER_RETRY: Duration = Duration::from_secs(8);
/// A thread that was not scheduled this long may have lost its place in the group ..
const SLEPT: Duration = Duration::from_secs(2);
/// .. and finds out within this time. A static member that commits under its old id is fenced for good.
const WAKING: Duration = Duration::from_secs(10);
const ENDS_EVERY: Duration = Duration::from_secs(1);

pub(in crate::kafka) struct Worker<H: Handler> {
    /// Above the client, so that it is dropped first.
    topic_id: Option<(TopicIdQuery, oneshot::Sender<TopicIdAnswer>)>,
    tells_topic_id: bool,
    raw: RawConsumer,
    access: Access,
    handler: H,
    events: mpsc::Sender<Event<H::Output>>,
    commands: std_mpsc::Receiver<Command>,
    runtime: Handle,
    notices: Vec<Notice>,
    /// Partitions that the group gave us.
    owned: BTreeSet<i32>,
    /// Owned partitions that deliver.
    running: BTreeSet<i32>,
    /// Assigned at a position of a leader epoch that librdkafka was not made to validate yet: not running.
    validating: Vec<Start>,
    /// Running partitions whose position may still be that of an earlier assignment.
    unplaced: BTreeSet<i32>,
    /// Not running any more: an error came in place of a record.
    lost_place: BTreeSet<i32>,
    /// Assigned by the group, watermarks not known yet.
    unannounced: Vec<i32>,
    announce_at: Instant,
    announce_pause: Duration,
    ends_at: Instant,
    turned_at: Instant,
    asleep_until: Instant,
    /// A revocation that isn't announced yet.
    revoke_noticed: Option<Instant>,
    revoking: Option<(Vec<i32>, Instant)>,
    paused: bool,
    stopping: bool,
}

impl<H: Handler> Worker<H> {
    pub(in crate::kafka) fn new(
        raw: RawConsumer,
        access: Access,
        tells_topic_id: bool,
        handler: H,
        events: mpsc::Sender<Event<H::Output>>,
        commands: std_mpsc::Receiver<Command>,
    ) -> Self {
        Self {
            topic_id: None,
            tells_topic_id,
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
            unplaced: BTreeSet::new(),
            lost_place: BTreeSet::new(),
            unannounced: Vec::new(),
            announce_at: Instant::now(),
            announce_pause: BROKER_RETRY,
            ends_at: Instant::now(),
            turned_at: Instant::now(),
            asleep_until: Instant::now(),
            revoke_noticed: None,
            revoking: None,
            paused: false,
            stopping: false,
        }
    }

    pub(in crate::kafka) fn run(&mut self) {
        while !self.stopping {
            if let Err(text) = self.turn() {
                self.send(Event::Failed { text });
                break;
            }
            if let Some(output) = self.handler.take() {
                self.send(Event::Data(output));
            }
            self.settle();
        }
        // A revocation that is not answered yet would hold up the close.
        if let Err(error) = self.raw.incremental_unassign(&[]).and_then(|()| self.raw.close()) {
            tracing::debug!("{error}");
        }
    }

    /// Commands, one batch, and the notices that the callbacks left.
    fn turn(&mut self) -> Result<(), String> {
        if self.turned_at.elapsed() >= SLEPT {
            self.asleep_until = Instant::now() + WAKING;
        }
        self.turned_at = Instant::now();
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command).map_err(|error| error.to_string())?;
        }
        self.validate().map_err(|error| error.to_string())?;
        self.tell_topic_id();
        let Self { raw, handler, running, unplaced, lost_place, notices, revoke_noticed, .. } = self;
        {
            let batch = raw.batch(BATCH_WAIT).map_err(|error| error.to_string())?;
            for message in batch.iter() {
                let partition = message.partition();
                match message.error() {
                    None if running.contains(&partition) => {
                        unplaced.remove(&partition);
                        handler.record(&Record::new(&message));
                    }
                    None => {}
                    Some(code) => {
                        // An error moves the position past its offset, and records after it may be beyond a gap.
                        if message.is_of_partition() && running.remove(&partition) {
                            handler.release(partition);
                            lost_place.insert(partition);
                        }
                        let text = message.payload().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
                        keep(notices, Notice::Message { partition, code, text });
                    }
                }
            }
        }
        for notice in raw.take_notices() {
            match &notice {
                Notice::Revoke { .. } => {
                    revoke_noticed.get_or_insert_with(Instant::now);
                }
                // The group waits for an assign call, and pauses what is read; the partitions follow when it is known
                // where to begin.
                Notice::Assign(_) => raw.incremental_assign(&[]).map_err(|error| error.to_string())?,
                _ => {}
            }
            keep(notices, notice);
        }
        for Position { partition, offset, leader_epoch } in raw.positions(running).map_err(|error| error.to_string())? {
            if !unplaced.contains(&partition) {
                handler.reached(partition, offset, leader_epoch);
            }
        }
        Ok(())
    }

    /// Everything that sends events and so must not run inside [`Self::send`].
    fn settle(&mut self) {
        // One by one: those behind it have to be seen while an event waits for room.
        while !self.notices.is_empty() {
            match self.notices.remove(0) {
                Notice::Assign(partitions) if partitions.is_empty() => {
                    if self.owned.is_empty() {
                        self.send(Event::NothingAssigned);
                    }
                }
                Notice::Assign(partitions) => {
                    self.owned.extend(&partitions);
                    self.unannounced.extend(partitions);
                    self.send(Event::Unannounced { partitions: self.unannounced.clone() });
                }
                Notice::Revoke { partitions, lost } => self.revoke(partitions, lost),
                Notice::HandedOver { partitions } => {
                    self.forget(&partitions);
                    self.send(Event::Revoked { partitions });
                }
                Notice::Error { code, text, fatal: true } => {
                    self.send(Event::Failed { text: format!("{code}: {text}") });
                    self.stopping = true;
                }
                Notice::Error { code, text, .. } => {
                    let refusal = self.access.refusal(code, &text).filter(Refusal::is_certain);
                    let refused = refusal.is_some();
                    let text = refusal.map_or(text, |refusal| refusal.to_string());
                    let all_down = code == RDKafkaErrorCode::AllBrokersDown;
                    self.send(Event::Trouble { code, text, refused, all_down });
                }
                Notice::Message { code: RDKafkaErrorCode::Fatal, text, .. } => {
                    self.send(Event::Failed { text });
                    self.stopping = true;
                }
                Notice::Message { partition, code, text } if tells_truncation(code, &text) => {
                    self.send(Event::Truncated { partition, text });
                }
                // What became of the offset shows when the partition is announced again.
                Notice::Message { code: RDKafkaErrorCode::AutoOffsetReset, text, .. } => tracing::debug!("{text}"),
                Notice::Message { code: code @ RDKafkaErrorCode::BadCompression, text, .. } => {
                    let text =
                        format!("{text}; a batch that unpacks to over 100 MB needs -X receive.message.max.bytes");
                    self.send(Event::Trouble { code, text, refused: false, all_down: false });
                }
                Notice::Message { code, text, .. } => {
                    self.send(Event::Trouble { code, text, refused: false, all_down: false })
                }
            }
        }
        for partition in std::mem::take(&mut self.lost_place) {
            if self.owned.contains(&partition) {
                self.unassign_and_announce(partition);
            }
        }
        self.announce();
        self.report_ends();
        self.bound_hand_over();
    }

    /// The group waits for it, whatever the owner of the state is busy with.
    fn bound_hand_over(&mut self) {
        let mut late = self.revoking.as_ref().is_some_and(|(_, until)| Instant::now() >= *until);
        if self.revoke_noticed.is_some_and(|since| since.elapsed() >= HAND_OVER) {
            self.revoke_noticed = None;
            for notice in &mut self.notices {
                if let Notice::Revoke { partitions, .. } = notice {
                    let partitions = std::mem::take(partitions);
                    self.revoking.get_or_insert_with(|| (Vec::new(), Instant::now())).0.extend(&partitions);
                    *notice = Notice::HandedOver { partitions };
                    late = true;
                }
            }
        }
        if late {
            tracing::warn!("a hand-over took longer than {} s; the partitions leave without it", HAND_OVER.as_secs());
            self.unassign_revoked();
        }
    }

    fn obey(&mut self, command: Command) -> Result<(), RawError> {
        match command {
            Command::Start(starts) => self.start(starts)?,
            Command::Release => self.unassign_revoked(),
            Command::Announce(partitions) => {
                partitions.into_iter().for_each(|partition| self.announce_again(partition))
            }
            Command::AskAgain(partition) => {
                self.announce_again(partition);
                if self.owned.contains(&partition) && !self.unannounced.contains(&partition) {
                    self.unannounced.push(partition);
                }
            }
            Command::Commit(offsets) if self.asleep_until > Instant::now() => {
                tracing::debug!(?offsets, "not told to the group: the process slept, and may be another member now");
            }
            Command::Commit(offsets) => {
                if let Err(error) = self.raw.commit_async(&offsets) {
                    tracing::debug!("{error}");
                }
            }
            Command::OffsetForTime { partition, timestamp_ms, answer } => {
                let found = self.raw.offset_for_time(partition, timestamp_ms, BROKER_ANSWER);
                tell(answer, found.map_err(|error| error.to_string()));
            }
            Command::TopicId { answer } if self.tells_topic_id => {
                self.topic_id = Some((self.raw.query_topic_id(TOPIC_ID_ANSWER), answer));
            }
            Command::TopicId { answer } => tell(answer, Ok(None)),
            Command::Stop => self.stopping = true,
        }
        Ok(())
    }

    fn tell_topic_id(&mut self) {
        let found = self.topic_id.as_ref().and_then(|(query, _)| query.answer(Duration::ZERO));
        if let Some(found) = found
            && let Some((_, answer)) = self.topic_id.take()
        {
            tell(answer, found.map_err(|error| error.to_string()));
        }
    }

    /// The owner decides again where to read, knowing the new watermarks.
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
        self.announce_at = Instant::now() + BROKER_RETRY;
    }

    fn report_ends(&mut self) {
        if self.ends_at.elapsed() < ENDS_EVERY || self.running.is_empty() {
            return;
        }
        self.ends_at = Instant::now();
        let ends = self.running.iter().filter_map(|p| Some((*p, self.raw.known_end(*p)?))).collect();
        self.send(Event::Ends(ends));
    }

    fn revoke(&mut self, partitions: Vec<i32>, lost: bool) {
        let noticed = self.revoke_noticed.take().unwrap_or_else(Instant::now);
        self.forget(&partitions);
        self.unassign_revoked();
        self.revoking = Some((partitions.clone(), noticed + HAND_OVER));
        if lost {
            self.unassign_revoked();
        }
        self.send(Event::Revoked { partitions });
    }

    fn forget(&mut self, partitions: &[i32]) {
        self.unannounced.retain(|partition| !partitions.contains(partition));
        self.validating.retain(|start| !partitions.contains(&start.partition));
        for partition in partitions {
            self.owned.remove(partition);
            self.running.remove(partition);
            self.lost_place.remove(partition);
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

    /// Asks for the watermarks of new partitions and announces them; tries again later when the broker is silent.
    fn announce(&mut self) {
        if self.unannounced.is_empty() || Instant::now() < self.announce_at {
            return;
        }
        let (code, text) = match self.ask_about_unannounced() {
            Ok((identity, partitions)) => {
                self.unannounced.retain(|one| partitions.iter().all(|assigned| assigned.partition != *one));
                self.send(Event::Assigned { identity, partitions, unannounced: self.unannounced.clone() });
                if self.unannounced.is_empty() {
                    self.announce_pause = BROKER_RETRY;
                    return;
                }
                (RDKafkaErrorCode::OperationTimedOut, "ask for the ends of partitions".to_owned())
            }
            Err(problem) => problem,
        };
        self.announce_at = Instant::now() + self.announce_pause;
        self.announce_pause = (self.announce_pause * 2).min(LONGEST_BROKER_RETRY);
        self.send(Event::Trouble { code, text, refused: false, all_down: false });
    }

    /// Those that have a leader that answers; one without is no reason to leave the others alone, and is asked last
    /// the next time.
    fn ask_about_unannounced(&mut self) -> Result<(TopicIdentity, Vec<Assigned>), (RDKafkaErrorCode, String)> {
        let until = Instant::now() + ANNOUNCE_ANSWER;
        let left = || until.saturating_duration_since(Instant::now());
        let no_id = || (RDKafkaErrorCode::OperationTimedOut, "ask for the cluster's id".to_owned());
        let cluster_id = self.raw.cluster_id(left()).ok_or_else(no_id)?;
        let query = self.tells_topic_id.then(|| self.raw.query_topic_id(left()));
        let topic_id =
            query.map_or(Ok(None), TopicIdQuery::wait).map_err(|error| (error.code, error.call.to_owned()))?;
        let (mut found, mut problem, mut asked) = (Vec::new(), None, 0);
        for &partition in &self.unannounced {
            if left().is_zero() {
                break;
            }
            asked += 1;
            match self.raw.watermarks(partition, left().min(PARTITION_ANSWER)) {
                Ok((low, high)) => found.push(Assigned { partition, low, high }),
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
    fn send(&mut self, event: Event<H::Output>) {
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
            let patience = FULL_QUEUE_PATIENCE.saturating_sub(waiting_since.elapsed());
            if !patience.is_zero() {
                let events = &self.events;
                // The timer has to be made inside of the runtime; the permit is dropped again, the next try_send takes it.
                self.runtime.block_on(async { tokio::time::timeout(patience, events.reserve()).await.is_ok() });
                continue;
            }
            self.set_paused(true);
            if let Err(text) = self.turn() {
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

fn tell<T>(answer: oneshot::Sender<T>, found: T) {
    if answer.send(found).is_err() {
        tracing::debug!("nobody waits for an answer any more");
    }
}

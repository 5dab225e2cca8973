//! Follows a topic from given offsets outside of any group, without an end: it survives restarts of brokers and picks
//! up partitions that are added.
//!
//! Invariants:
//! - Records of a partition come in the order of their offsets, each once. [`TopicFollower::positions`] is the offset
//!   below which everything was delivered, invisible records such as transaction markers included.
//! - What Kafka doesn't hold ends the partition with [`FollowerEvent::Gap`]; the others go on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::client::KafkaSettings;
use crate::kafka::events::{KafkaRecord, PartitionWatermarks};
use crate::kafka::group_consumer::notice::{ConsumerNotice, is_truncation};
use crate::kafka::raw::{PartitionPosition, RawConsumer, RawError, TopicIdQuery};
use crate::kafka::refusal::{BrokerRefusal, ClientSecurity, brief};
use crate::kafka::topic::{TopicError, TopicInfo, topic_info};
use crate::kafka::topic_reader::ends::all_ends;
use crate::market::TopicIdentity;

const BATCH_MESSAGES: usize = 8_192;
/// The batch call waits for a full batch or this long: it bounds the latency of everything here.
const BATCH_WAIT: Duration = Duration::from_millis(5);
/// Timeout of a query while records flow: nothing is polled meanwhile.
const SHORT_TIMEOUT: Duration = Duration::from_millis(300);
const TOPIC_ID_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Interval of checks for new partitions and for a recreated topic.
const REFRESH_INTERVAL: Duration = Duration::from_secs(20);
/// librdkafka requires a group name even if no group is joined.
const NO_GROUP: &str = "tickhouse-tail";

/// What happened apart from records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowerEvent {
    /// Kafka doesn't hold the offset `asked`, or lost the end of its log and may have written others to the same
    /// offsets. The partition is not read any more.
    Gap { partition: i32, asked: i64, low: i64, high: i64 },
    /// The brokers cause errors; librdkafka keeps trying. Each text is reported once.
    BrokerError(String),
    /// Every partition has answered again.
    Recovered,
    /// The topic has another id now: it was deleted and created again.
    Recreated { id: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PartitionState {
    /// `proven`: the position belongs to the current assignment.
    Reading {
        proven: bool,
    },
    /// Not assigned, because an error arrived in place of a record.
    Suspended {
        truncated: bool,
    },
    Lost,
}

#[derive(Debug)]
struct FollowedPartition {
    next: i64,
    state: PartitionState,
    heard_at: Instant,
}

/// Dropped in this order: the query before the client that answers it.
pub struct TopicFollower {
    topic_id: Option<TopicIdQuery>,
    raw: RawConsumer,
    access: ClientSecurity,
    topic: String,
    identity: TopicIdentity,
    opened: Vec<PartitionWatermarks>,
    partitions: BTreeMap<i32, FollowedPartition>,
    events: Vec<FollowerEvent>,
    broker_error: Option<(String, Instant)>,
    retry_at: Instant,
    refresh_at: Instant,
}

impl TopicFollower {
    /// Waits up to `patience` for the brokers and asks for the ends of the partitions. Blocks.
    ///
    /// # Errors
    /// See [`topic_info`]; or a broker doesn't report the ends.
    pub fn open(settings: &KafkaSettings, patience: Duration) -> Result<Self, TopicError> {
        let until = Instant::now() + patience;
        let TopicInfo { identity, .. } = topic_info(settings, patience)?;
        let config = settings.consumer_config(NO_GROUP);
        let raw = RawConsumer::new(&config, &settings.topic, BATCH_MESSAGES).map_err(TopicError::Configuration)?;
        let opened = all_ends(&raw, settings, until)?;
        let topic = settings.topic.clone();
        Ok(Self {
            topic_id: None,
            raw,
            access: ClientSecurity::of(&config),
            topic,
            identity,
            opened,
            partitions: BTreeMap::new(),
            events: Vec::new(),
            broker_error: None,
            retry_at: Instant::now(),
            refresh_at: Instant::now() + REFRESH_INTERVAL,
        })
    }

    pub fn identity(&self) -> &TopicIdentity {
        &self.identity
    }

    /// First offset and end of each partition when it was opened.
    pub fn opened(&self) -> &[PartitionWatermarks] {
        &self.opened
    }

    /// Starts at these (partition, offset) pairs; other partitions of the topic start at their first offset.
    ///
    /// # Errors
    /// librdkafka refuses the partitions.
    pub fn start(&mut self, starts: &[(i32, i64)]) -> Result<(), TopicError> {
        for at in self.opened.clone() {
            let named = starts.iter().find(|(partition, _)| *partition == at.partition);
            self.follow_from(at, named.map_or(at.low, |(_, offset)| *offset));
        }
        self.assign().map_err(|error| failed(&self.topic, &error))
    }

    /// Reads one batch of at most 8,192 records, or those that arrive within 5 ms.
    ///
    /// # Errors
    /// librdkafka can't go on.
    pub fn poll(&mut self, mut on_record: impl FnMut(&KafkaRecord<'_>)) -> Result<(), TopicError> {
        let now = Instant::now();
        let mut failed_partitions = Vec::new();
        match self.raw.batch(BATCH_WAIT) {
            Err(error) => return Err(failed(&self.topic, &error)),
            Ok(batch) => {
                for message in batch.iter() {
                    let partition = message.partition();
                    let followed = self.partitions.get_mut(&partition).filter(|_| message.is_of_partition());
                    match (message.error(), followed) {
                        (None, Some(followed)) => {
                            let reads = matches!(followed.state, PartitionState::Reading { .. });
                            // Records that were fetched before a partition was suspended are delivered again.
                            if reads && message.offset() >= followed.next {
                                followed.next = message.offset() + 1;
                                followed.state = PartitionState::Reading { proven: true };
                                followed.heard_at = now;
                                on_record(&KafkaRecord::new(&message));
                            }
                        }
                        (None, None) => {}
                        (Some(code), followed) => {
                            let text = message.payload().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
                            // An error moves librdkafka's position past its offset, and what follows may be beyond a
                            // gap.
                            if let Some(followed) = followed
                                && matches!(followed.state, PartitionState::Reading { .. })
                            {
                                followed.state = PartitionState::Suspended { truncated: is_truncation(code, &text) };
                                failed_partitions.push(partition);
                            }
                            // Whether the offset still exists is checked when the partition is resumed.
                            if code != RDKafkaErrorCode::AutoOffsetReset {
                                report_error(
                                    &mut self.events,
                                    &mut self.broker_error,
                                    format!("{code}: {}", brief(&text)),
                                );
                            }
                        }
                    }
                }
            }
        }
        if !failed_partitions.is_empty() {
            self.raw.incremental_unassign(&failed_partitions).map_err(|error| failed(&self.topic, &error))?;
            self.retry_at = now;
        }
        self.drain_notices()?;
        self.advance_positions()?;
        self.resume_suspended(now)?;
        self.refresh_topic(now)
    }

    /// Returns the events since the last call.
    pub fn take_events(&mut self) -> Vec<FollowerEvent> {
        std::mem::take(&mut self.events)
    }

    /// Returns each partition with the offset below which everything was delivered.
    pub fn positions(&self) -> impl Iterator<Item = (i32, i64)> {
        self.partitions.iter().map(|(partition, followed)| (*partition, followed.next))
    }

    /// Attempts to connect so far.
    #[cfg(test)]
    pub(in crate::kafka) fn connects(&self) -> u32 {
        self.raw.connects()
    }

    /// Records that are known to be in Kafka and were not delivered yet; `None` while the end of a partition isn't
    /// known. Partitions with a gap don't count.
    pub fn lag(&self) -> Option<i64> {
        let mut lag = 0;
        for (partition, followed) in
            self.partitions.iter().filter(|(_, followed)| followed.state != PartitionState::Lost)
        {
            lag += (self.raw.known_end(*partition)? - followed.next).max(0);
        }
        Some(lag)
    }

    fn follow_from(&mut self, at: PartitionWatermarks, next: i64) {
        let PartitionWatermarks { partition, low, high } = at;
        let held = (low..=high).contains(&next);
        if !held {
            self.events.push(FollowerEvent::Gap { partition, asked: next, low, high });
        }
        let state = if held { PartitionState::Reading { proven: true } } else { PartitionState::Lost };
        self.partitions.insert(partition, FollowedPartition { next, state, heard_at: Instant::now() });
    }

    fn assign(&self) -> Result<(), RawError> {
        let reads =
            self.partitions.iter().filter(|(_, followed)| matches!(followed.state, PartitionState::Reading { .. }));
        let starts: Vec<PartitionPosition> =
            reads.map(|(partition, followed)| position_at(*partition, followed.next)).collect();
        self.raw.incremental_assign(&starts)
    }

    /// Advances the offsets past records that are not delivered, such as transaction markers.
    fn advance_positions(&mut self) -> Result<(), TopicError> {
        let proven = |followed: &FollowedPartition| followed.state == PartitionState::Reading { proven: true };
        let reading =
            self.partitions.iter().filter(|(_, followed)| proven(followed)).map(|(partition, _)| *partition).collect();
        for PartitionPosition { partition, offset, .. } in
            self.raw.positions(&reading).map_err(|error| failed(&self.topic, &error))?
        {
            if let Some(followed) = self.partitions.get_mut(&partition)
                && offset > followed.next
            {
                followed.next = offset;
                followed.heard_at = Instant::now();
            }
        }
        Ok(())
    }

    /// Handles what librdkafka reports apart from records.
    fn drain_notices(&mut self) -> Result<(), TopicError> {
        for notice in self.raw.take_notices() {
            let ConsumerNotice::Error { code, text, fatal } = notice else { continue };
            if fatal {
                let detail = format!("{code}: {text}");
                return Err(TopicError::Read { topic: self.topic.clone(), detail });
            }
            // This code only follows the error that has the cause.
            if code != RDKafkaErrorCode::AllBrokersDown {
                let refusal = self.access.refusal(code, &text).filter(BrokerRefusal::is_certain);
                let text = refusal.map_or_else(|| brief(&text).to_owned(), |refusal| refusal.to_string());
                report_error(&mut self.events, &mut self.broker_error, text);
            }
        }
        Ok(())
    }

    /// Once a second: resumes suspended partitions, and reports the recovery when all partitions have answered again.
    fn resume_suspended(&mut self, now: Instant) -> Result<(), TopicError> {
        let since = self.broker_error.as_ref().map(|(_, since)| *since);
        let waits = |followed: &FollowedPartition| matches!(followed.state, PartitionState::Suspended { .. });
        let silent = |followed: &FollowedPartition| {
            waits(followed)
                || (followed.state != PartitionState::Lost && since.is_some_and(|since| followed.heard_at <= since))
        };
        if now < self.retry_at || (since.is_none() && !self.partitions.values().any(waits)) {
            return Ok(());
        }
        self.retry_at = now + RETRY_PAUSE;
        // The partition that was silent longest is queried: an unreachable broker costs the others one short query a
        // second.
        let longest = self
            .partitions
            .iter()
            .filter(|(_, followed)| silent(followed))
            .min_by_key(|(_, followed)| followed.heard_at);
        let Some((&partition, _)) = longest else {
            self.broker_error = None;
            self.events.push(FollowerEvent::Recovered);
            return Ok(());
        };
        let asked = self.raw.watermarks(partition, SHORT_TIMEOUT);
        let Some(followed) = self.partitions.get_mut(&partition) else { return Ok(()) };
        let (low, high) = match asked {
            Ok(found) => found,
            Err(error) => {
                report_error(&mut self.events, &mut self.broker_error, format!("partition {partition}: {error}"));
                return Ok(());
            }
        };
        followed.heard_at = Instant::now();
        self.retry_at = now;
        let PartitionState::Suspended { truncated } = followed.state else { return Ok(()) };
        let asked = followed.next;
        if truncated || !(low..=high).contains(&asked) {
            followed.state = PartitionState::Lost;
            self.events.push(FollowerEvent::Gap { partition, asked, low, high });
            return Ok(());
        }
        // librdkafka may report the position of the earlier assignment for a moment.
        followed.state = PartitionState::Reading { proven: false };
        self.raw.incremental_assign(&[position_at(partition, asked)]).map_err(|error| failed(&self.topic, &error))
    }

    /// Starts new partitions at their first offset, and detects a topic that was deleted and created again by its id.
    fn refresh_topic(&mut self, now: Instant) -> Result<(), TopicError> {
        if let Some(answer) = self.topic_id.as_ref().and_then(|query| query.answer(Duration::ZERO)) {
            self.topic_id = None;
            if let Ok(Some(id)) = answer
                && self.identity.topic_id.as_ref().is_some_and(|known| *known != id)
            {
                self.identity.topic_id = Some(id.clone());
                self.events.push(FollowerEvent::Recreated { id });
            }
        }
        if now < self.refresh_at {
            return Ok(());
        }
        self.refresh_at = now + REFRESH_INTERVAL;
        if self.identity.topic_id.is_some() && self.topic_id.is_none() {
            self.topic_id = Some(self.raw.query_topic_id(TOPIC_ID_TIMEOUT));
        }
        let partitions = match self.raw.partitions(SHORT_TIMEOUT) {
            Ok(partitions) => partitions,
            Err(error) => {
                tracing::debug!("{error}");
                return Ok(());
            }
        };
        for partition in partitions.into_keys() {
            if self.partitions.contains_key(&partition) {
                continue;
            }
            match self.raw.watermarks(partition, SHORT_TIMEOUT) {
                Ok((low, high)) => {
                    self.follow_from(PartitionWatermarks { partition, low, high }, low);
                    self.raw
                        .incremental_assign(&[position_at(partition, low)])
                        .map_err(|error| failed(&self.topic, &error))?;
                }
                // It may have no leader yet.
                Err(_) => self.refresh_at = now + RETRY_PAUSE,
            }
        }
        Ok(())
    }
}

/// A follower knows no leader epoch before its first record.
fn position_at(partition: i32, offset: i64) -> PartitionPosition {
    PartitionPosition { partition, offset, leader_epoch: None }
}

fn failed(topic: &str, error: &RawError) -> TopicError {
    TopicError::Read { topic: topic.to_owned(), detail: error.to_string() }
}

fn report_error(events: &mut Vec<FollowerEvent>, broker_error: &mut Option<(String, Instant)>, text: String) {
    let is_new = broker_error.as_ref().is_none_or(|(reported, _)| *reported != text);
    *broker_error = Some((text.clone(), Instant::now()));
    if is_new {
        events.push(FollowerEvent::BrokerError(text));
    }
}

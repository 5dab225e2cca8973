//! Reads a topic from given offsets to its end, outside of any group: for dry runs, benchmarks and checks.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::client::KafkaSettings;
use crate::kafka::events::{KafkaRecord, PartitionWatermarks};
use crate::kafka::group_consumer::notice::ConsumerNotice;
use crate::kafka::raw::RawConsumer;
use crate::kafka::refusal::{BrokerRefusal, ClientSecurity, brief};
use crate::kafka::topic::{TopicError, TopicInfo, topic_info};
use crate::kafka::topic_reader::ends::all_ends;
use crate::market::TopicIdentity;

const BATCH_MESSAGES: usize = 8_192;
const BATCH_WAIT: Duration = Duration::from_millis(50);
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);
/// Reading fails if the brokers send nothing for this long.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// librdkafka requires a group name even if no group is joined.
const NO_GROUP: &str = "tickhouse-reader";

pub struct TopicReader {
    raw: RawConsumer,
    access: ClientSecurity,
    brokers: String,
    topic: String,
    identity: TopicIdentity,
    partitions: Vec<PartitionWatermarks>,
    open: BTreeSet<i32>,
    heard_at: Instant,
    /// The error that the brokers caused last since then.
    last_error: Option<String>,
}

/// After a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadProgress {
    More,
    /// Every partition is at its end.
    End,
}

impl TopicReader {
    /// Waits up to `patience` for the brokers and asks for the ends of the partitions. Blocks.
    ///
    /// # Errors
    /// See [`topic_info`]; or a broker doesn't report the ends.
    pub fn open(settings: &KafkaSettings, patience: Duration) -> Result<Self, TopicError> {
        let until = Instant::now() + patience;
        let TopicInfo { identity, .. } = topic_info(settings, patience)?;
        let mut config = settings.consumer_config(NO_GROUP);
        // Harmless where nothing pauses or rebalances.
        config.set("enable.partition.eof", "true");
        let raw = RawConsumer::new(&config, &settings.topic, BATCH_MESSAGES).map_err(TopicError::Configuration)?;
        let partitions = all_ends(&raw, settings, until)?;
        Ok(Self {
            raw,
            access: ClientSecurity::of(&config),
            brokers: settings.brokers.clone(),
            topic: settings.topic.clone(),
            identity,
            partitions,
            open: BTreeSet::new(),
            heard_at: Instant::now(),
            last_error: None,
        })
    }

    pub fn identity(&self) -> &TopicIdentity {
        &self.identity
    }

    /// First offset and end of each partition when the reader was opened.
    pub fn partitions(&self) -> &[PartitionWatermarks] {
        &self.partitions
    }

    /// First offset at or after a time in milliseconds; `None` past the end. Blocks.
    ///
    /// # Errors
    /// The broker doesn't answer.
    pub fn offset_at(&self, partition: i32, timestamp_ms: i64) -> Result<Option<i64>, TopicError> {
        let found = self.raw.offset_for_time(partition, timestamp_ms, BROKER_TIMEOUT);
        found.map_err(|error| self.failed(format!("find the start of partition {partition}: {}", error.code)))
    }

    /// Begins at these (partition, offset).
    ///
    /// # Errors
    /// librdkafka refuses the partitions.
    pub fn start(&mut self, starts: &[(i32, i64)]) -> Result<(), TopicError> {
        self.raw.assign(starts).map_err(|error| self.failed(error.to_string()))?;
        self.open = starts.iter().map(|(partition, _)| *partition).collect();
        self.heard_at = Instant::now();
        Ok(())
    }

    /// Reads one batch. Blocks for 50 ms at most.
    ///
    /// # Errors
    /// Kafka doesn't hold an offset, refuses the client, or was silent for a minute.
    pub fn read(&mut self, mut on_record: impl FnMut(&KafkaRecord<'_>)) -> Result<ReadProgress, TopicError> {
        let mut failure = None;
        match self.raw.batch(BATCH_WAIT) {
            Ok(batch) => {
                for message in batch.iter() {
                    self.heard_at = Instant::now();
                    self.last_error = None;
                    match message.error() {
                        None => on_record(&KafkaRecord::new(&message)),
                        Some(RDKafkaErrorCode::PartitionEOF) => {
                            self.open.remove(&message.partition());
                        }
                        Some(code) => {
                            failure = Some(format!("partition {}: {code}", message.partition()));
                            break;
                        }
                    }
                }
            }
            Err(error) => failure = Some(error.to_string()),
        }
        if let Some(detail) = failure {
            return Err(self.failed(detail));
        }
        self.drain_notices()?;
        if self.open.is_empty() {
            return Ok(ReadProgress::End);
        }
        if self.heard_at.elapsed() <= SILENCE_TIMEOUT {
            return Ok(ReadProgress::More);
        }
        let silent = format!("the brokers were silent for {} s", SILENCE_TIMEOUT.as_secs());
        Err(self.failed(match &self.last_error {
            Some(last_error) => format!("{silent}; the last error they caused: {last_error}"),
            None => silent,
        }))
    }

    /// Handles what librdkafka reports apart from records.
    fn drain_notices(&mut self) -> Result<(), TopicError> {
        for notice in self.raw.take_notices() {
            let ConsumerNotice::Error { code, text, fatal } = notice else { continue };
            if fatal {
                return Err(self.failed(format!("{code}: {text}")));
            }
            match self.access.refusal(code, &text) {
                Some(refusal) if refusal.is_certain() => {
                    return Err(TopicError::Refused { brokers: self.brokers.clone(), refusal });
                }
                refusal => self.note_error(code, refusal, &text),
            }
        }
        Ok(())
    }

    fn note_error(&mut self, code: RDKafkaErrorCode, refusal: Option<BrokerRefusal>, text: &str) {
        // This code only follows the error that has the cause.
        if code != RDKafkaErrorCode::AllBrokersDown {
            self.last_error = Some(refusal.map_or_else(|| brief(text).to_owned(), |refusal| refusal.to_string()));
        }
    }

    fn failed(&self, detail: String) -> TopicError {
        TopicError::Read { topic: self.topic.clone(), detail }
    }
}

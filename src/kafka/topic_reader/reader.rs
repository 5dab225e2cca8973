//! Reads a topic from given offsets outside of any group: dry runs, benchmarks, and whoever looks at the tail.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::client::KafkaSettings;
use crate::kafka::events::{Assigned, Record};
use crate::kafka::group_consumer::notice::Notice;
use crate::kafka::raw::RawConsumer;
use crate::kafka::refusal::{Access, Refusal, brief};
use crate::kafka::topic::{TopicError, TopicInfo, topic_info};
use crate::kafka::topic_reader::ends::all_ends;
use crate::market::TopicIdentity;

const BATCH_MESSAGES: usize = 8_192;
const BATCH_WAIT: Duration = Duration::from_millis(50);
const BROKER_ANSWER: Duration = Duration::from_secs(10);
/// A broker that is silent for this long ends the reading with an error.
const SILENCE: Duration = Duration::from_secs(60);
/// librdkafka wants a name even where no group is joined.
const NO_GROUP: &str = "tickhouse-reader";

pub struct Reader {
    raw: RawConsumer,
    access: Access,
    brokers: String,
    topic: String,
    identity: TopicIdentity,
    partitions: Vec<Assigned>,
    open: BTreeSet<i32>,
    heard: Instant,
    /// What the brokers reported last since then.
    trouble: Option<String>,
}

/// After a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    More,
    /// Every partition is at its end.
    End,
}

impl Reader {
    /// Waits up to `patience` for the brokers and asks for the ends of the partitions. Blocks.
    ///
    /// # Errors
    /// See [`topic_info`]; or a broker doesn't tell the ends.
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
            access: Access::of(&config),
            brokers: settings.brokers.clone(),
            topic: settings.topic.clone(),
            identity,
            partitions,
            open: BTreeSet::new(),
            heard: Instant::now(),
            trouble: None,
        })
    }

    pub fn identity(&self) -> &TopicIdentity {
        &self.identity
    }

    /// First offset and end of each partition when the reader was opened.
    pub fn partitions(&self) -> &[Assigned] {
        &self.partitions
    }

    /// First offset at or after a time in milliseconds; `None` past the end. Blocks.
    ///
    /// # Errors
    /// The broker doesn't answer.
    pub fn offset_at(&self, partition: i32, timestamp_ms: i64) -> Result<Option<i64>, TopicError> {
        let found = self.raw.offset_for_time(partition, timestamp_ms, BROKER_ANSWER);
        found.map_err(|error| self.failed(format!("find the start of partition {partition}: {}", error.code)))
    }

    /// Begins at these (partition, offset).
    ///
    /// # Errors
    /// librdkafka refuses the partitions.
    pub fn start(&mut self, starts: &[(i32, i64)]) -> Result<(), TopicError> {
        self.raw.assign(starts).map_err(|error| self.failed(error.to_string()))?;
        self.open = starts.iter().map(|(partition, _)| *partition).collect();
        self.heard = Instant::now();
        Ok(())
    }

    /// One batch. Blocks, but not for long.
    ///
    /// # Errors
    /// Kafka doesn't hold an offset, turns the client away, or was silent for a minute.
    pub fn read(&mut self, mut on_record: impl FnMut(&Record<'_>)) -> Result<Progress, TopicError> {
        let mut wrong = None;
        match self.raw.batch(BATCH_WAIT) {
            Ok(batch) => {
                for message in batch.iter() {
                    self.heard = Instant::now();
                    self.trouble = None;
                    match message.error() {
                        None => on_record(&Record::new(&message)),
                        Some(RDKafkaErrorCode::PartitionEOF) => {
                            self.open.remove(&message.partition());
                        }
                        Some(code) => {
                            wrong = Some(format!("partition {}: {code}", message.partition()));
                            break;
                        }
                    }
                }
            }
            Err(error) => wrong = Some(error.to_string()),
        }
        if let Some(detail) = wrong {
            return Err(self.failed(detail));
        }
        self.hear()?;
        if self.open.is_empty() {
            return Ok(Progress::End);
        }
        if self.heard.elapsed() <= SILENCE {
            return Ok(Progress::More);
        }
        let silent = format!("the brokers were silent for {} s", SILENCE.as_secs());
        Err(self.failed(match &self.trouble {
            Some(trouble) => format!("{silent}; the last they reported: {trouble}"),
            None => silent,
        }))
    }

    /// What librdkafka reports beside records.
    fn hear(&mut self) -> Result<(), TopicError> {
        for notice in self.raw.take_notices() {
            let Notice::Error { code, text, fatal } = notice else { continue };
            if fatal {
                return Err(self.failed(format!("{code}: {text}")));
            }
            match self.access.refusal(code, &text) {
                Some(refusal) if refusal.is_certain() => {
                    return Err(TopicError::Refused { brokers: self.brokers.clone(), refusal });
                }
                refusal => self.note(code, refusal, &text),
            }
        }
        Ok(())
    }

    fn note(&mut self, code: RDKafkaErrorCode, refusal: Option<Refusal>, text: &str) {
        // It follows the error that says why.
        if code != RDKafkaErrorCode::AllBrokersDown {
            self.trouble = Some(refusal.map_or_else(|| brief(text).to_owned(), |refusal| refusal.to_string()));
        }
    }

    fn failed(&self, detail: String) -> TopicError {
        TopicError::Read { topic: self.topic.clone(), detail }
    }
}

//! An idempotent producer that knows what was acknowledged.
//!
//! Invariant: `acknowledged + failed <= queued`; the difference is on its way. Delivery reports are served on the
//! thread that sends. The queue is bounded by the configuration, and a full one makes [`Producer::send`] wait.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::{ClientContext, Message};
use tokio_util::sync::CancellationToken;

use crate::kafka::client::KafkaSettings;
use crate::kafka::refusal::{BrokerErrors, configuration_problem};

/// Retries of a one-shot command; what is not acknowledged by then has failed.
const MESSAGE_TIMEOUT_MS: &str = "60000";
/// Messages between two polls of the delivery reports: rare enough to cost nothing, often enough to free the queue.
const MESSAGES_BETWEEN_POLLS: u32 = 1_024;
/// A full queue holds several hundred thousand messages, so it does not run empty in this time.
const FULL_QUEUE_WAIT: Duration = Duration::from_millis(10);

/// One message to be written, borrowed: librdkafka copies it.
#[derive(Debug, Clone, Copy)]
pub struct ProducerRecord<'a> {
    pub key: Option<&'a [u8]>,
    pub payload: &'a [u8],
    /// Milliseconds since the epoch; `None` is the time of sending.
    pub timestamp: Option<i64>,
}

#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendOutcome {
    Queued,
    /// The queue was full and stayed so until the token was cancelled.
    Stopped,
}

/// Counts of the queued messages by their outcome so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    pub queued: u64,
    pub acknowledged: u64,
    pub failed: u64,
    /// The error of the first message that failed.
    pub first_error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    #[error("configure the Kafka producer: {0}")]
    Configuration(String),
    #[error("queue message {number} ({bytes} bytes) for topic '{topic}': {problem}")]
    Refused { number: u64, bytes: usize, topic: String, problem: String },
    #[error("deliver messages to topic '{topic}': {failed} failed, the first with: {first}")]
    NotDelivered { topic: String, failed: u64, first: String },
}

#[derive(Default)]
pub(in crate::kafka) struct DeliveryReports {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    first_error: Mutex<Option<String>>,
    /// Why no broker is reachable: the error of a message that timed out doesn't say.
    broker_errors: BrokerErrors,
    /// Next offset of each partition after the acknowledged messages, if the caller tracks it.
    ends: Option<Mutex<BTreeMap<i32, i64>>>,
}

impl ClientContext for DeliveryReports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::trace!(target: "librdkafka", ?level, facility, "{text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.broker_errors.report(&error, reason);
    }
}

impl ProducerContext for DeliveryReports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let (error, _) = match result {
            Ok(message) => {
                if let Some(ends) = &self.ends {
                    let mut ends = ends.lock().expect("nobody panics with the lock");
                    let end = ends.entry(message.partition()).or_default();
                    *end = (*end).max(message.offset() + 1);
                }
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Err(failed) => failed,
        };
        if self.failed.fetch_add(1, Ordering::Relaxed) == 0 {
            let code = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string());
            let text = self.broker_errors.reported().reason.map_or(code.clone(), |reason| format!("{code} ({reason})"));
            *self.first_error.lock().expect("nobody panics with the lock") = Some(text);
        }
    }
}

/// Writes to one topic.
pub struct Producer {
    client: BaseProducer<DeliveryReports>,
    topic: String,
    queued: u64,
    unserved: u32,
}

impl Producer {
    /// # Errors
    /// librdkafka refuses the configuration.
    pub fn new(settings: &KafkaSettings) -> Result<Self, ProducerError> {
        Self::with_ends(settings, None)
    }

    /// Also tracks the ends of the partitions that it writes to; `ends` are the ends at the start.
    ///
    /// # Errors
    /// librdkafka refuses the configuration.
    pub fn with_known_ends(settings: &KafkaSettings, ends: BTreeMap<i32, i64>) -> Result<Self, ProducerError> {
        Self::with_ends(settings, Some(Mutex::new(ends)))
    }

    fn with_ends(settings: &KafkaSettings, ends: Option<Mutex<BTreeMap<i32, i64>>>) -> Result<Self, ProducerError> {
        Self::with_config(settings.producer_config(), &settings.topic, ends)
    }

    /// # Errors
    /// librdkafka refuses the configuration.
    pub(in crate::kafka) fn with_config(
        mut config: ClientConfig,
        topic: &str,
        ends: Option<Mutex<BTreeMap<i32, i64>>>,
    ) -> Result<Self, ProducerError> {
        if config.get("message.timeout.ms").is_none() && config.get("delivery.timeout.ms").is_none() {
            config.set("message.timeout.ms", MESSAGE_TIMEOUT_MS);
        }
        let client = config
            .create_with_context(DeliveryReports {
                broker_errors: BrokerErrors::new(&config),
                ends,
                ..DeliveryReports::default()
            })
            .map_err(|error| ProducerError::Configuration(configuration_problem(&error)))?;
        Ok(Self { client, topic: topic.to_owned(), queued: 0, unserved: 0 })
    }

    pub(in crate::kafka) fn client(&self) -> &BaseProducer<DeliveryReports> {
        &self.client
    }

    /// Why no broker is reachable, if librdkafka has reported it.
    pub(in crate::kafka) fn reported_reason(&self) -> Option<String> {
        self.client.context().broker_errors.reported().reason
    }

    /// Queues a message; blocks while the queue is full.
    ///
    /// # Errors
    /// The message can't be queued, or one that was queued before could not be delivered.
    pub fn send(&mut self, record: ProducerRecord<'_>, stop: &CancellationToken) -> Result<SendOutcome, ProducerError> {
        let mut next = BaseRecord {
            topic: &self.topic,
            partition: None,
            payload: Some(record.payload),
            key: record.key,
            timestamp: record.timestamp,
            headers: None,
            delivery_opaque: (),
        };
        loop {
            next = match self.client.send(next) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => back,
                Err((error, _)) => return Err(self.refused(record.payload.len(), &error)),
            };
            if stop.is_cancelled() {
                return Ok(SendOutcome::Stopped);
            }
            self.client.poll(FULL_QUEUE_WAIT);
            self.check()?;
        }
        self.queued += 1;
        self.unserved += 1;
        if self.unserved >= MESSAGES_BETWEEN_POLLS {
            self.serve()?;
        }
        Ok(SendOutcome::Queued)
    }

    #[cold]
    fn refused(&self, bytes: usize, error: &KafkaError) -> ProducerError {
        let problem = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                "it is larger than message.max.bytes; raise it with -X message.max.bytes=BYTES".to_owned()
            }
            Some(code) => code.to_string(),
            None => error.to_string(),
        };
        ProducerError::Refused { number: self.queued + 1, bytes, topic: self.topic.clone(), problem }
    }

    /// Polls the delivery reports; must be called while there is nothing to send.
    ///
    /// # Errors
    /// A message could not be delivered.
    pub fn serve(&mut self) -> Result<(), ProducerError> {
        self.unserved = 0;
        self.client.poll(Duration::ZERO);
        self.check()
    }

    fn check(&self) -> Result<(), ProducerError> {
        let delivered = self.delivered();
        match delivered.first_error {
            Some(first) => {
                Err(ProducerError::NotDelivered { topic: self.topic.clone(), failed: delivered.failed, first })
            }
            None => Ok(()),
        }
    }

    pub fn delivered(&self) -> DeliveryCounts {
        let reports = self.client.context();
        let failed = reports.failed.load(Ordering::Relaxed);
        let first_error = match failed {
            0 => None,
            _ => reports.first_error.lock().expect("nobody panics with the lock").clone(),
        };
        let acknowledged = reports.acknowledged.load(Ordering::Relaxed);
        DeliveryCounts { queued: self.queued, acknowledged, failed, first_error }
    }

    /// See [`Producer::with_known_ends`]; empty without it.
    pub fn ends(&self) -> BTreeMap<i32, i64> {
        let ends = &self.client.context().ends;
        ends.as_ref().map(|ends| ends.lock().expect("nobody panics with the lock").clone()).unwrap_or_default()
    }

    /// Waits for the messages on their way; true if none is left. Every message is acknowledged or fails within the
    /// message timeout.
    pub fn flush(&mut self, patience: Duration) -> bool {
        self.unserved = 0;
        self.client.flush(patience).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::{EmbeddedBroker, ReadProgress, TopicReader, topic_info};

    #[test]
    fn every_message_is_acknowledged_and_arrives_with_key_and_time() {
        let broker = EmbeddedBroker::start(3, "ticks").unwrap();
        let settings = broker.settings("ticks");
        let mut producer = Producer::new(&settings).unwrap();
        let stop = CancellationToken::new();
        for number in 0..3_000i64 {
            let key = format!("K{}", number % 10);
            let payload = number.to_string();
            let record = ProducerRecord {
                key: Some(key.as_bytes()),
                payload: payload.as_bytes(),
                timestamp: Some(1_700_000_000_000 + number),
            };
            assert_eq!(producer.send(record, &stop), Ok(SendOutcome::Queued));
        }
        assert!(producer.flush(Duration::from_secs(30)));
        let delivered = producer.delivered();
        assert_eq!(delivered, DeliveryCounts { queued: 3_000, acknowledged: 3_000, ..DeliveryCounts::default() });

        assert_eq!(topic_info(&settings, Duration::from_secs(10)).unwrap().partitions, 3);
        let mut reader = TopicReader::open(&settings, Duration::from_secs(10)).unwrap();
        reader.start(&[(0, 0), (1, 0), (2, 0)]).unwrap();
        let mut seen = Vec::new();
        let mut progress = ReadProgress::More;
        while progress == ReadProgress::More {
            progress = reader
                .read(|record| {
                    let number: i64 = std::str::from_utf8(record.payload().unwrap()).unwrap().parse().unwrap();
                    assert_eq!(record.key(), Some(format!("K{}", number % 10).as_bytes()));
                    assert_eq!(record.timestamp(), Some(1_700_000_000_000 + number));
                    seen.push(number);
                })
                .unwrap();
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..3_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_queue_waits_for_acknowledgements() {
        let broker = EmbeddedBroker::start(1, "ticks").unwrap();
        let mut settings = broker.settings("ticks");
        settings.properties.0.insert("queue.buffering.max.messages".to_owned(), "100".to_owned());
        let mut producer = Producer::new(&settings).unwrap();
        let stop = CancellationToken::new();
        let record = ProducerRecord { key: None, payload: b"x", timestamp: None };
        for _ in 0..1_000 {
            assert_eq!(producer.send(record, &stop), Ok(SendOutcome::Queued));
        }
        assert!(producer.flush(Duration::from_secs(30)));
        assert_eq!(producer.delivered().acknowledged, 1_000);
    }

    #[test]
    fn without_a_broker_a_full_queue_ends_with_the_stop_and_failures_are_counted() {
        let mut settings =
            KafkaSettings { brokers: "127.0.0.1:1".to_owned(), topic: "ticks".to_owned(), ..KafkaSettings::default() };
        let stop = CancellationToken::new();
        settings.properties.0.insert("queue.buffering.max.messages".to_owned(), "10".to_owned());
        settings.properties.0.insert("message.timeout.ms".to_owned(), "500".to_owned());
        let mut producer = Producer::new(&settings).unwrap();
        let record = ProducerRecord { key: None, payload: b"x", timestamp: None };
        for _ in 0..10 {
            assert_eq!(producer.send(record, &stop), Ok(SendOutcome::Queued));
        }
        stop.cancel();
        assert_eq!(producer.send(record, &stop), Ok(SendOutcome::Stopped));
        assert!(producer.flush(Duration::from_secs(30)));
        let delivered = producer.delivered();
        assert_eq!((delivered.queued, delivered.acknowledged, delivered.failed), (10, 0, 10));
        assert!(delivered.first_error.unwrap().contains("imed out"));
    }

    #[test]
    fn a_message_that_is_too_large_is_named() {
        let broker = EmbeddedBroker::start(1, "ticks").unwrap();
        let mut producer = Producer::new(&broker.settings("ticks")).unwrap();
        let payload = vec![b'x'; 2_000_000];
        let record = ProducerRecord { key: None, payload: &payload, timestamp: None };
        let error = producer.send(record, &CancellationToken::new()).unwrap_err().to_string();
        assert!(error.contains("message 1 (2000000 bytes)") && error.contains("message.max.bytes"), "{error}");
    }
}

//! An idempotent producer that counts what the brokers acknowledged.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use super::client::KafkaSettings;

/// A full queue is tried again this soon; deliveries are served by the producer's own thread meanwhile.
const QUEUE_WAIT: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProduceError {
    #[error("configure the Kafka producer: {0}")]
    Configuration(String),
    #[error("send to topic '{topic}': {problem}")]
    Send { topic: String, problem: String },
    #[error("flush: {unsent} messages were not acknowledged: {problem}")]
    Flush { unsent: u64, problem: String },
}

#[derive(Default)]
struct Deliveries {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    problem: Mutex<Option<String>>,
}

impl Deliveries {
    fn note(&self, problem: String) {
        self.problem.lock().expect("nobody panics with the lock").get_or_insert(problem);
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::trace!(target: "librdkafka", ?level, facility, "{text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "producer");
        self.note(reason.to_owned());
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                self.note(error.to_string());
            }
        }
    }
}

pub struct Producer {
    inner: ThreadedProducer<Deliveries>,
    topic: String,
    sent: u64,
}

impl Producer {
    /// # Errors
    /// librdkafka refuses the configuration.
    pub fn new(settings: &KafkaSettings) -> Result<Self, ProduceError> {
        let inner = settings
            .producer_config()
            .create_with_context(Deliveries::default())
            .map_err(|error| ProduceError::Configuration(error.to_string()))?;
        Ok(Self { inner, topic: settings.topic.clone(), sent: 0 })
    }

    /// Hands a message over; false when the queue is full and the message has to be offered again.
    ///
    /// # Errors
    /// The message can't ever be sent.
    pub fn offer(&mut self, key: Option<&str>, payload: &[u8]) -> Result<bool, ProduceError> {
        let mut record = BaseRecord::<str, [u8]>::to(&self.topic).payload(payload);
        if let Some(key) = key {
            record = record.key(key);
        }
        match self.inner.send(record) {
            Ok(()) => {
                self.sent += 1;
                Ok(true)
            }
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                std::thread::park_timeout(QUEUE_WAIT);
                Ok(false)
            }
            Err((error, _)) => Err(ProduceError::Send { topic: self.topic.clone(), problem: error.to_string() }),
        }
    }

    pub fn sent(&self) -> u64 {
        self.sent
    }

    pub fn acknowledged(&self) -> u64 {
        self.inner.context().acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until everything is acknowledged. Blocks.
    ///
    /// # Errors
    /// Some messages are not within `patience`, or a broker refused them.
    pub fn flush(&self, patience: Duration) -> Result<(), ProduceError> {
        let flushed = self.inner.flush(patience);
        let unsent = self.sent - self.acknowledged();
        if unsent == 0 {
            return Ok(());
        }
        let noted = self.inner.context().problem.lock().expect("nobody panics with the lock").clone();
        let problem = noted.or_else(|| flushed.err().map(|error| error.to_string()));
        Err(ProduceError::Flush { unsent, problem: problem.unwrap_or_else(|| "no answer in time".to_owned()) })
    }
}

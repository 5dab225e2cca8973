//! A producer that commits its messages together with its position in their source, by a Kafka transaction.
//!
//! The position is the committed offset of a consumer group that has no members, on partition 0 of the topic: the
//! number of messages of the source that are in the topic, with a text of the caller. The group and the transactional
//! id have the same name.
//!
//! Invariant: whatever ends the process, the position counts the messages that a reader of committed messages sees, no
//! more and no less. A transaction that was open is aborted by the next start with the same id, or by the brokers after
//! `transaction.timeout.ms`.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use crate::kafka::client::KafkaSettings;
use crate::kafka::producer::{DeliveryCounts, Producer, ProducerError, ProducerRecord, SendOutcome};
use crate::kafka::refusal::{BrokerErrors, configuration_problem};

/// Every topic has this partition.
const POSITION_PARTITION: i32 = 0;
/// A call to a coordinator returns after this time, so that a stop is noticed, and is called again.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two calls of which the first failed at once.
const PAUSE: Duration = Duration::from_millis(100);
/// A little longer than a message may be on its way, so that its error is reported.
const LONGEST_OPERATION: Duration = Duration::from_secs(70);

/// Nothing depends on it but how long readers wait.
const LONGEST_ABORT: Duration = Duration::from_secs(5);

/// How many messages of a source are in the topic, and what the caller noted about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedPosition {
    pub messages: u64,
    /// Brokers keep 4,096 bytes by default.
    pub metadata: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    #[error(transparent)]
    Producer(#[from] ProducerError),
    #[error("write as transactional id '{id}': another producer with this id has taken over")]
    Fenced { id: String },
    #[error(
        "{action} as '{id}': access is denied; allow Describe and Write on this transactional id, and Read on the \
         consumer group of this name"
    )]
    Denied { action: &'static str, id: String },
    #[error("{action} as '{id}': {problem}")]
    Failed { action: &'static str, id: String, problem: String },
    /// The brokers may have committed.
    #[error("commit the transaction as '{id}': {problem}; whether the brokers committed is not known")]
    Unknown { id: String, problem: String },
}

/// Writes to one topic. Blocks.
pub struct TransactionalProducer {
    producer: Producer,
    group: ConsumerGroupMetadata,
    id: String,
    topic: String,
    is_open: bool,
    deadline: CallDeadline,
}

/// Bounds an operation that the brokers don't answer.
struct CallDeadline {
    stop: CancellationToken,
    /// How long operations may take after a stop, all together.
    after_stop: Duration,
    stopped: Option<Instant>,
}

impl CallDeadline {
    fn is_over(&mut self, begun: Instant) -> bool {
        let left = || begun.elapsed() >= LONGEST_OPERATION;
        if !self.stop.is_cancelled() {
            return left();
        }
        self.stopped.get_or_insert_with(Instant::now).elapsed() >= self.after_stop || left()
    }
}

impl TransactionalProducer {
    /// Takes over from an earlier producer with the same id, whose open transaction is aborted, and reads its position;
    /// `None` is the first time, or too long ago for the brokers (`offsets.retention.minutes`).
    ///
    /// # Errors
    /// librdkafka refuses the configuration, or the brokers don't answer or refuse.
    pub fn start(
        settings: &KafkaSettings,
        id: &str,
        stop: CancellationToken,
        after_stop: Duration,
    ) -> Result<(Self, Option<CommittedPosition>), TransactionError> {
        let mut config = settings.producer_config();
        config.set("transactional.id", id);
        let producer = Producer::with_config(config, &settings.topic, None)?;
        let mut deadline = CallDeadline { stop, after_stop, stopped: None };
        repeat(&producer, &mut deadline, |timeout| producer.client().init_transactions(timeout))
            .map_err(|error| failure("begin transactions", id, &producer, &error))?;
        let (group, position) = read_position(settings, id, &producer, &mut deadline)?;
        let (id, topic) = (id.to_owned(), settings.topic.clone());
        Ok((Self { producer, group, id, topic, is_open: false, deadline }, position))
    }

    /// Queues a message in the open transaction, or in a new one; blocks while the queue is full.
    ///
    /// # Errors
    /// The message can't be queued, or the transaction has failed.
    pub fn send(&mut self, record: ProducerRecord<'_>) -> Result<SendOutcome, TransactionError> {
        if !self.is_open {
            let begun = self.producer.client().begin_transaction();
            begun.map_err(|error| failure("begin a transaction", &self.id, &self.producer, &error))?;
            self.is_open = true;
        }
        let queued = self.producer.send(record, &self.deadline.stop);
        queued.map_err(|error| self.producer_failure(error))
    }

    /// Messages are queued that no commit has made visible.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Polls the delivery reports; must be called while there is nothing to send.
    ///
    /// # Errors
    /// A message could not be delivered.
    pub fn serve(&mut self) -> Result<(), TransactionError> {
        let served = self.producer.serve();
        served.map_err(|error| self.producer_failure(error))
    }

    pub fn delivered(&self) -> DeliveryCounts {
        self.producer.delivered()
    }

    /// Ends the open transaction: its messages and the position become visible, both or neither.
    ///
    /// # Errors
    /// Neither is visible, except after [`TransactionError::Unknown`]. Nothing can be sent from then on.
    pub fn commit_with_position(&mut self, position: &CommittedPosition) -> Result<(), TransactionError> {
        let begun = Instant::now();
        while !self.producer.flush(PAUSE) {
            if self.deadline.is_over(begun) {
                let problem = "messages were not acknowledged in time".to_owned();
                return Err(TransactionError::Failed { action: "commit messages", id: self.id.clone(), problem });
            }
        }
        self.serve()?;
        let (producer, group) = (&self.producer, &self.group);
        let offsets = offsets_of(&self.topic, position);
        let with_position = offsets.and_then(|offsets| {
            repeat(producer, &mut self.deadline, |timeout| {
                producer.client().send_offsets_to_transaction(&offsets, group, timeout)
            })
        });
        with_position.map_err(|error| failure("commit the position", &self.id, producer, &error))?;
        let committed = repeat(producer, &mut self.deadline, |timeout| producer.client().commit_transaction(timeout));
        let Err(error) = committed else {
            self.is_open = false;
            return Ok(());
        };
        let is_undone = matches!(&error, KafkaError::Transaction(cause) if cause.txn_requires_abort());
        match failure("commit the transaction", &self.id, producer, &error) {
            TransactionError::Failed { id, problem, .. } if !is_undone => {
                Err(TransactionError::Unknown { id, problem })
            }
            other => Err(other),
        }
    }

    /// Aborts the open transaction after an error: readers then don't have to wait for its timeout. Without their
    /// answer the next start with the same id does it. Nothing can be sent from then on: messages that were given up
    /// count as failed.
    pub fn abort(&mut self) {
        if !self.is_open || self.producer.client().client().fatal_error().is_some() {
            return;
        }
        let begun = Instant::now();
        // Between the calls the delivery reports of the messages that are given up are served: the abort waits for
        // them.
        loop {
            let Err(error) = self.producer.client().abort_transaction(PAUSE) else {
                self.is_open = false;
                return;
            };
            let may_pass = matches!(&error, KafkaError::Transaction(cause) if cause.is_retriable());
            if !may_pass || begun.elapsed() >= LONGEST_ABORT {
                tracing::debug!(id = self.id, %error, "the transaction is left to its timeout");
                return;
            }
            self.producer.client().poll(PAUSE);
        }
    }

    /// Which of several errors was the cause: after one that is fatal, the producer only says that it has failed.
    fn producer_failure(&self, error: ProducerError) -> TransactionError {
        match self.producer.client().client().fatal_error() {
            Some((code, problem)) => of_code("send messages", &self.id, code, problem),
            None => error.into(),
        }
    }
}

/// Calls until it succeeds, fails for good, or the deadline is over.
fn repeat(
    producer: &Producer,
    deadline: &mut CallDeadline,
    call: impl Fn(Duration) -> KafkaResult<()>,
) -> KafkaResult<()> {
    let begun = Instant::now();
    loop {
        let Err(error) = call(CALL_TIMEOUT) else { return Ok(()) };
        let may_pass = match &error {
            KafkaError::Transaction(cause) => cause.is_retriable(),
            KafkaError::Flush(code) => *code == RDKafkaErrorCode::OperationTimedOut,
            _ => false,
        };
        if !may_pass || deadline.is_over(begun) {
            return Err(error);
        }
        producer.client().poll(PAUSE);
    }
}

fn failure(action: &'static str, id: &str, producer: &Producer, error: &KafkaError) -> TransactionError {
    let (code, problem) = match (producer.client().client().fatal_error(), error) {
        (Some(fatal), _) => fatal,
        (None, KafkaError::Transaction(cause)) if cause.is_retriable() => {
            // What came of the call is not known; why brokers don't answer is reported elsewhere.
            (cause.code(), producer.reported_reason().unwrap_or_else(|| cause.string()))
        }
        (None, KafkaError::Transaction(cause)) => (cause.code(), cause.string()),
        (None, other) => (other.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown), other.to_string()),
    };
    of_code(action, id, code, problem)
}

fn of_code(action: &'static str, id: &str, code: RDKafkaErrorCode, problem: String) -> TransactionError {
    use RDKafkaErrorCode::{
        Fenced, GroupAuthorizationFailed, InvalidProducerEpoch, ProducerFenced, TransactionalIdAuthorizationFailed,
    };
    let id = id.to_owned();
    match code {
        Fenced | ProducerFenced | InvalidProducerEpoch => TransactionError::Fenced { id },
        GroupAuthorizationFailed | TransactionalIdAuthorizationFailed => TransactionError::Denied { action, id },
        _ => TransactionError::Failed { action, id, problem },
    }
}

fn offsets_of(topic: &str, position: &CommittedPosition) -> KafkaResult<TopicPartitionList> {
    let messages = i64::try_from(position.messages).expect("nobody sends 2^63 messages");
    let mut offsets = TopicPartitionList::new();
    let mut partition = offsets.add_partition(topic, POSITION_PARTITION);
    partition.set_offset(Offset::Offset(messages))?;
    partition.set_metadata(&position.metadata);
    Ok(offsets)
}

fn read_position(
    settings: &KafkaSettings,
    id: &str,
    producer: &Producer,
    deadline: &mut CallDeadline,
) -> Result<(ConsumerGroupMetadata, Option<CommittedPosition>), TransactionError> {
    const ACTION: &str = "read the position";
    let mut config = settings.client_config();
    config.set("group.id", id).set("enable.auto.commit", "false");
    // It asks for the offset and never joins the group.
    let consumer: BaseConsumer<BrokerErrors> = config
        .create_with_context(BrokerErrors::new(&config))
        .map_err(|error| ProducerError::Configuration(configuration_problem(&error)))?;
    let begun = Instant::now();
    let committed = loop {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(&settings.topic, POSITION_PARTITION);
        let error = match consumer.committed_offsets(wanted, CALL_TIMEOUT) {
            Ok(committed) => break committed,
            Err(error) => error,
        };
        let may_pass = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::OperationTimedOut
                    | RDKafkaErrorCode::RequestTimedOut
                    | RDKafkaErrorCode::WaitingForCoordinator
                    | RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::CoordinatorLoadInProgress
                    | RDKafkaErrorCode::CoordinatorNotAvailable
                    | RDKafkaErrorCode::NotCoordinator
                    | RDKafkaErrorCode::UnstableOffsetCommit
            )
        );
        if !may_pass || deadline.is_over(begun) {
            return Err(failure(ACTION, id, producer, &error));
        }
        drop(consumer.poll(PAUSE));
    };
    let failed = |problem: String| TransactionError::Failed { action: ACTION, id: id.to_owned(), problem };
    let partition = committed.find_partition(&settings.topic, POSITION_PARTITION);
    let partition = partition.ok_or_else(|| failed("the brokers left it out".to_owned()))?;
    partition.error().map_err(|error| failure(ACTION, id, producer, &error))?;
    let position = match partition.offset() {
        Offset::Offset(offset) => Some(CommittedPosition {
            messages: u64::try_from(offset).map_err(|_| failed(format!("it is {offset}")))?,
            metadata: partition.metadata().to_owned(),
        }),
        _ => None,
    };
    let group = consumer.group_metadata().ok_or_else(|| failed("the client has no group".to_owned()))?;
    Ok((group, position))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::EmbeddedBroker;

    // The embedded broker answers transactions, but it keeps no committed offset of them and fences nobody:
    // tests/it/resume.rs tests both with a real one.

    fn start(settings: &KafkaSettings) -> TransactionalProducer {
        let started = TransactionalProducer::start(settings, "one", CancellationToken::new(), Duration::from_secs(20));
        let (producer, position) = started.unwrap();
        assert_eq!(position, None);
        producer
    }

    fn position(messages: u64) -> CommittedPosition {
        CommittedPosition { messages, metadata: "{}".to_owned() }
    }

    const RECORD: ProducerRecord<'_> = ProducerRecord { key: None, payload: b"x", timestamp: None };

    #[test]
    fn transactions_follow_each_other() {
        let broker = EmbeddedBroker::start(2, "ticks").unwrap();
        let mut producer = start(&broker.settings("ticks"));
        for round in 1..=3 {
            for _ in 0..100 {
                assert_eq!(producer.send(RECORD), Ok(SendOutcome::Queued));
            }
            assert!(producer.is_open());
            assert_eq!(producer.commit_with_position(&position(round * 100)), Ok(()));
            assert!(!producer.is_open());
        }
        let delivered = DeliveryCounts { queued: 300, acknowledged: 300, ..DeliveryCounts::default() };
        assert_eq!(producer.delivered(), delivered);
    }

    #[test]
    fn a_transaction_that_was_given_up_is_closed() {
        let broker = EmbeddedBroker::start(1, "ticks").unwrap();
        let mut producer = start(&broker.settings("ticks"));
        assert_eq!(producer.send(RECORD), Ok(SendOutcome::Queued));
        producer.abort();
        assert!(!producer.is_open());
        assert_eq!(producer.delivered().acknowledged + producer.delivered().failed, 1);
    }

    #[test]
    fn a_stop_bounds_the_wait_for_brokers_that_are_away() {
        let settings =
            KafkaSettings { brokers: "127.0.0.1:1".to_owned(), topic: "ticks".to_owned(), ..KafkaSettings::default() };
        let stop = CancellationToken::new();
        stop.cancel();
        let Err(error) = TransactionalProducer::start(&settings, "one", stop, Duration::ZERO) else {
            panic!("nobody answers there")
        };
        assert!(matches!(error, TransactionError::Failed { action: "begin transactions", .. }), "{error}");
    }
}

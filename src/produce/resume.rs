//! A replay with a name, which a later run of the same command takes up where this one ended.
//!
//! Kafka keeps how many messages of the input are in the topic, and a fingerprint of them. A run reads past these
//! messages first; if they are not the same as then, it is refused. Rows behind them may have changed: correcting a
//! wrong row is what a replay is taken up for.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::kafka::{
    CommittedPosition, DeliveryCounts, KafkaSettings, ProducerError, ProducerRecord, SendOutcome, TransactionError,
    TransactionalProducer,
};

/// A commit takes the brokers some 10 to 30 ms: with fewer messages a replay would wait most of the time, with more of
/// them a reader of committed messages would wait longer, and a run that is taken up would send more again.
const TRANSACTION_MESSAGES: u64 = 10_000;
/// A paced replay is seen by readers with this delay at most.
const TRANSACTION_TIME: Duration = Duration::from_secs(1);
/// Of the names of the input that Kafka keeps, which has room for 4,096 bytes by default.
const INPUT_CHARACTERS: usize = 500;
/// Bytes of the fingerprint: no two inputs have the same one by accident.
const FINGERPRINT_BYTES: usize = 16;

#[derive(Debug, Clone)]
pub struct ResumeSettings {
    /// Names the transactional id and the consumer group, after `tickhouse-replay-`.
    pub name: String,
    /// What the messages are made of, for errors: the names of the files.
    pub input: String,
    /// Called with the number of messages that earlier runs sent.
    pub report: fn(&str),
}

#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    #[error(
        "another run of the replay '{name}' has begun and goes on in place of this one; end one of them, or give each \
         its own name with --resume NAME (a run that stands still for a minute ends in this way, too: run it again)"
    )]
    TakenOver { name: String },
    #[error(
        "go on with the replay '{name}': the first {sent} messages of this input are not the ones that it has sent; \
         {difference}; put them back as they were, or send the whole input under another name, --resume OTHER"
    )]
    OtherMessages { name: String, sent: u64, difference: String },
    #[error(
        "go on with the replay '{name}': it has sent {sent} messages, and this input has only {found}; {difference}; \
         give the whole input again, or send this one under another name, --resume OTHER"
    )]
    ShorterInput { name: String, sent: u64, found: u64, difference: String },
    #[error(
        "go on with the replay '{name}': the consumer group '{group}' has an offset that no replay has committed; \
         take another name, --resume OTHER"
    )]
    ForeignPosition { name: String, group: String },
}

/// How far a replay with a name came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayPosition {
    /// Messages of the input that were in the topic when this run began.
    pub before: u64,
    /// Messages of the input that are in the topic.
    pub committed: u64,
    /// That many more may be there: the brokers didn't answer the last commit.
    pub uncertain: u64,
}

/// What Kafka keeps with the position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PositionMetadata {
    input: String,
    /// Of the messages up to the position.
    fingerprint: String,
}

/// The first messages of an input.
#[derive(Debug, Clone, Default)]
struct MessagePrefix {
    messages: u64,
    hash: Sha256,
}

impl MessagePrefix {
    fn add(&mut self, record: &ProducerRecord<'_>) {
        // Lengths come before what they measure: other messages can't be the same bytes. No key is not an empty key.
        let key_length = record.key.map_or(u64::MAX, |key| key.len() as u64);
        self.hash.update(key_length.to_le_bytes());
        self.hash.update(record.key.unwrap_or_default());
        self.hash.update((record.payload.len() as u64).to_le_bytes());
        self.hash.update(record.payload);
        self.hash.update(record.timestamp.unwrap_or(i64::MIN).to_le_bytes());
        self.messages += 1;
    }

    fn fingerprint(&self) -> String {
        let hash = self.hash.clone().finalize();
        hash.iter().take(FINGERPRINT_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What an earlier run has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EarlierRun {
    messages: u64,
    metadata: PositionMetadata,
}

/// The part without I/O: which messages of the input are in the topic already, and what the next commit says.
#[derive(Debug)]
struct ReplayProgress {
    name: String,
    input: String,
    earlier: Option<EarlierRun>,
    /// Read so far, whether sent by this run or before.
    read: MessagePrefix,
}

impl ReplayProgress {
    fn new(settings: &ResumeSettings, position: Option<CommittedPosition>) -> Result<Self, ResumeError> {
        let earlier = match position {
            None => None,
            Some(CommittedPosition { messages, metadata }) => {
                let metadata = serde_json::from_str(&metadata).map_err(|_| ResumeError::ForeignPosition {
                    name: settings.name.clone(),
                    group: transactional_id(&settings.name),
                })?;
                Some(EarlierRun { messages, metadata })
            }
        };
        let input = settings.input.chars().take(INPUT_CHARACTERS).collect();
        Ok(Self { name: settings.name.clone(), input, earlier, read: MessagePrefix::default() })
    }

    fn sent_before(&self) -> u64 {
        self.earlier.as_ref().map_or(0, |earlier| earlier.messages)
    }

    /// The next message of the input is in the topic already.
    fn is_behind(&self) -> bool {
        self.read.messages < self.sent_before()
    }

    /// After the last message that was sent before.
    fn check_messages(&self) -> Result<(), ResumeError> {
        match &self.earlier {
            Some(earlier) if self.read.fingerprint() != earlier.metadata.fingerprint => {
                let (name, sent, difference) = (self.name.clone(), earlier.messages, self.difference(earlier));
                Err(ResumeError::OtherMessages { name, sent, difference })
            }
            _ => Ok(()),
        }
    }

    /// The input ended before the last message that was sent before.
    fn shorter_input(&self) -> ResumeError {
        let difference = self.earlier.as_ref().map(|earlier| self.difference(earlier)).unwrap_or_default();
        let (name, sent, found) = (self.name.clone(), self.sent_before(), self.read.messages);
        ResumeError::ShorterInput { name, sent, found, difference }
    }

    fn difference(&self, earlier: &EarlierRun) -> String {
        let then = &earlier.metadata.input;
        if *then == self.input {
            format!(
                "both are of {then}, so a row was changed, added or removed there, or columns, mapping or format are \
                 others"
            )
        } else {
            format!("they were of {then}, and these are of {}", self.input)
        }
    }

    fn position(&self) -> CommittedPosition {
        let metadata = PositionMetadata { input: self.input.clone(), fingerprint: self.read.fingerprint() };
        let metadata = serde_json::to_string(&metadata).expect("texts can be written as JSON");
        CommittedPosition { messages: self.read.messages, metadata }
    }
}

fn transactional_id(name: &str) -> String {
    format!("tickhouse-replay-{name}")
}

/// Sends what earlier runs have not sent.
pub(super) struct ResumableReplay {
    producer: TransactionalProducer,
    progress: ReplayProgress,
    committed: u64,
    uncertain: u64,
    transaction_begun: Instant,
    /// The transaction can't be committed any more.
    has_failed: bool,
}

impl ResumableReplay {
    /// Ends an earlier run of this name that still goes on.
    ///
    /// # Errors
    /// The brokers don't answer or refuse.
    pub(super) fn start(
        kafka: &KafkaSettings,
        settings: &ResumeSettings,
        stop: CancellationToken,
        stop_patience: Duration,
    ) -> Result<Self, ResumeError> {
        let started = TransactionalProducer::start(kafka, &transactional_id(&settings.name), stop, stop_patience);
        let (producer, position) = started.map_err(|error| named(error, &settings.name))?;
        let progress = ReplayProgress::new(settings, position)?;
        let committed = progress.sent_before();
        (settings.report)(&match progress.earlier {
            Some(_) => {
                format!("replay '{}': {committed} messages are in the topic; going on behind them\n", settings.name)
            }
            None => format!("replay '{}': Kafka knows of no earlier run; beginning\n", settings.name),
        });
        let transaction_begun = Instant::now();
        Ok(Self { producer, progress, committed, uncertain: 0, transaction_begun, has_failed: false })
    }

    /// The next message of the input is in the topic already: [`Self::read_past`] it.
    pub(super) fn is_behind(&self) -> bool {
        self.progress.is_behind()
    }

    /// # Errors
    /// It was the last one that is in the topic, and the input is another than then.
    pub(super) fn read_past(&mut self, record: &ProducerRecord<'_>) -> Result<(), ResumeError> {
        self.progress.read.add(record);
        if self.is_behind() { Ok(()) } else { self.progress.check_messages() }
    }

    /// The error of an input that has ended while [`Self::is_behind`].
    pub(super) fn shorter_input(&self) -> ResumeError {
        self.progress.shorter_input()
    }

    pub(super) fn send(&mut self, record: ProducerRecord<'_>) -> Result<SendOutcome, ResumeError> {
        if !self.producer.is_open() {
            self.transaction_begun = Instant::now();
        }
        let sent = self.producer.send(record);
        if matches!(&sent, Err(TransactionError::Producer(ProducerError::Refused { .. }))) {
            // The message is too large, which does no harm to those before it; or the transaction has failed, and the
            // commit says why.
            self.commit()?;
        }
        let queued = self.checked(sent)?;
        if queued == SendOutcome::Queued {
            self.progress.read.add(&record);
            let messages = self.progress.read.messages - self.committed;
            if messages >= TRANSACTION_MESSAGES || self.transaction_begun.elapsed() >= TRANSACTION_TIME {
                self.commit()?;
            }
        }
        Ok(queued)
    }

    /// Call it while there is nothing to send, too: ends a transaction whose time has come.
    pub(super) fn serve(&mut self) -> Result<(), ResumeError> {
        if self.producer.is_open() && self.transaction_begun.elapsed() >= TRANSACTION_TIME {
            return self.commit();
        }
        let served = self.producer.serve();
        self.checked(served)
    }

    /// Commits what was sent, or gives it up if that can't be.
    pub(super) fn finish(&mut self) -> Result<(), ResumeError> {
        let finished = if self.producer.is_open() && !self.has_failed { self.commit() } else { Ok(()) };
        if self.has_failed {
            self.producer.abort();
        }
        finished
    }

    pub(super) fn delivered(&self) -> DeliveryCounts {
        self.producer.delivered()
    }

    pub(super) fn position(&self) -> ReplayPosition {
        ReplayPosition { before: self.progress.sent_before(), committed: self.committed, uncertain: self.uncertain }
    }

    fn commit(&mut self) -> Result<(), ResumeError> {
        let position = self.progress.position();
        let committed = self.producer.commit_with_position(&position);
        if matches!(committed, Err(TransactionError::Unknown { .. })) {
            self.uncertain = position.messages - self.committed;
        }
        self.checked(committed)?;
        self.committed = position.messages;
        tracing::debug!(replay = self.progress.name, messages = self.committed, "committed");
        Ok(())
    }

    fn checked<T>(&mut self, result: Result<T, TransactionError>) -> Result<T, ResumeError> {
        self.has_failed |= result.is_err();
        result.map_err(|error| named(error, &self.progress.name))
    }
}

fn named(error: TransactionError, name: &str) -> ResumeError {
    match error {
        TransactionError::Fenced { .. } => ResumeError::TakenOver { name: name.to_owned() },
        other => other.into(),
    }
}

#[cfg(test)]
mod tests;

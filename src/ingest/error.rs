//! Errors that end an ingest.

use parquet::errors::ParquetError;

use crate::ingest::event_loop::dead_letter_share::TooManyDeadLetters;
use crate::ingest::event_loop::policy::{DataLoss, StartOffsetError};
use crate::ingest::event_loop::unreached::GoalUnreached;
use crate::kafka::{ConsumerGone, TopicError};
use crate::lake::LakeError;

#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Nothing is written until an operator decides.
    #[error("data loss: {0}")]
    DataLoss(DataLoss),
    /// The batch is not written until an operator decides.
    #[error("{0}")]
    TooManyDeadLetters(Box<TooManyDeadLetters>),
    #[error("start: {0}")]
    Start(String),
    #[error("{0}")]
    Settings(String),
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error(transparent)]
    Lake(LakeError),
    #[error("read Kafka: {0}")]
    Kafka(String),
    #[error("encode Parquet")]
    Encode(#[from] ParquetError),
    /// A defect of tickhouse; the chunk is not written.
    #[error("partition {partition}: read {found} where {expected} comes next; start again, and report it")]
    OffsetGap { partition: i32, expected: i64, found: i64 },
    #[error(
        "partition {partition}: the dead letters in the table disagree with the decoder at offset {offset}: an earlier \
         version or another input wrote them; run that one until it has committed, or remove the lake's dead letters \
         of [{from}, {to})"
    )]
    VerdictMismatch { partition: i32, offset: i64, from: i64, to: i64 },
    #[error("read dead letters {path}: {detail}")]
    DeadLetterFile { path: String, detail: String },
    #[error("stopped before the last batch was committed; nothing is lost: the next start reads it again")]
    StopTimeout,
    #[error("read Kafka: {0}")]
    Consumer(#[from] ConsumerGone),
    #[error("{0}")]
    Unreached(GoalUnreached),
    #[error("start the threads of maintenance: {0}")]
    MaintenanceThreads(std::io::Error),
    #[error("run flush task")]
    Task(#[from] tokio::task::JoinError),
}

impl From<DataLoss> for IngestError {
    fn from(loss: DataLoss) -> Self {
        Self::DataLoss(loss)
    }
}

impl From<Box<TooManyDeadLetters>> for IngestError {
    fn from(stop: Box<TooManyDeadLetters>) -> Self {
        Self::TooManyDeadLetters(stop)
    }
}

impl From<LakeError> for IngestError {
    fn from(error: LakeError) -> Self {
        match error {
            LakeError::TopicMismatch(other) => DataLoss::from(other).into(),
            error => Self::Lake(error),
        }
    }
}

impl From<StartOffsetError> for IngestError {
    fn from(error: StartOffsetError) -> Self {
        match error {
            StartOffsetError::DataLoss(loss) => Self::DataLoss(loss),
            other => Self::Start(other.to_string()),
        }
    }
}

//! Why an ingest ended without being asked to.

use parquet::errors::ParquetError;

use crate::ingest::event_loop::dead_share::MostlyDead;
use crate::ingest::event_loop::policy::{BeginError, DataLoss};
use crate::ingest::event_loop::unreached::Unreached;
use crate::kafka::{ConsumerGone, TopicError};
use crate::lake::LakeError;

#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Nothing is written until an operator decides.
    #[error("data loss: {0}")]
    DataLoss(DataLoss),
    /// Nothing of the batch is written until an operator decides.
    #[error("{0}")]
    MostlyDead(Box<MostlyDead>),
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
    /// A defect of ours; nothing of it is written.
    #[error("partition {partition}: read {found} where {expected} comes next; start again, and report it")]
    Gap { partition: i32, expected: i64, found: i64 },
    #[error(
        "partition {partition}: the dead letters in the table disagree with the decoder at offset {offset}: an earlier \
         version or another input wrote them; run that one until it has committed, or remove the lake's dead letters of \
         [{from}, {to})"
    )]
    Disagreement { partition: i32, offset: i64, from: i64, to: i64 },
    #[error("read dead letters {path}: {detail}")]
    Letters { path: String, detail: String },
    #[error("stopped before the last batch was committed; nothing is lost: the next start reads it again")]
    StopTimeout,
    #[error("read Kafka: {0}")]
    Consumer(#[from] ConsumerGone),
    #[error("{0}")]
    Unreached(Unreached),
    #[error("start the threads of maintenance: {0}")]
    Threads(std::io::Error),
    #[error("run flush task")]
    Task(#[from] tokio::task::JoinError),
}

impl From<DataLoss> for IngestError {
    fn from(loss: DataLoss) -> Self {
        Self::DataLoss(loss)
    }
}

impl From<Box<MostlyDead>> for IngestError {
    fn from(stop: Box<MostlyDead>) -> Self {
        Self::MostlyDead(stop)
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

impl From<BeginError> for IngestError {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::DataLoss(loss) => Self::DataLoss(loss),
            other => Self::Start(other.to_string()),
        }
    }
}

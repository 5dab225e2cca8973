//! Errors that end the live task or keep it from starting.

use crate::kafka::TopicError;
use crate::lake::LakeError;
use crate::live::rules::RuleError;
use crate::market::TopicMismatch;
use crate::query::QueryError;
use crate::tail::{FollowError, MappingError};

#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    #[error("configuration: {0}")]
    Settings(String),
    #[error(transparent)]
    Rule(#[from] RuleError),
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("the topic is not the one of the table: {0}")]
    TopicMismatch(#[from] TopicMismatch),
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Mapping(#[from] MappingError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(
        "Kafka holds partition {partition} from offset {low} on, and the table ends at {next}: events of what is \
         between can't be told; let `tickhouse ingest` take up the partition first"
    )]
    Gap { partition: i32, low: i64, next: i64 },
    #[error(
        "Kafka doesn't hold offset {asked} of partition {partition} any more (it has {low} to {high}); start again"
    )]
    Lost { partition: i32, asked: i64, low: i64, high: i64 },
    #[error(
        "the table has nothing of partition {partition} yet, and ingest doesn't begin at its first offset \
         (ingest.start): live begins once ingest has committed"
    )]
    NotYet { partition: i32 },
    #[error("follow the topic: {0}")]
    Failed(String),
    #[error("write events to topic '{topic}': {problem}")]
    EventTopic { topic: String, problem: String },
    #[error(
        "partitions {partitions:?} of the table signals were moved by somebody else: does another live run on this \
         lake?"
    )]
    Fenced { partitions: Vec<i32> },
    #[error("{0}")]
    Internal(String),
}

//! Errors of a union of a table and its topic.

use arrow::error::ArrowError;

use super::follower::FollowError;
use super::mapping::MappingError;
use crate::lake::LakeError;
use crate::market::TopicMismatch;

#[derive(Debug, thiserror::Error)]
pub enum UnionError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Mapping(#[from] MappingError),
    #[error("read the table with what Kafka holds beyond it: {0}")]
    TopicMismatch(#[from] TopicMismatch),
    #[error("read the table with what Kafka holds beyond it: the table doesn't say which topic lands in it")]
    NoTopic,
    #[error("build rows of what Kafka holds: {0}")]
    Rows(#[from] ArrowError),
    #[error(
        "Kafka holds more beyond the table than {limit_bytes} bytes: some {lag} messages more. Let ingest catch up \
         first"
    )]
    Full { limit_bytes: usize, lag: i64 },
    #[error("{0}")]
    Stale(String),
    #[error("the task that follows the table has ended")]
    Ended,
}

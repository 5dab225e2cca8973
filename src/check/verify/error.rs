//! Errors that prevent a check of the lake.

use crate::kafka::TopicError;
use crate::lake::LakeError;
use crate::market::TopicMismatch;

/// Why a lake can't be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("read the tables: {0}")]
    Reader(String),
    #[error("read the table property tickhouse.input: {0}; was the table made by a newer tickhouse?")]
    Mapping(String),
    #[error("{0}")]
    Usage(String),
    #[error("compare with Kafka: {0}")]
    Topic(#[from] TopicError),
    #[error("compare with Kafka: {0}")]
    TopicMismatch(#[from] TopicMismatch),
}

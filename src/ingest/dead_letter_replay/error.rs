//! Why dead letters can't be replayed.

use parquet::errors::ParquetError;

use crate::decode::InputError;
use crate::lake::{FileError, LakeError};
use crate::tail::MappingError;

#[derive(Debug, thiserror::Error)]
pub enum DeadLetterReplayError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error(transparent)]
    Mapping(#[from] MappingError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(
        "the mapping has the column '{column}', which ticks doesn't have, or has with another type: run `tickhouse \
         ingest` with that mapping first, it adds new columns"
    )]
    Column { column: String },
    #[error("ticks is partitioned by '{column}', which tickhouse doesn't know")]
    Partition { column: String },
    #[error("read {file}: {detail}; see `tickhouse verify`")]
    File { file: String, detail: String },
    #[error(
        "the payload of the dead letter at partition {partition}, offset {offset} doesn't match its payload_sha256: \
         see `tickhouse verify`, and exclude it with --offsets"
    )]
    Payload { partition: i32, offset: i64 },
    #[error("encode Parquet")]
    Encode(#[from] ParquetError),
    #[error("run encoder task")]
    Task(#[from] tokio::task::JoinError),
}

impl DeadLetterReplayError {
    /// Converts an error of reading a table's file.
    pub(super) fn of_file(file: &str, error: FileError) -> Self {
        let detail = match error {
            FileError::Store(error) => return error.into(),
            FileError::Missing => "the Delta log lists it, but the store doesn't have it".to_owned(),
            FileError::Damaged(detail) => detail,
        };
        Self::File { file: file.to_owned(), detail }
    }
}

//! The ingest loop: batches that own their offset ranges, Parquet encoding, exactly-once commits.

mod batch;

pub use batch::{Chunk, DeadLetter};

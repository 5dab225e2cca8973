//! The ingest loop: batches that own their offset ranges, Parquet encoding, exactly-once commits.

mod assemble;
mod batch;
mod encode;
mod stats;

pub use assemble::{Assembler, Delivery};
pub use batch::{Batch, Chunk, DeadLetter};
pub use encode::{EncodedFile, TickEncoder};

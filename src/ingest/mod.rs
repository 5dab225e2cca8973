//! The ingest loop: batches that own their offset ranges, Parquet encoding, exactly-once commits.
//!
//! ```text
//!  kafka::GroupConsumer ──DecodedChunks──> Pipeline (owns partitions, batch, lake) ──FlushRequest──> flush
//!        ▲ Start, Release, Commit ──────────────┘       ▲──────── FlushReport + lake ─────────────────┘
//! ```

mod batching;
mod daemon;
pub mod dead_letter_replay;
mod error;
mod event_loop;
mod flushing;
mod maintenance;
mod settings;
#[cfg(test)]
mod tests;

pub use batching::batch::{IngestBatch, IngestChunk};
pub use daemon::{IngestDaemon, IngestSpec};
pub use error::IngestError;
pub use event_loop::dead_letter_share::{DeadLetterShare, TooManyDeadLetters};
pub use event_loop::histogram::Histogram;
pub use event_loop::policy::DataLoss;
pub use event_loop::status::{
    CountAndBytes, IngestHistograms, IngestPhase, IngestStatus, LastCommit, MaintenanceOutcome, MaintenanceStatus,
    MaintenanceWork, PartitionStatus,
};
pub use event_loop::unreached::{GoalUnreached, PartitionBehind, UnreachedReason};
pub use flushing::encode::TickEncoder;
pub use settings::{DataLossPolicy, IngestSettings, MaintainMode, StartPolicy};

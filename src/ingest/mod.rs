//! The ingest loop: batches that own their offset ranges, Parquet encoding, exactly-once commits.
//!
//! ```text
//!  kafka::Consumer ──Vec<Delivery>──> Pipeline (owns partitions, batch, lake) ──Flush──> flush: encode, put, commit
//!        ▲ Start, Release, Commit ────────┘       ▲──────────Flushed + lake────────────────┘
//! ```

mod batching;
mod daemon;
mod error;
mod event_loop;
mod flushing;
mod maintenance;
pub mod redrive;
mod settings;
#[cfg(test)]
mod tests;

pub use batching::batch::{Batch, Chunk};
pub use daemon::{Daemon, IngestSpec};
pub use error::IngestError;
pub use event_loop::dead_share::{MostlyDead, Share};
pub use event_loop::histogram::Histogram;
pub use event_loop::policy::DataLoss;
pub use event_loop::status::{
    LastCommit, MaintenanceStatus, Measures, PartitionStatus, Phase, Ran, Status, Volume, Work,
};
pub use event_loop::unreached::{Behind, Hindrance, Unreached};
pub use flushing::encode::TickEncoder;
pub use settings::{DataLossPolicy, IngestSettings, Maintain, StartPolicy};

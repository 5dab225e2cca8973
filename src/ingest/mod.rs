//! The ingest loop: batches that own their offset ranges, Parquet encoding, exactly-once commits.
//!
//! ```text
//!  kafka::Consumer ──Vec<Delivery>──> Pipeline (owns partitions, batch, lake) ──Flush──> flush: encode, put, commit
//!        ▲ Start, Release, Commit ────────┘       ▲──────────Flushed + lake────────────────┘
//! ```

mod assemble;
mod assignment;
mod batch;
mod beginning;
mod beside;
mod brokers;
mod buried;
mod daemon;
mod dead_share;
mod encode;
mod error;
mod flush;
mod goal;
#[cfg(test)]
mod goal_tests;
mod goal_turns;
mod histogram;
mod letters;
mod optional_watch;
mod partitions;
mod pipeline;
mod policy;
pub mod redrive;
mod report;
mod settings;
mod spare;
mod stats;
mod status;
#[cfg(test)]
mod tests;
mod upkeep;

pub use batch::{Batch, Chunk};
pub use daemon::{Daemon, IngestSpec};
pub use dead_share::{MostlyDead, Share};
pub use encode::TickEncoder;
pub use error::IngestError;
pub use goal::{Behind, Hindrance, Unreached};
pub use histogram::Histogram;
pub use policy::DataLoss;
pub use settings::{DataLossPolicy, IngestSettings, Maintain, StartPolicy};
pub use status::{LastCommit, MaintenanceStatus, Measures, PartitionStatus, Phase, Ran, Status, Volume, Work};

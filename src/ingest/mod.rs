//! The ingest loop: batches that own their offset ranges, Parquet encoding, exactly-once commits.
//!
//! ```text
//!  kafka::Consumer ──Vec<Delivery>──> Pipeline (owns partitions, batch, lake) ──Flush──> flush: encode, put, commit
//!        ▲ Start, Release, Commit ────────┘       ▲──────────Flushed + lake────────────────┘
//! ```

mod assemble;
mod assignment;
mod batch;
mod buried;
mod daemon;
mod encode;
mod error;
mod flush;
mod letters;
mod partitions;
mod pipeline;
mod policy;
mod settings;
mod spare;
mod stats;
mod status;

pub use assemble::{Assembler, Delivery};
pub use batch::{Batch, Chunk, DeadLetter};
pub use daemon::{Daemon, IngestSpec};
pub use encode::{EncodedFile, TickEncoder};
pub use error::IngestError;
pub use pipeline::{Pipeline, PipelineOptions};
pub use policy::{Begin, BeginError, DataLoss, FlushPolicy};
pub use settings::{DataLossPolicy, IngestSettings, Maintain, StartPolicy};
pub use spare::{ColumnsReturn, SpareColumns, spare_columns};
pub use status::Status;

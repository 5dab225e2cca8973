//! `ticks` as the union: the files of a version of the table, and the rows of Kafka that this version doesn't have.
//!
//! ```text
//!  UnionView ──> UnionTable ──> UnionExec: DataSourceExec (files), TailExec (rows in memory)
//!                                   │ below windows per symbol
//!                                   ▼
//!                 TailMergeExec: files in order, the tail's rows put in between symbol by symbol
//! ```
//!
//! Invariant: a plan over the union gives what the same plan gives when all rows are in files.

mod exec;
mod sessions;
mod table;

pub(in crate::query) use exec::{TailExec, TailRows};
pub use sessions::UnionSessions;
pub(in crate::query) use table::UnionTable;

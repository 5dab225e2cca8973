//! Keeps tables fast and small: merges small files into large sorted ones, and deletes files that no version needs.
//!
//! ```text
//!  lake::LakeMaintenance: snapshot ──> plan (pure) ──> jobs of one date each
//!                                                   │ rewrite: files ──merge──> new files, not referenced yet
//!                                                   ▼
//!                              lake::replace: one commit, rows removed == rows added, under its own transaction
//! ```
//!
//! Invariants:
//! - Compaction adds, changes and loses no row: a killed job leaves only files that nothing references. Only
//!   [`Retention`] removes rows, in complete dates, and the counters record how many.
//! - Whether a commit goes in is decided by the log alone. The lease only saves duplicate work; correctness depends
//!   neither on it nor on a clock.
//! - Nothing is deleted here unless it was asked for.

mod compact;
pub(in crate::lake) mod lake_maintenance;
pub(in crate::lake) mod lease;
pub(in crate::lake) mod maintain_log;
mod memory;
mod merge;
mod plan;
pub(in crate::lake) mod prune;
mod retention;
mod rewrite;
mod rezone;
mod statistics;
pub(in crate::lake) mod vacuum;

pub use compact::{Compaction, CompactionStats, StopReason};
pub use merge::MergeError;
pub use plan::{CompactionJob, CompactionLimits};
pub use retention::{Retention, RetentionStats};
pub use rewrite::RewriteError;
pub use rezone::{Rezone, RezoneOutcome, RezoneStats};

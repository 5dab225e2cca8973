//! What keeps a table fast and small for months: small files become large sorted ones, and what no version needs goes.
//!
//! ```text
//!  lake::Maintenance: snapshot ──> plan (pure) ──> jobs of one date each
//!                                                   │ rewrite: files ──merge──> new files, named by nothing yet
//!                                                   ▼
//!                              lake::replace: one commit, rows removed == rows added, under its own transaction
//! ```
//!
//! Invariants:
//! - Compaction adds, changes and loses no row: a killed job leaves files that nothing names, and nothing else. Rows
//!   leave with whole dates by [`Retention`] alone, and the counters say how many.
//! - Whether a commit goes in is decided by the log alone. The lease spares two maintainers the same work; neither it nor
//!   a clock keeps the table right.
//! - Nothing is deleted here unless it was asked for.

mod compact;
pub(in crate::lake) mod keep_log;
pub(in crate::lake) mod lease;
mod memory;
mod merge;
pub(in crate::lake) mod merged;
mod plan;
pub(in crate::lake) mod prune;
mod retention;
mod rewrite;
mod rezone;
mod statistics;
pub(in crate::lake) mod vacuum;

pub use compact::{Compacted, Compaction, Stopped};
pub use merge::MergeError;
pub use plan::{Job, Limits};
pub use retention::{Dropped, Retention};
pub use rewrite::RewriteError;
pub use rezone::{Rezone, RezoneOutcome, Rezoned};

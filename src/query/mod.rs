//! The only module that runs SQL: the tables of a lake, the named queries of `sql/`, output formats.
//!
//! ```text
//!  text | name ──> Parsed: parameters bound, ticks restricted (scope) ──> QuerySession: plan, read-only
//!                                                                              │ stream of batches
//!  TableView ──> LakeTable: files pruned, predicates pushed down ─────────────>┤
//!                                                                              ▼
//!                                              write_all: table, csv, json, .. with bounded memory
//! ```

mod ask;
mod catalog;
mod choice;
mod condition;
mod corrections;
mod depth;
mod describe;
mod diagnose;
mod dialect;
mod dropped;
mod error;
mod expand;
mod format;
mod header;
mod indicators;
mod last;
mod literal;
mod look_back;
mod moment;
mod named_windows;
mod names;
mod params;
mod place;
mod progress;
mod provider;
mod pruning;
mod qualify;
mod reads;
mod register;
mod rolling;
mod scope;
mod session;
mod shown;
mod since;
mod spill;
mod statement;
#[cfg(test)]
pub(crate) mod tests;
mod union;
mod unknown;
mod unsupported;
mod warm_up;

pub use ask::Ask;
pub use catalog::{Catalog, NamedQuery};
pub use condition::{Condition, Conditions};
pub use diagnose::SqlProblem;
pub use dialect::Dialect;
pub use error::QueryError;
pub use expand::NamedTables;
pub use format::{Encoded, Fit, Format, Output, write_all, write_batch, write_readable, write_stream};
pub use header::{Column, ColumnType, Header};
pub use moment::{Clock, Moment};
pub use params::Param;
pub use place::Place;
pub use progress::{InputRead, Progress};
pub use reads::{Amount, RowGroups, TableReads};
pub use scope::{Bound, Scope};
pub use session::{Batches, DEAD_LETTERS, DEFAULT_MEMORY_BYTES, Planned, QuerySession, TICKS, TableInfo, sql_type};
pub use statement::Parsed;
pub use union::Sessions;
pub use warm_up::{RowsBefore, Until, WarmUp};

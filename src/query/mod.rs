//! The only module that runs SQL: the tables of a lake, the named queries of `sql/`, output formats.
//!
//! ```text
//!  text | name ──> Parsed: parameters bound, ticks restricted (scope) ──> QuerySession: plan, read-only
//!                                                                              │ stream of batches
//!  TableView ──> LakeTable: files pruned, predicates pushed down ─────────────>┤
//!                                                                              ▼
//!                                              write_all: table, csv, json, .. with bounded memory
//! ```

mod catalog;
mod corrections;
mod error;
mod format;
mod operators;
mod session;
mod sql;
#[cfg(test)]
pub(crate) mod tests;

pub use catalog::ask::Ask;
pub use catalog::embedded::{Catalog, NamedQuery};
pub use catalog::expand::NamedTables;
pub use catalog::header::{Column, ColumnType, Header};
pub use catalog::warm_up::{RowsBefore, Until, WarmUp};
pub use error::QueryError;
pub use format::{Encoded, Fit, Format, Output, write_all, write_batch, write_readable, write_stream};
pub use session::condition::{Condition, Conditions};
pub use session::progress::{InputRead, Progress};
pub use session::query_session::{Batches, DEFAULT_MEMORY_BYTES, Planned, QuerySession};
pub use session::reads::{Amount, RowGroups, TableReads};
pub use session::tables::{DEAD_LETTERS, TICKS, TableInfo, sql_type};
pub use session::union::Sessions;
pub use sql::dialect::Dialect;
pub use sql::moment::{Clock, Moment};
pub use sql::params::Param;
pub use sql::place::Place;
pub use sql::problem::SqlProblem;
pub use sql::scope::{Bound, Scope};
pub use sql::statement::Parsed;

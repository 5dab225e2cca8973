//! The only module that runs SQL: the tables of a lake, the named queries of `sql/`, output formats.
//!
//! ```text
//!  text | name ──> Parsed: parameters bound, ticks restricted (scope) ──> QuerySession: plan, read-only
//!                                                                              │ stream of batches
//!  TableView ──> LakeTable: files pruned, predicates pushed down ─────────────>┤
//!                                                                              ▼
//!                                              write_all: table, csv, json, .. with bounded memory
//! ```

mod corrections;
mod error;
mod format;
mod named;
mod operators;
mod session;
mod sql;
#[cfg(test)]
pub(crate) mod tests;

pub use error::QueryError;
pub use format::{
    EncodedResult, OutputFormat, ResultOutput, TableFit, write_all, write_batch, write_readable, write_stream,
};
pub use named::embedded::{NamedQueries, NamedQuery};
pub use named::expand::NamedTables;
pub use named::header::{ColumnType, OutputColumn, QueryHeader};
pub use named::request::QueryRequest;
pub use named::warm_up::{RowsBefore, UntilCondition, WarmUp};
pub use session::condition::{Condition, ConditionPlanner};
pub use session::progress::{InputRead, QueryProgress};
pub use session::query_session::{DEFAULT_MEMORY_BYTES, PlannedQuery, QuerySession, ResultBatches};
pub use session::reads::{ReadAmount, RowGroups, TableReads};
pub use session::tables::{DEAD_LETTERS, TICKS, TableInfo, sql_type};
pub use session::union::UnionSessions;
pub use sql::dialect::Dialect;
pub use sql::params::QueryParam;
pub use sql::problems::problem::SqlProblem;
pub use sql::problems::source_location::SourceLocation;
pub use sql::scope::{TickScope, TimeBound};
pub use sql::split::{is_blank_sql, statement_end};
pub use sql::statement::ParsedStatement;
pub use sql::time_text::{QueryClock, TimeExpression};

//! Statements that register a lake with other engines: its tables, and the named queries as views, in the dialect of
//! each engine.
//!
//! ```text
//!  Location, --location ──> Root: where the engine sees the tables ─┐
//!                                                                   ├──> statements of one engine
//!  named queries of sql/ ──> Views: those that the engine can run ──┘
//! ```
//!
//! Statements are plain text without a semicolon at the end. They are idempotent: running them again changes nothing.

mod athena;
mod clickhouse;
mod duckdb;
pub mod glue;
mod quote;
mod root;
mod spark;
#[cfg(test)]
mod tests;
mod trino;
mod views;

pub use athena::statements as athena_statements;
pub use clickhouse::statements as clickhouse_statements;
pub use duckdb::statements as duckdb_statements;
pub use root::{LakeRoot, RootError};
pub use spark::statements as spark_statements;
pub use trino::{TableRegistration, create_schema, create_view, statements as trino_statements};
pub use views::{EngineView, EngineViews, SkippedView};

use crate::query::{DEAD_LETTERS, TICKS};

/// Names of the tables that are registered.
pub const TABLES: [&str; 2] = [TICKS, DEAD_LETTERS];

/// Joins the statements into one script for the engine's own shell.
pub fn script(statements: &[String]) -> String {
    statements.iter().map(|statement| format!("{statement};\n")).collect::<Vec<_>>().join("\n")
}

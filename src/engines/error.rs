//! Errors of other engines, grouped by who has to act.

use crate::query::{QueryError, SqlProblem};

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The flags or settings are invalid.
    #[error("{0}")]
    Usage(String),
    /// Another user, password or key is needed.
    #[error("{engine} refuses the log-in ({detail}): {fix}")]
    LogIn { engine: &'static str, detail: String, fix: &'static str },
    #[error("reach {engine} at {address}: {detail}")]
    Unreachable { engine: &'static str, address: String, detail: String },
    /// The server is not the expected engine, or its response is malformed.
    #[error("{engine} answers wrongly: {detail}")]
    Protocol { engine: &'static str, detail: String },
    /// The engine rejects the statement, or fails to run it.
    #[error("{0}")]
    Refused(Box<StatementError>),
    #[error("the query was cancelled")]
    Cancelled,
}

/// An error that an engine reports for a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementError {
    pub engine: &'static str,
    /// The name of the error, such as `SYNTAX_ERROR`; empty if the engine doesn't name its errors.
    pub name: String,
    pub message: String,
    /// Line and column in `sql`, counted from 1.
    pub at: Option<(u64, u64)>,
    /// The statement that was sent.
    pub sql: String,
}

impl std::fmt::Display for StatementError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { engine, name, message, .. } = self;
        match name.as_str() {
            "" => write!(f, "{engine}: {message}"),
            name => write!(f, "{engine}: {message} ({name})"),
        }
    }
}

impl StatementError {
    /// Extracts line and column from a message such as `line 1:15: Table 'x' does not exist`.
    pub(super) fn new(engine: &'static str, name: &str, message: &str, sql: &str) -> Self {
        let location = message.strip_prefix("line ").and_then(|rest| {
            let (line, rest) = rest.split_once(':')?;
            let (column, rest) = rest.split_once(": ")?;
            Some(((line.parse().ok()?, column.parse().ok()?), rest))
        });
        let (at, message) = location.map_or((None, message), |(at, rest)| (Some(at), rest));
        Self { engine, name: name.to_owned(), message: message.to_owned(), at, sql: sql.to_owned() }
    }

    fn hint(&self) -> Option<String> {
        let missing = ["TABLE_NOT_FOUND", "SCHEMA_NOT_FOUND", "CATALOG_NOT_FOUND"].contains(&self.name.as_str())
            || self.message.contains("TABLE_NOT_FOUND");
        let flags = match self.engine {
            TRINO => {
                "--trino-catalog and --trino-schema say where the tables are; `tickhouse catalog trino` registers them"
            }
            _ => "--athena-database says where the tables are; `tickhouse catalog athena` registers them",
        };
        missing.then(|| flags.to_owned())
    }
}

pub(super) const TRINO: &str = "Trino";
#[cfg(any(feature = "aws", test))]
pub(super) const ATHENA: &str = "Athena";

impl From<EngineError> for QueryError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Cancelled => Self::Cancelled,
            EngineError::Usage(_) | EngineError::LogIn { .. } => Self::Usage(error.to_string()),
            EngineError::Refused(refusal) => {
                let hints = refusal.hint().into_iter().collect();
                Self::Sql(Box::new(SqlProblem::at(&refusal.sql, refusal.at, refusal.to_string(), hints)))
            }
            other => Self::Run(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_shows_its_location_in_the_statement() {
        let sql = "SELECT symbol,\n  clse\nFROM ticks";
        let refusal = StatementError::new(TRINO, "COLUMN_NOT_FOUND", "line 2:3: Column 'clse' cannot be resolved", sql);
        let error = QueryError::from(EngineError::Refused(Box::new(refusal)));
        let expected = "Trino: Column 'clse' cannot be resolved (COLUMN_NOT_FOUND)\n  2 |   clse\n    |   ^^^^";
        assert_eq!(error.to_string(), expected);
        let plain = StatementError::new(ATHENA, "", "Query exhausted resources", sql);
        assert_eq!((plain.at, plain.to_string().as_str()), (None, "Athena: Query exhausted resources"));
        let missing = StatementError::new(TRINO, "TABLE_NOT_FOUND", "line 3:6: Table 'ticks' does not exist", sql);
        let error = QueryError::from(EngineError::Refused(Box::new(missing))).to_string();
        assert!(error.contains("^^^^^") && error.contains("--trino-schema"), "{error}");
    }

    #[test]
    fn wrong_use_stays_wrong_use() {
        let error = EngineError::LogIn { engine: TRINO, detail: "401".to_owned(), fix: "set a password" };
        assert!(matches!(QueryError::from(error), QueryError::Usage(text) if text.contains("set a password")));
        assert!(matches!(QueryError::from(EngineError::Cancelled), QueryError::Cancelled));
    }
}

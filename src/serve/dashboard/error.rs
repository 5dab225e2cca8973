//! Errors of the server.

use std::io;
use std::net::SocketAddr;

use crate::query::QueryError;
use crate::serve::http::Problem;

#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// The settings are not allowed.
    #[error("dashboard: {0}")]
    Refused(String),
    #[error("listen on {address}: the port is taken: stop who has it, or choose another with --listen")]
    Busy { address: SocketAddr },
    #[error("listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("load the named queries")]
    Catalog(#[source] QueryError),
    #[error("a task of the dashboard ended: {0}")]
    Task(String),
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Usage(_) | QueryError::Sql(_) => Self::wrong(error.to_string()),
            QueryError::Memory(_) => Self::wrong("the query needs more memory than the dashboard gives its queries")
                .hint("choose a shorter range, longer bars or fewer symbols, or raise dashboard.memory"),
            QueryError::Run(_)
            | QueryError::Session(_)
            | QueryError::Output(_)
            | QueryError::BrokenPipe
            | QueryError::Cancelled => Self::unavailable(error.to_string()),
        }
    }
}

//! What can go wrong: with the server as a whole, and with one request.

use std::io;
use std::net::SocketAddr;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::query::QueryError;

#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// The settings ask for what is not allowed.
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

/// Why a request is not answered, in words for those who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// Seconds until who was turned away may ask again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

impl Problem {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), hint: None }
    }

    pub(super) fn wrong(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    pub(super) fn stopping() -> Self {
        Self::unavailable("the server is being stopped")
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
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

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "message": self.message, "hint": self.hint } });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

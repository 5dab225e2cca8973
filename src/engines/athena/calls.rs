//! API calls that several parts of the client make, and their errors.

use std::time::Duration;

use aws_sdk_athena::Client;
use aws_sdk_athena::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::engines::aws::is_log_in;
use crate::engines::error::{ATHENA, EngineError, StatementError};

/// Timeout for stopping a query, so that the caller isn't blocked for longer.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
const LOG_IN_FIX: &str = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the session token, and that they may use \
    Athena, Glue and the bucket of the results";

/// Stops a query that may still be running.
pub(super) async fn stop_query(client: &Client, id: &str) {
    let stopped = tokio::time::timeout(STOP_TIMEOUT, client.stop_query_execution().query_execution_id(id).send()).await;
    match stopped {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(query = id, "end the query at Athena: {}", DisplayErrorContext(&error)),
        Err(_) => tracing::warn!(query = id, "end the query at Athena: no answer within {STOP_TIMEOUT:?}"),
    }
}

pub(super) fn call_failed<E>(action: &str, error: &SdkError<E>, sql: &str) -> EngineError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let message = error.message().unwrap_or("no reason is given");
    match (error.code(), status) {
        (Some(code), _) if ["InvalidRequestException", "MetadataException"].contains(&code) => {
            let output = message.contains("output location").then_some("; set --athena-output s3://bucket/prefix");
            let message = format!("{message}{}", output.unwrap_or_default());
            EngineError::Refused(Box::new(StatementError::new(ATHENA, "", &message, sql)))
        }
        (code, status)
            if status.is_some_and(|status| status == 401 || status == 403) || code.is_some_and(is_log_in) =>
        {
            let detail = code.unwrap_or("access is denied").to_owned();
            EngineError::LogIn { engine: ATHENA, detail, fix: LOG_IN_FIX }
        }
        (Some(code), status) if is_transient(code) || status.is_some_and(|status| status >= 500) => {
            let detail = format!("{message} ({code})");
            EngineError::Unreachable { engine: ATHENA, address: action.to_owned(), detail }
        }
        (Some(code), _) => EngineError::Protocol { engine: ATHENA, detail: format!("{action}: {message} ({code})") },
        (None, _) => {
            let detail = DisplayErrorContext(error).to_string();
            EngineError::Unreachable { engine: ATHENA, address: action.to_owned(), detail }
        }
    }
}

fn is_transient(code: &str) -> bool {
    ["ThrottlingException", "TooManyRequestsException", "InternalServerException"].contains(&code)
}

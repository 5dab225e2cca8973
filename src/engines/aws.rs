//! Shared code of the AWS clients: credentials, timeouts, and which errors are authentication failures.

use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;

use super::error::EngineError;
use crate::lake::{StoreSettings, aws_access};

/// Timeout of one call including its retries, so that an unreachable service is noticed.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Resolves the credentials and the region for a service.
///
/// # Errors
/// There are no credentials, or no region is configured.
pub(crate) async fn access_of(
    service: &str,
    store: &StoreSettings,
) -> Result<(SharedCredentialsProvider, String), EngineError> {
    let access = aws_access(store).await.map_err(|error| EngineError::Usage(format!("ask {service}: {error}")))?;
    let region = access.region.ok_or_else(|| {
        EngineError::Usage(format!("{service} is asked in no region: set --s3-region (store.region) or AWS_REGION"))
    })?;
    Ok((access.credentials, region))
}

/// Whether only other credentials or another policy can fix the error.
pub(crate) fn is_log_in(code: &str) -> bool {
    ["UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "AccessDeniedException"]
        .contains(&code)
}

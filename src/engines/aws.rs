//! What the clients of AWS services share: who asks where, for how long, and what a refusal means.

use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;

use super::error::EngineError;
use crate::lake::{StoreSettings, aws_access};

/// One call with its retries, so that nothing waits for a service that is away.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Credentials and region for a service.
///
/// # Errors
/// There are no credentials, or no region is named.
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

/// Only other keys or another policy mend it.
pub(crate) fn is_log_in(code: &str) -> bool {
    ["UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "AccessDeniedException"]
        .contains(&code)
}

//! Credentials and region for AWS services other than S3, taken from the settings of the store.

use std::fmt;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use object_store::aws::{AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider};

use crate::lake::error::LakeError;
use crate::lake::store::root::{StoreSettings, s3_builder};

/// The credentials and region of an AWS SDK client.
#[derive(Debug)]
pub struct AwsAccess {
    /// Asks `object_store`'s chain again whenever the SDK needs fresh ones.
    pub credentials: SharedCredentialsProvider,
    /// `None` if it is not configured.
    pub region: Option<String>,
}

/// Resolves credentials once, so that their absence is reported first.
///
/// # Errors
/// There are none.
pub async fn aws_access(settings: &StoreSettings) -> Result<AwsAccess, LakeError> {
    const SERVICE: &str = "AWS";
    // The endpoint of the store and its TLS settings don't apply to other services.
    let settings = StoreSettings { endpoint: None, allow_http: true, ..settings.clone() };
    let builder = s3_builder("credentials-only", &settings)?;
    let region = builder.get_config_value(&AmazonS3ConfigKey::Region).filter(|region| !region.is_empty());
    let store = builder.build().map_err(|error| LakeError::store("set up credentials", SERVICE, &error))?;
    let chain = CredentialChain(std::sync::Arc::clone(store.credentials()));
    chain.0.get_credential().await.map_err(|error| LakeError::store("find credentials", SERVICE, &error))?;
    Ok(AwsAccess { credentials: SharedCredentialsProvider::new(chain), region })
}

struct CredentialChain(AwsCredentialProvider);

impl fmt::Debug for CredentialChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chain")
    }
}

impl ProvideCredentials for CredentialChain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let found = self.0.get_credential().await.map_err(CredentialsError::provider_error)?;
            let AwsCredential { key_id, secret_key, token } = found.as_ref();
            Ok(Credentials::new(key_id, secret_key, token.clone(), None, "tickhouse"))
        })
    }
}

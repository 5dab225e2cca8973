//! Credentials and region for AWS services beside S3: those that the store is reached with.

use std::fmt;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use object_store::aws::{AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider};

use crate::lake::error::LakeError;
use crate::lake::store::root::{StoreSettings, s3_builder};

/// What an AWS SDK client is made with.
#[derive(Debug)]
pub struct AwsAccess {
    /// Asks `object_store`'s chain again whenever the SDK needs fresh ones.
    pub credentials: SharedCredentialsProvider,
    /// `None`: nobody says.
    pub region: Option<String>,
}

/// Looks for credentials once, so that their absence is told before anything else.
///
/// # Errors
/// There are none.
pub async fn aws_access(settings: &StoreSettings) -> Result<AwsAccess, LakeError> {
    const PLACE: &str = "AWS";
    // The endpoint of a store, its encryption and its TLS are no concern of other services.
    let settings = StoreSettings { endpoint: None, allow_http: true, ..settings.clone() };
    let builder = s3_builder("credentials-only", &settings)?;
    let region = builder.get_config_value(&AmazonS3ConfigKey::Region).filter(|region| !region.is_empty());
    let store = builder.build().map_err(|error| LakeError::store("set up credentials", PLACE, &error))?;
    let chain = Chain(std::sync::Arc::clone(store.credentials()));
    chain.0.get_credential().await.map_err(|error| LakeError::store("find credentials", PLACE, &error))?;
    Ok(AwsAccess { credentials: SharedCredentialsProvider::new(chain), region })
}

struct Chain(AwsCredentialProvider);

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chain")
    }
}

impl ProvideCredentials for Chain {
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

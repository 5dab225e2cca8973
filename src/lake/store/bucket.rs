//! Creates buckets, which `object_store` can't do. The SDK is heavy, so it is behind the feature `aws`.

#[cfg(feature = "aws")]
pub(in crate::lake) use sdk::create;

/// # Errors
/// Always: this build can't.
#[cfg(not(feature = "aws"))]
pub(in crate::lake) async fn create(
    location: &crate::lake::Location,
    _settings: &crate::lake::StoreSettings,
) -> Result<(), crate::lake::LakeError> {
    Err(crate::lake::LakeError::NoBucketCreation { location: location.to_string() })
}

#[cfg(feature = "aws")]
mod sdk {
    use crate::lake::error::{LakeError, StoreProblem};
    use crate::lake::store::location::Location;
    use crate::lake::store::root::{StoreSettings, s3_builder};
    use aws_sdk_s3::Client;
    use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
    use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
    use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
    use object_store::aws::{AmazonS3ConfigKey, AwsCredential};

    /// Where S3 takes no location constraint.
    const DEFAULT_REGION: &str = "us-east-1";

    /// Creates the missing bucket of `location`; does nothing for a folder.
    ///
    /// # Errors
    /// The store can't be reached or refuses; the bucket belongs to somebody else.
    pub(in crate::lake) async fn create(location: &Location, settings: &StoreSettings) -> Result<(), LakeError> {
        let Location::S3 { bucket, .. } = location else { return Ok(()) };
        let failed = |action, problem| LakeError::Store { action, location: location.to_string(), problem };
        let builder = s3_builder(bucket, settings)?;
        let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
        let region = builder.get_config_value(&AmazonS3ConfigKey::Region).unwrap_or_else(|| DEFAULT_REGION.to_owned());
        let store = builder.build().map_err(|error| LakeError::store("set up the store", location, &error))?;
        // All clients use object_store's credential chain.
        let credential = store.credentials().get_credential().await;
        let credential = credential.map_err(|error| LakeError::store("find credentials", location, &error))?;
        let client = client(&credential, &region, endpoint);

        let configuration = (region != DEFAULT_REGION).then(|| {
            let constraint = BucketLocationConstraint::from(region.as_str());
            CreateBucketConfiguration::builder().location_constraint(constraint).build()
        });
        match client.create_bucket().bucket(bucket).set_create_bucket_configuration(configuration).send().await {
            Ok(_) => tracing::info!(bucket, region, "created the bucket"),
            // Another worker was faster.
            Err(SdkError::ServiceError(error)) if error.err().is_bucket_already_owned_by_you() => {}
            Err(error) => return Err(failed("create the bucket", problem(&error))),
        }
        Ok(())
    }

    fn client(credential: &AwsCredential, region: &str, endpoint: Option<String>) -> Client {
        let AwsCredential { key_id, secret_key, token } = credential;
        let mut config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .credentials_provider(Credentials::new(key_id, secret_key, token.clone(), None, "tickhouse"))
            .force_path_style(endpoint.is_some());
        config.set_endpoint_url(endpoint);
        Client::from_conf(config.build())
    }

    fn problem<E>(error: &SdkError<E>) -> StoreProblem
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let detail = DisplayErrorContext(error).to_string();
        match (error.code(), status, error) {
            (Some(code @ ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken")), ..) => {
                StoreProblem::Credentials { code: code.to_owned() }
            }
            (Some("BucketAlreadyExists"), ..) => {
                StoreProblem::Other { detail: "the name is taken by somebody else: choose another one".to_owned() }
            }
            (_, Some(401 | 403), _) => StoreProblem::Denied {
                detail: error.code().unwrap_or("403: s3:ListBucket or s3:CreateBucket").to_owned(),
            },
            (.., SdkError::DispatchFailure(_) | SdkError::TimeoutError(_)) => StoreProblem::Unreachable { detail },
            _ => StoreProblem::Other { detail },
        }
    }
}

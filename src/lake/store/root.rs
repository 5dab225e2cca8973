//! Stores: a durable local disk, or S3 with conditional writes.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use url::Url;

use crate::lake::error::LakeError;
use crate::lake::store::durable::DurableLocal;
use crate::lake::store::location::Location;
use crate::util::secret::Secret;

/// How to reach an S3 store. Values that are `None` come from the `AWS_*` environment or the instance role.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// URL of an S3-compatible server; addressed path-style.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub access_key_id: Option<Secret>,
    pub secret_access_key: Option<Secret>,
    pub session_token: Option<Secret>,
    /// Allows an endpoint without TLS.
    pub allow_http: bool,
    /// Creates the bucket if there is none.
    pub create_bucket: bool,
    pub sse: ServerSideEncryption,
}

/// What S3 encrypts objects with.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ServerSideEncryption {
    /// The default of the bucket.
    #[default]
    BucketDefault,
    Kms {
        key_id: String,
        #[serde(default)]
        bucket_key: bool,
    },
}

/// Bound of the client's own retries of one request; what takes longer is resolved by the caller's loop.
const REQUEST_RETRY: Duration = Duration::from_secs(20);

/// The store whose root is the bucket or the file system: paths in it are those of the tables' URLs.
///
/// # Errors
/// The settings don't describe a store.
pub fn root_store(location: &Location, settings: &StoreSettings) -> Result<Arc<dyn ObjectStore>, LakeError> {
    match location {
        Location::Folder(folder) => Ok(Arc::new(DurableLocal::new(folder))),
        Location::S3 { bucket, .. } => s3_store(location, bucket, settings),
    }
}

/// A view of `root` below the path of `url`.
pub(in crate::lake) fn prefixed(root: &Arc<dyn ObjectStore>, url: &Url) -> Result<Arc<dyn ObjectStore>, LakeError> {
    let path = Path::from_url_path(url.path()).map_err(|error| {
        let error = object_store::Error::InvalidPath { source: error };
        LakeError::store("use path", url, &error)
    })?;
    Ok(Arc::new(PrefixStore::new(Arc::clone(root), path)))
}

/// Deletes objects and returns their number; objects that are gone already are not an error.
///
/// # Errors
/// The store refuses; some of them are deleted then.
pub(in crate::lake) async fn delete_all(
    store: &Arc<dyn ObjectStore>,
    files: Vec<object_store::Result<Path>>,
) -> object_store::Result<usize> {
    let mut deleted = store.delete_stream(stream::iter(files).boxed());
    let mut count = 0;
    while let Some(one) = deleted.next().await {
        match one {
            Ok(_) => count += 1,
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// How other programs reach the bucket of a lake; both are `None` for a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3Access {
    /// URL of an S3-compatible server; `None` is AWS.
    pub endpoint: Option<String>,
    pub region: Option<String>,
}

impl S3Access {
    /// What the settings and the `AWS_*` environment say.
    ///
    /// # Errors
    /// The settings don't describe a store.
    pub fn of(location: &Location, settings: &StoreSettings) -> Result<Self, LakeError> {
        let Location::S3 { bucket, .. } = location else { return Ok(Self::default()) };
        let builder = s3_builder(bucket, settings)?;
        let value = |key: AmazonS3ConfigKey| builder.get_config_value(&key);
        Ok(Self { endpoint: value(AmazonS3ConfigKey::Endpoint), region: value(AmazonS3ConfigKey::Region) })
    }
}

fn s3_store(location: &Location, bucket: &str, settings: &StoreSettings) -> Result<Arc<dyn ObjectStore>, LakeError> {
    let store = s3_builder(bucket, settings)?.build();
    Ok(Arc::new(store.map_err(|error| LakeError::store("set up the store", location, &error))?))
}

/// # Errors
/// The endpoint has no TLS, and plain HTTP isn't allowed in the settings.
pub(in crate::lake) fn s3_builder(bucket: &str, settings: &StoreSettings) -> Result<AmazonS3Builder, LakeError> {
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.,
        },
        max_retries: 5,
        retry_timeout: REQUEST_RETRY,
    };
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(retry);
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/')).with_virtual_hosted_style_request(false);
    }
    if let Some(region) = &settings.region {
        builder = builder.with_region(region);
    }
    if let Some(key) = &settings.access_key_id {
        builder = builder.with_access_key_id(key.reveal());
    }
    if let Some(secret) = &settings.secret_access_key {
        builder = builder.with_secret_access_key(secret.reveal());
    }
    if let Some(token) = &settings.session_token {
        builder = builder.with_token(token.reveal());
    }
    if settings.allow_http {
        builder = builder.with_allow_http(true);
    }
    if let ServerSideEncryption::Kms { key_id, bucket_key } = &settings.sse {
        builder = builder.with_sse_kms_encryption(key_id).with_bucket_key(*bucket_key);
    }
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
    let http_allowed = {
        let key = AmazonS3ConfigKey::Client(object_store::ClientConfigKey::AllowHttp);
        builder.get_config_value(&key).is_some_and(|value| value == "true")
    };
    if let Some(endpoint) = endpoint {
        let scheme = Url::parse(&endpoint).ok().filter(Url::has_host).map(|url| url.scheme().to_owned());
        match scheme.as_deref() {
            Some("https") => {}
            Some("http") if http_allowed => {}
            Some("http") => return Err(LakeError::PlainHttp { endpoint }),
            _ => return Err(LakeError::Endpoint { endpoint }),
        }
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> StoreSettings {
        StoreSettings {
            endpoint: Some("http://127.0.0.1:9".to_owned()),
            access_key_id: Some(Secret::new("AKIATEST")),
            secret_access_key: Some(Secret::new("hunter2")),
            ..StoreSettings::default()
        }
    }

    #[test]
    fn secrets_don_t_show() {
        let text = format!("{:?} {}", settings(), serde_json::to_string(&settings()).unwrap());
        assert!(!text.contains("hunter2") && !text.contains("AKIATEST"), "{text}");
    }

    #[test]
    fn plain_http_has_to_be_asked_for() {
        let location = Location::parse("s3://bucket/lake").unwrap();
        let refused = root_store(&location, &settings());
        assert!(matches!(refused, Err(LakeError::PlainHttp { .. })));
        for wrong in ["nonsense", "", "ftp://host", "http://"] {
            let settings = StoreSettings { endpoint: Some(wrong.to_owned()), ..settings() };
            assert!(matches!(root_store(&location, &settings), Err(LakeError::Endpoint { .. })), "{wrong}");
        }
        let store = root_store(&location, &StoreSettings { allow_http: true, ..settings() }).unwrap();
        assert!(!format!("{store:?} {store}").contains("hunter2"));
    }
}

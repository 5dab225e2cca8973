//! Tests that the store honours If-None-Match, which exactly-once commits depend on.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{Error, ObjectStore, PutMode, PutOptions};

use crate::lake::error::LakeError;
use crate::lake::store::location::Location;

/// The object is kept, so that the next start needs only one request.
pub(in crate::lake) const PROBE_KEY: &str = "_tickhouse/probe";

/// Creates a key that exists already and requires a refusal. `store` begins at the root of the lake.
///
/// # Errors
/// The store overwrites silently, or can't be used at all.
pub(in crate::lake) async fn require_conditional_put(
    store: &Arc<dyn ObjectStore>,
    location: &Location,
) -> Result<(), LakeError> {
    for _ in 0..2 {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match store.put_opts(&Path::from(PROBE_KEY), "tickhouse".into(), options).await {
            Ok(_) => {}
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => return Ok(()),
            Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => break,
            Err(error) => return Err(LakeError::store("write the probe", location, &error)),
        }
    }
    Err(LakeError::StoreIgnoresIfNoneMatch { location: location.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::store::faulty::{FaultyStore, StoreFault};
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn a_store_that_overwrites_silently_is_refused() {
        let location = Location::parse("s3://bucket/lake").unwrap();
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        require_conditional_put(&memory, &location).await.unwrap();
        require_conditional_put(&memory, &location).await.unwrap();

        let careless: Arc<dyn ObjectStore> =
            Arc::new(FaultyStore::new(Arc::new(InMemory::new()), StoreFault::IgnoreCreate));
        let refused = require_conditional_put(&careless, &location).await;
        assert!(matches!(refused, Err(LakeError::StoreIgnoresIfNoneMatch { .. })), "{refused:?}");
    }
}

//! Who maintains a lake just now. It spares two maintainers the same work, and nothing more: what goes into a table is
//! decided by its log.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};

use crate::lake::error::LakeError;
use crate::lake::maintenance::merged::Maintenance;
use crate::lake::store::location::OWN;
use crate::lake::store::root::prefixed;

const LEASE: &str = "maintain.lease";

#[derive(Serialize, Deserialize)]
struct Lease {
    holder: String,
    until: DateTime<Utc>,
}

impl Maintenance {
    /// How long others wait for one that died.
    pub const LEASE: Duration = Duration::from_secs(10 * 60);

    /// Lets `holder` go on for this long; until when another one holds the lease, if one does. Zero gives it back.
    ///
    /// # Errors
    /// The store can't be read or written.
    pub async fn lease(&self, holder: &str, duration: Duration) -> Result<Option<DateTime<Utc>>, LakeError> {
        let store = prefixed(self.root(), &self.location().table_url(OWN))?;
        let path = Path::from(LEASE);
        let failed = |action, error: object_store::Error| LakeError::store(action, self.location(), &error);
        let held = match store.get(&path).await {
            Ok(found) => {
                let bytes = found.bytes().await.map_err(|error| failed("read the lease", error))?;
                // What can't be read was written by a newer tickhouse or was torn: it is taken over.
                serde_json::from_slice::<Lease>(&bytes).ok()
            }
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => return Err(failed("read the lease", error)),
        };
        let now = Utc::now();
        // One that is longer than any was taken by a clock that was ahead.
        let is_held = |held: &Lease| held.holder != holder && held.until > now && held.until <= now + Self::LEASE;
        if let Some(held) = held.filter(is_held) {
            return Ok(Some(held.until));
        }
        let until = now + TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        let lease = Lease { holder: holder.to_owned(), until };
        let bytes = serde_json::to_vec(&lease).expect("a lease is text and a time");
        let put = store.put(&path, PutPayload::from(bytes)).await;
        put.map(|_| None).map_err(|error| failed("write the lease", error))
    }
}

//! A lease for the maintainer of a lake. It only saves two maintainers from doing the same work: which commit succeeds
//! is decided by the log of a table.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};

use crate::lake::error::LakeError;
use crate::lake::maintenance::lake_maintenance::LakeMaintenance;
use crate::lake::store::location::INTERNAL_FOLDER;
use crate::lake::store::root::prefixed;

const LEASE: &str = "maintain.lease";

#[derive(Serialize, Deserialize)]
struct Lease {
    holder: String,
    until: DateTime<Utc>,
}

impl LakeMaintenance {
    /// How long other maintainers wait for one that died.
    pub const LEASE: Duration = Duration::from_secs(10 * 60);

    /// Takes or renews the lease of `holder` for `duration`; zero releases it. `Some` if another holder has it, with
    /// the time when it ends.
    ///
    /// # Errors
    /// The store can't be read or written.
    pub async fn lease(&self, holder: &str, duration: Duration) -> Result<Option<DateTime<Utc>>, LakeError> {
        let store = prefixed(self.root(), &self.location().table_url(INTERNAL_FOLDER))?;
        let path = Path::from(LEASE);
        let failed = |action, error: object_store::Error| LakeError::store(action, self.location(), &error);
        let held = match store.get(&path).await {
            Ok(found) => {
                let bytes = found.bytes().await.map_err(|error| failed("read the lease", error))?;
                // A lease that can't be parsed is torn, or a newer tickhouse wrote it: it is taken over.
                serde_json::from_slice::<Lease>(&bytes).ok()
            }
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => return Err(failed("read the lease", error)),
        };
        let now = Utc::now();
        // A lease beyond the maximum duration was written with a clock that was ahead.
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

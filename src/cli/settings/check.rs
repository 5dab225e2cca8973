//! Validation of the ingest settings without a request to the brokers or the store.

use super::{Settings, SettingsError};
use crate::decode::Decoder;
use crate::lake::root_store;

impl Settings {
    /// Validates all settings of `ingest`.
    ///
    /// # Errors
    /// All invalid settings, in one error.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let mut problems = Vec::new();
        match self.location() {
            Ok(location) => problems.extend(root_store(&location, &self.store).err().map(|error| error.to_string())),
            Err(error) => problems.push(error.to_string()),
        }
        problems.extend(self.kafka.validate().err().map(|error| error.to_string()));
        match self.ingest.validate() {
            Ok(zone) => problems.extend(Decoder::new(&self.input, zone).err().map(|error| error.to_string())),
            Err(problem) => problems.push(problem),
        }
        problems.extend(self.live.validate().err());
        problems.extend(self.metrics.validate().err());
        problems.extend(self.live.require_own_topic(&self.kafka.topic).err());
        if problems.is_empty() { Ok(()) } else { Err(SettingsError::Refused(problems)) }
    }
}

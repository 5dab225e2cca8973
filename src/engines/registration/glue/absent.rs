//! A stub of the Glue client, for a build without the AWS SDKs.

use super::{GlueSettings, GlueTable, RegistrationOutcome};
use crate::engines::EngineError;
use crate::lake::StoreSettings;

#[derive(Debug)]
pub enum GlueClient {}

impl GlueClient {
    /// Always fails.
    ///
    /// # Errors
    /// This build doesn't include the AWS SDKs.
    pub async fn new(_settings: &GlueSettings, _store: &StoreSettings) -> Result<Self, EngineError> {
        Err(EngineError::Usage(
            "this build can't ask Glue: build with --features aws, or hand what --dry-run prints to another tool"
                .to_owned(),
        ))
    }

    /// Never called, because no client can be created.
    ///
    /// # Errors
    /// None: it can't be called.
    pub async fn require_free(&self, _database: &str, _tables: &[GlueTable]) -> Result<(), EngineError> {
        match *self {}
    }

    /// Never called, because no client can be created.
    ///
    /// # Errors
    /// None: it can't be called.
    pub async fn register(
        &self,
        _database: &str,
        _tables: &[GlueTable],
        _replace: bool,
    ) -> Result<Vec<RegistrationOutcome>, EngineError> {
        match *self {}
    }
}

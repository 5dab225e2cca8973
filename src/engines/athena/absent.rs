//! A stub of the Athena client, for a build without the AWS SDK.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use tokio_util::sync::CancellationToken;

use super::{AthenaSettings, ScannedBytes};
use crate::engines::error::EngineError;
use crate::engines::progress::EngineProgress;
use crate::lake::StoreSettings;

#[derive(Debug, Clone)]
pub enum AthenaClient {}

#[derive(Debug)]
pub enum AthenaAnswer {}

impl AthenaClient {
    /// Always fails.
    ///
    /// # Errors
    /// This build doesn't include the AWS SDK.
    pub async fn new(_settings: &AthenaSettings, _store: &StoreSettings) -> Result<Self, EngineError> {
        Err(EngineError::Usage("this build can't ask Athena: build with --features aws".to_owned()))
    }

    pub fn progress(&self) -> Arc<EngineProgress> {
        match *self {}
    }

    /// Never called, because no client can be created.
    ///
    /// # Errors
    /// None: it can't be called.
    pub async fn execute(&self, _sql: &str, _stop: &CancellationToken) -> Result<AthenaAnswer, EngineError> {
        match *self {}
    }

    /// Never called, because no client can be created.
    ///
    /// # Errors
    /// None: it can't be called.
    pub async fn run(&self, _sql: &str, _stop: &CancellationToken) -> Result<Vec<RecordBatch>, EngineError> {
        match *self {}
    }
}

impl AthenaAnswer {
    pub fn schema(&self) -> SchemaRef {
        match *self {}
    }

    /// Never called, because no client can be created.
    ///
    /// # Errors
    /// None: it can't be called.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        match *self {}
    }

    pub fn scanned(&self) -> Option<ScannedBytes> {
        match *self {}
    }

    pub async fn close(self) {
        match self {}
    }
}

//! Other engines that run the same statements on the tables of a lake.
//!
//! ```text
//!  Parsed::to_engine(dialect) ──> Trino: POST, then page after page ─┐
//!                             └─> Athena: start, poll, then pages  ──┤ one page in memory at a time
//!                                                                    ▼
//!                         Columns: values become Arrow batches ──> the writers of `query`
//! ```
//!
//! A result that is not read to its end has to be closed, which stops the statement at the engine.

mod athena;
#[cfg(feature = "aws")]
pub(crate) mod aws;
mod clickhouse;
mod error;
mod http;
mod progress;
pub mod registration;
#[cfg(test)]
mod server_for_tests;
mod trino;
mod values;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::stream::{BoxStream, StreamExt, try_unfold};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use athena::{AthenaAnswer, AthenaClient, AthenaSettings, ScannedBytes};
pub use clickhouse::{ClickhouseClient, ClickhouseSettings};
pub use error::{EngineError, StatementError};
pub use progress::{EngineProgress, EngineRead};
pub use trino::{TrinoAnswer, TrinoClient, TrinoSettings};

use crate::query::Dialect;

/// The engine that runs a statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum QueryEngine {
    /// This process reads the files of the lake.
    #[default]
    Local,
    /// Amazon Athena.
    Athena,
    /// A Trino server.
    Trino,
}

impl QueryEngine {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Athena => "athena",
            Self::Trino => "trino",
        }
    }

    pub const fn dialect(self) -> Dialect {
        match self {
            Self::Local => Dialect::Tickhouse,
            Self::Athena => Dialect::Athena,
            Self::Trino => Dialect::Trino,
        }
    }
}

/// A client for one of the engines.
#[derive(Debug, Clone)]
pub enum EngineClient {
    Athena(AthenaClient),
    Trino(TrinoClient),
}

impl EngineClient {
    pub fn progress(&self) -> Arc<EngineProgress> {
        match self {
            Self::Athena(client) => client.progress(),
            Self::Trino(client) => client.progress(),
        }
    }

    /// Runs one statement, without a semicolon, until its columns are known.
    ///
    /// # Errors
    /// The engine can't be reached, it rejects the statement, or `stop` is cancelled.
    pub async fn execute(&self, sql: &str, stop: &CancellationToken) -> Result<EngineAnswer, EngineError> {
        match self {
            Self::Athena(client) => client.execute(sql, stop).await.map(EngineAnswer::Athena),
            Self::Trino(client) => client.execute(sql, stop).await.map(EngineAnswer::Trino),
        }
    }
}

/// The result of a statement.
#[derive(Debug)]
pub enum EngineAnswer {
    Athena(AthenaAnswer),
    Trino(TrinoAnswer),
}

impl EngineAnswer {
    pub fn schema(&self) -> SchemaRef {
        match self {
            Self::Athena(answer) => answer.schema(),
            Self::Trino(answer) => answer.schema(),
        }
    }

    /// Returns the next rows, or `None` at the end.
    ///
    /// # Errors
    /// The statement fails, or the engine becomes unreachable.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        match self {
            Self::Athena(answer) => answer.next().await,
            Self::Trino(answer) => answer.next().await,
        }
    }

    /// The remaining rows as a stream of batches.
    pub fn batches(&mut self) -> BoxStream<'_, Result<RecordBatch, EngineError>> {
        try_unfold(self, |answer| async move { Ok(answer.next().await?.map(|batch| (batch, answer))) }).boxed()
    }

    /// The bytes that the engine scanned for the statement, if it charges for them.
    pub fn scanned(&self) -> Option<ScannedBytes> {
        match self {
            Self::Athena(answer) => answer.scanned(),
            Self::Trino(_) => None,
        }
    }

    /// Stops the statement at the engine if it is still running.
    pub async fn close(self) {
        match self {
            Self::Athena(answer) => answer.close().await,
            Self::Trino(answer) => answer.close().await,
        }
    }
}

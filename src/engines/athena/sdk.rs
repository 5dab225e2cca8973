//! Athena through the AWS SDK: starts a query and polls it until it has finished.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use aws_sdk_athena::Client;
use aws_sdk_athena::config::timeout::TimeoutConfig;
use aws_sdk_athena::config::{BehaviorVersion, Region};
use aws_sdk_athena::types::{QueryExecution, QueryExecutionContext, QueryExecutionState, ResultConfiguration};
use tokio_util::sync::CancellationToken;

use super::answer::AthenaAnswer;
use super::calls::call_failed;
use super::{AthenaSettings, ScannedBytes};
use crate::engines::aws::{CALL_TIMEOUT, access_of};
use crate::engines::error::{ATHENA, EngineError, StatementError};
use crate::engines::progress::EngineProgress;
use crate::lake::StoreSettings;
use crate::util::backoff::Backoff;

/// How long polling continues although Athena is unreachable.
const RETRY_FOR: Duration = Duration::from_secs(60);
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest pause between two polls. Athena allows only a few calls per second for an entire account.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// A client for one database and one workgroup in one region.
#[derive(Clone)]
pub struct AthenaClient {
    client: Client,
    settings: AthenaSettings,
    progress: Arc<EngineProgress>,
}

impl fmt::Debug for AthenaClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl AthenaClient {
    /// Creates the client.
    ///
    /// # Errors
    /// No region is configured, or there are no credentials.
    pub async fn new(settings: &AthenaSettings, store: &StoreSettings) -> Result<Self, EngineError> {
        let (credentials, region) = access_of(ATHENA, store).await?;
        let mut config = aws_sdk_athena::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .timeout_config(TimeoutConfig::builder().operation_timeout(CALL_TIMEOUT).build())
            .credentials_provider(credentials);
        config.set_endpoint_url(settings.endpoint.clone());
        let client = Client::from_conf(config.build());
        Ok(Self { client, settings: settings.clone(), progress: Arc::default() })
    }

    /// The progress of the most recent statement.
    pub fn progress(&self) -> Arc<EngineProgress> {
        Arc::clone(&self.progress)
    }

    /// Runs one statement, without a semicolon, until it has finished, and reads the first rows.
    ///
    /// # Errors
    /// Athena can't be reached, it rejects the statement or fails to run it, or `stop` is cancelled. In each case the
    /// query no longer runs.
    pub async fn execute(&self, sql: &str, stop: &CancellationToken) -> Result<AthenaAnswer, EngineError> {
        if stop.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        // This call must not be cancelled: if the id is lost, the query can't be stopped, and its cost is charged.
        let id = self.start(sql).await?;
        let mut answer = AthenaAnswer::new(self.client.clone(), id, sql.to_owned());
        let done = async {
            answer.scanned = Some(self.done(answer.id(), sql).await?);
            answer.finished();
            answer.open().await
        };
        match stop.run_until_cancelled(done).await.unwrap_or(Err(EngineError::Cancelled)) {
            Ok(()) => Ok(answer),
            // The query has already ended, so there is nothing to stop.
            Err(error @ EngineError::Refused(_)) => Err(error),
            Err(error) => {
                answer.close().await;
                Err(error)
            }
        }
    }

    /// Like [`Self::execute`], but collects all rows; for statements that return few of them.
    ///
    /// # Errors
    /// The same as for [`Self::execute`].
    pub async fn run(&self, sql: &str, stop: &CancellationToken) -> Result<Vec<RecordBatch>, EngineError> {
        let mut answer = self.execute(sql, stop).await?;
        let mut batches = Vec::new();
        while let Some(batch) = stop.run_until_cancelled(answer.next()).await.unwrap_or(Err(EngineError::Cancelled))? {
            batches.push(batch);
        }
        Ok(batches)
    }

    async fn start(&self, sql: &str) -> Result<String, EngineError> {
        let AthenaSettings { database, workgroup, output, .. } = &self.settings;
        let result_location =
            output.as_ref().map(|output| ResultConfiguration::builder().output_location(output).build());
        let started = self
            .client
            .start_query_execution()
            .query_string(sql)
            .query_execution_context(QueryExecutionContext::builder().database(database).build())
            .work_group(workgroup)
            .set_result_configuration(result_location)
            .send()
            .await
            .map_err(|error| call_failed("start the query", &error, sql))?;
        let id = started.query_execution_id().map(str::to_owned);
        id.ok_or_else(|| EngineError::Protocol { engine: ATHENA, detail: "a query without an id".to_owned() })
    }

    async fn done(&self, id: &str, sql: &str) -> Result<ScannedBytes, EngineError> {
        let mut pauses = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut silent_since = None;
        loop {
            let response = self.client.get_query_execution().query_execution_id(id).send().await;
            let response = match response.map_err(|error| call_failed("ask after the query", &error, sql)) {
                // The query keeps running and is charged, so temporary errors are retried.
                Err(EngineError::Unreachable { .. })
                    if silent_since.get_or_insert_with(Instant::now).elapsed() < RETRY_FOR =>
                {
                    tokio::time::sleep(pauses.next_pause()).await;
                    continue;
                }
                response => response?,
            };
            silent_since = None;
            let execution = response.query_execution.unwrap_or_else(|| QueryExecution::builder().build());
            let bytes = execution.statistics().and_then(|statistics| statistics.data_scanned_in_bytes());
            let scanned = ScannedBytes { bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0) };
            self.progress.set_bytes(scanned.bytes);
            match execution.status().and_then(|status| status.state()) {
                Some(QueryExecutionState::Succeeded) => return Ok(scanned),
                Some(QueryExecutionState::Queued | QueryExecutionState::Running) => {}
                Some(_) => return Err(refused(&execution, sql)),
                None => {
                    let detail = "a query without a state".to_owned();
                    return Err(EngineError::Protocol { engine: ATHENA, detail });
                }
            }
            tokio::time::sleep(pauses.next_pause()).await;
        }
    }
}

/// The error of a query that failed or was cancelled.
fn refused(execution: &QueryExecution, sql: &str) -> EngineError {
    let status = execution.status();
    let reason = status.and_then(|status| {
        let detailed = status.athena_error().and_then(|error| error.error_message());
        status.state_change_reason().or(detailed)
    });
    let reason = reason.unwrap_or("no reason is given");
    // Splits a message such as `COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved ..`.
    let is_name = |text: &&str| text.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let named = reason.split_once(": ").filter(|(name, _)| is_name(name));
    let (name, message) = named.unwrap_or(("", reason));
    EngineError::Refused(Box::new(StatementError::new(ATHENA, name, message, sql)))
}

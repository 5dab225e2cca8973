//! A client for Trino's client protocol: it posts a statement and follows the result page by page.
//!
//! A statement that is not read to its end keeps running on the server until `TrinoAnswer::close` stops it.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use reqwest::Url;
use tokio_util::sync::CancellationToken;

use super::http::TrinoHttp;
use super::page::{TrinoFailure, TrinoPage, TrinoStats};
use super::settings::TrinoSettings;
use crate::engines::error::{EngineError, StatementError, TRINO};
use crate::engines::progress::EngineProgress;
use crate::engines::values::{BatchBuilder, EngineValue};

/// A client for one server and one user.
#[derive(Debug, Clone)]
pub struct TrinoClient {
    http: TrinoHttp,
    progress: Arc<EngineProgress>,
}

impl TrinoClient {
    /// Creates the client.
    ///
    /// # Errors
    /// The settings name no server, or a secret would be sent unencrypted.
    pub fn new(settings: &TrinoSettings) -> Result<Self, EngineError> {
        Ok(Self { http: TrinoHttp::new(settings)?, progress: Arc::default() })
    }

    /// The progress of the most recent statement.
    pub fn progress(&self) -> Arc<EngineProgress> {
        Arc::clone(&self.progress)
    }

    /// Runs one statement, without a semicolon, until its columns are known.
    ///
    /// # Errors
    /// The server can't be reached, it rejects the statement, or `stop` is cancelled. In each case the statement no
    /// longer runs.
    pub async fn execute(&self, sql: &str, stop: &CancellationToken) -> Result<TrinoAnswer, EngineError> {
        let mut answer = TrinoAnswer {
            http: self.http.clone(),
            progress: Arc::clone(&self.progress),
            sql: sql.to_owned(),
            id: String::new(),
            next: None,
            columns: None,
            ready: None,
        };
        if stop.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        // This request must not be cancelled: if the id is lost, the statement can't be stopped.
        let posted = answer.post().await;
        let opened = async {
            posted?;
            answer.open().await
        };
        match stop.run_until_cancelled(opened).await.unwrap_or(Err(EngineError::Cancelled)) {
            Ok(()) => Ok(answer),
            Err(error) => {
                answer.close().await;
                Err(error)
            }
        }
    }

    /// Like [`Self::execute`], but collects all rows; for statements that return few of them.
    ///
    /// # Errors
    /// The same as for [`Self::execute`], and a statement that fails later.
    pub async fn run(&self, sql: &str, stop: &CancellationToken) -> Result<Vec<RecordBatch>, EngineError> {
        let mut answer = self.execute(sql, stop).await?;
        let rows = stop.run_until_cancelled(answer.all()).await.unwrap_or(Err(EngineError::Cancelled));
        answer.close().await;
        rows
    }
}

/// The result of a statement. Only one page of rows is in memory at a time.
#[derive(Debug)]
pub struct TrinoAnswer {
    http: TrinoHttp,
    progress: Arc<EngineProgress>,
    sql: String,
    id: String,
    /// URL of the next page; `None` at the end.
    next: Option<Url>,
    columns: Option<BatchBuilder>,
    ready: Option<RecordBatch>,
}

impl TrinoAnswer {
    /// Schema of the rows; empty if the statement returns none.
    pub fn schema(&self) -> SchemaRef {
        self.columns.as_ref().map_or_else(|| Arc::new(Schema::empty()), |columns| Arc::clone(columns.schema()))
    }

    /// Returns the next rows, or `None` at the end. It is cancel-safe: no rows are lost when the future is dropped.
    ///
    /// # Errors
    /// The statement fails, or the server becomes unreachable.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        while self.ready.is_none() && self.next.is_some() {
            self.step().await?;
        }
        Ok(self.ready.take())
    }

    /// Stops the statement on the server if it is still running.
    pub async fn close(mut self) {
        let Some(url) = self.next.take() else { return };
        if let Err(error) = self.http.delete(url).await {
            tracing::warn!(query = self.id, "end the query at Trino: {error}");
        }
    }

    async fn all(&mut self) -> Result<Vec<RecordBatch>, EngineError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await? {
            batches.push(batch);
        }
        Ok(batches)
    }

    async fn post(&mut self) -> Result<(), EngineError> {
        let page = self.http.post(&self.sql).await?;
        self.take(page)
    }

    async fn open(&mut self) -> Result<(), EngineError> {
        while self.columns.is_none() && self.next.is_some() {
            self.step().await?;
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<(), EngineError> {
        let Some(url) = self.next.clone() else { return Ok(()) };
        let page = self.http.get(url).await?;
        self.take(page)
    }

    fn take(&mut self, page: TrinoPage) -> Result<(), EngineError> {
        let TrinoStats { processed_rows, completed_splits, total_splits } = page.stats;
        self.progress.set(processed_rows, completed_splits, total_splits);
        self.id = page.id;
        self.next = match page.next_uri {
            Some(uri) => Some(self.http.page_url(&uri)?),
            None => None,
        };
        if let Some(TrinoFailure { message, error_name }) = page.error {
            self.next = None;
            return Err(match error_name.as_str() {
                "USER_CANCELED" => EngineError::Cancelled,
                name => EngineError::Refused(Box::new(StatementError::new(TRINO, name, &message, &self.sql))),
            });
        }
        if self.columns.is_none()
            && let Some(columns) = page.columns.filter(|columns| !columns.is_empty())
        {
            self.columns = Some(BatchBuilder::new(columns.into_iter().map(|column| (column.name, column.kind))));
        }
        if page.data.is_empty() {
            return Ok(());
        }
        let wrong = |detail: String| EngineError::Protocol { engine: TRINO, detail };
        let columns = self.columns.as_mut().ok_or_else(|| wrong("rows before their columns".to_owned()))?;
        for row in &page.data {
            columns.append(row.iter().map(EngineValue::from)).map_err(wrong)?;
        }
        self.ready = columns.batch();
        Ok(())
    }
}

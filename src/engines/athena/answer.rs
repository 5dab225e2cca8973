//! The rows of a finished Athena query, read page by page.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use aws_sdk_athena::Client;
use aws_sdk_athena::types::{ColumnInfo, ResultSet, Row};

use super::ScannedBytes;
use super::calls::{call_failed, stop_query};
use crate::engines::error::{ATHENA, EngineError};
use crate::engines::values::{BatchBuilder, EngineValue};

/// Maximum number of rows that Athena returns per page.
const PAGE_ROWS: i32 = 1_000;

/// The result of a query. Only one page of rows is in memory at a time.
pub struct AthenaAnswer {
    client: Client,
    id: String,
    sql: String,
    /// Whether the query is still running, so that [`Self::close`] has to stop it.
    runs: bool,
    pub(super) scanned: Option<ScannedBytes>,
    columns: Option<BatchBuilder>,
    ready: Option<RecordBatch>,
    /// Token of the next page.
    token: Option<String>,
}

impl fmt::Debug for AthenaAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Athena query {}", self.id)
    }
}

impl AthenaAnswer {
    /// The result of a query that was started.
    pub(super) fn new(client: Client, id: String, sql: String) -> Self {
        Self { client, id, sql, runs: true, scanned: None, columns: None, ready: None, token: None }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn finished(&mut self) {
        self.runs = false;
    }

    /// Schema of the rows; empty if the statement returns none.
    pub fn schema(&self) -> SchemaRef {
        self.columns.as_ref().map_or_else(|| Arc::new(Schema::empty()), |columns| Arc::clone(columns.schema()))
    }

    /// The bytes that the statement scanned, which determine its cost.
    pub fn scanned(&self) -> Option<ScannedBytes> {
        self.scanned
    }

    /// Returns the next rows, or `None` at the end. It is cancel-safe: no rows are lost when the future is dropped.
    ///
    /// # Errors
    /// The results can't be read.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        while self.ready.is_none() && self.token.is_some() {
            self.step().await?;
        }
        Ok(self.ready.take())
    }

    /// Stops the query if it is still running.
    pub async fn close(self) {
        if self.runs {
            stop_query(&self.client, &self.id).await;
        }
    }

    pub(super) async fn open(&mut self) -> Result<(), EngineError> {
        self.step().await
    }

    async fn step(&mut self) -> Result<(), EngineError> {
        let call = self.client.get_query_results().query_execution_id(&self.id).max_results(PAGE_ROWS);
        let page = call.set_next_token(self.token.clone()).send().await;
        let page = page.map_err(|error| call_failed("read the results", &error, &self.sql))?;
        self.token = page.next_token;
        match page.result_set {
            Some(results) => self.take(&results),
            None => Ok(()),
        }
    }

    fn take(&mut self, results: &ResultSet) -> Result<(), EngineError> {
        let mut rows = results.rows();
        if self.columns.is_none() {
            let known = results.result_set_metadata().map(|metadata| metadata.column_info()).unwrap_or_default();
            if known.is_empty() {
                return Ok(());
            }
            self.columns =
                Some(BatchBuilder::new(known.iter().map(|column| (column.name().to_owned(), type_of(column)))));
            // The first row of a SELECT has the column names; SHOW and DESCRIBE have no such row.
            if let Some((first, rest)) = rows.split_first()
                && is_header(first, known)
            {
                rows = rest;
            }
        }
        let Some(columns) = &mut self.columns else { return Ok(()) };
        for row in rows {
            let cells =
                row.data().iter().map(|datum| datum.var_char_value().map_or(EngineValue::Null, EngineValue::Text));
            let added = columns.append(cells);
            added.map_err(|detail| EngineError::Protocol { engine: ATHENA, detail })?;
        }
        self.ready = columns.batch();
        Ok(())
    }
}

/// The type name in Trino's notation.
fn type_of(column: &ColumnInfo) -> String {
    match column.r#type() {
        "decimal" => format!("decimal({}, {})", column.precision(), column.scale()),
        other => other.to_owned(),
    }
}

fn is_header(row: &Row, columns: &[ColumnInfo]) -> bool {
    let names = columns.iter().map(|column| Some(column.name()));
    row.data().iter().map(|datum| datum.var_char_value()).eq(names)
}

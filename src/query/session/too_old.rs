//! A note for queries that read back a length of time, such as `latest`, when the newest tick is older.

use arrow::array::RecordBatch;
use chrono::{DateTime, SecondsFormat};
use futures::TryStreamExt;

use crate::query::error::QueryError;
use crate::query::session::query_session::QuerySession;
use crate::query::session::tables::TICKS;
use crate::query::sql::scope::TickScope;
use crate::query::sql::statement::ParsedStatement;
use crate::query::sql::time_text::TimeExpression;

impl QuerySession {
    /// A line where all ticks that a statement asks for are older than its `since`. For it the first tick that isn't is
    /// read, or the first that is; the newest is named where statistics of files have it, without reading them.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn too_old(&self, parsed: &ParsedStatement) -> Result<Option<String>, QueryError> {
        let Some(since) = &parsed.since else { return Ok(None) };
        if self.has_ticks(&since.scope).await? {
            return Ok(None);
        }
        let before = TickScope { from: None, ..since.scope.clone() };
        let newest = if before.is_everything() { self.newest_in_statistics() } else { None };
        if newest.is_none() && !self.has_ticks(&before).await? {
            return Ok(None);
        }
        let whose = match since.scope.symbols.as_slice() {
            [] => String::new(),
            symbols => format!(" of {}", symbols.join(", ")),
        };
        let (newest, day) = match newest.and_then(DateTime::from_timestamp_micros) {
            Some(newest) => (
                format!(": the newest tick is of {}", newest.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
                TimeExpression::Date(newest.with_timezone(&since.zone).date_naive()).to_string(),
            ),
            None => (String::new(), "DATE".to_owned()),
        };
        let (param, text, way_out) = (&since.param, &since.text, since.way_out(&day));
        Ok(Some(format!("{TICKS} has nothing{whose} within {param}={text}{newest}; look further back with {way_out}")))
    }

    async fn has_ticks(&self, scope: &TickScope) -> Result<bool, QueryError> {
        let mut statement = ParsedStatement::parse("SELECT ts FROM ticks LIMIT 1")?;
        statement.restrict(scope)?;
        let batches: Vec<RecordBatch> = self.plan(&statement).await?.batches()?.try_collect().await?;
        Ok(batches.iter().any(|batch| batch.num_rows() > 0))
    }

    fn newest_in_statistics(&self) -> Option<i64> {
        let ticks = self.tables().iter().find(|table| table.name == TICKS)?;
        ticks.times.map(|(_, newest)| newest)
    }
}

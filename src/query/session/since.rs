//! Queries that look back a length of time, as `latest` does, over a table whose newest tick is older.

use arrow::array::RecordBatch;
use chrono::{DateTime, SecondsFormat};
use chrono_tz::Tz;
use futures::TryStreamExt;

use crate::query::error::QueryError;
use crate::query::session::query_session::{QuerySession, TICKS};
use crate::query::sql::moment::{Clock, Moment};
use crate::query::sql::params::ParamValue;
use crate::query::sql::scope::{Bound, Scope};
use crate::query::sql::statement::Parsed;

/// How far back a statement looks, and at whose ticks.
#[derive(Debug, Clone)]
pub(in crate::query) struct Since {
    /// As `since`.
    param: String,
    /// As the user wrote it, or the default.
    text: String,
    /// The named query that is read as a table.
    of_query: Option<String>,
    scope: Scope,
    zone: Tz,
}

impl Since {
    /// Of a statement that looks back at ticks. `range` is what is asked for, as far as its symbols and its end go.
    pub(in crate::query) fn of(
        parsed: &Parsed,
        given: &[(String, String)],
        clock: &Clock,
        range: &Scope,
    ) -> Option<Self> {
        let (param, default) = parsed.looks_back().next().filter(|_| parsed.reads_table(TICKS))?;
        let given = given.iter().find(|(name, _)| name == param).map(|(_, text)| text.clone());
        let text = given.unwrap_or_else(|| ParamValue::Time(default).to_string());
        let from = Moment::parse(&text).and_then(|moment| moment.instant(clock)).ok()?;
        let scope = Scope { from: Some(Bound::Time(from)), ..range.clone() };
        Some(Self { param: param.to_owned(), text, of_query: None, scope, zone: clock.zone })
    }

    /// The same, where the named query is read as a table.
    pub(in crate::query) fn of_table(self, query: &str) -> Self {
        Self { of_query: Some(query.to_owned()), ..self }
    }

    /// What to write for it to begin at `day`.
    fn way_out(&self, day: &str) -> String {
        match &self.of_query {
            Some(query) => format!("{query}({} => '{day}')", self.param),
            None => format!("--param {}={day}", self.param),
        }
    }
}

impl QuerySession {
    /// A line where all ticks that a statement asks for are older than its `since`. For it the first tick that isn't is read,
    /// or the first that is; the newest is named where statistics of files have it, without reading them.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn too_old(&self, parsed: &Parsed) -> Result<Option<String>, QueryError> {
        let Some(since) = &parsed.since else { return Ok(None) };
        if self.has_ticks(&since.scope).await? {
            return Ok(None);
        }
        let before = Scope { from: None, ..since.scope.clone() };
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
                Moment::Date(newest.with_timezone(&since.zone).date_naive()).to_string(),
            ),
            None => (String::new(), "DATE".to_owned()),
        };
        let (param, text, way_out) = (&since.param, &since.text, since.way_out(&day));
        Ok(Some(format!("{TICKS} has nothing{whose} within {param}={text}{newest}; look further back with {way_out}")))
    }

    async fn has_ticks(&self, scope: &Scope) -> Result<bool, QueryError> {
        let mut statement = Parsed::parse("SELECT ts FROM ticks LIMIT 1")?;
        statement.restrict(scope)?;
        let batches: Vec<RecordBatch> = self.plan(&statement).await?.batches()?.try_collect().await?;
        Ok(batches.iter().any(|batch| batch.num_rows() > 0))
    }

    fn newest_in_statistics(&self) -> Option<i64> {
        let ticks = self.tables().iter().find(|table| table.name == TICKS)?;
        ticks.times.map(|(_, newest)| newest)
    }
}

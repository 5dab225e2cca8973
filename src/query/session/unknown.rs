//! Symbols that are asked for and have no ticks, and what may be meant.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use futures::TryStreamExt;

use crate::query::error::QueryError;
use crate::query::session::query_session::QuerySession;
use crate::query::session::tables::TICKS;
use crate::query::sql::scope::TickScope;
use crate::query::sql::statement::ParsedStatement;
use crate::util::suggest::did_you_mean;

impl QuerySession {
    /// A line for each symbol that `ticks` doesn't have. For those that it has, only the first row is read; all symbols
    /// are read only for one that it hasn't.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn unknown_symbols(&self, symbols: &[String]) -> Result<Vec<String>, QueryError> {
        let mut unknown = Vec::new();
        for symbol in symbols {
            let mut first = ParsedStatement::parse(&format!("SELECT symbol FROM {TICKS} LIMIT 1"))?;
            first.restrict(&TickScope { symbols: vec![symbol.clone()], from: None, to: None })?;
            if self.symbols_of(&first).await?.is_empty() {
                unknown.push(symbol);
            }
        }
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.symbols_of(&ParsedStatement::parse(&format!("SELECT DISTINCT symbol FROM {TICKS}"))?).await?;
        let line = |symbol: &String| {
            let hint = did_you_mean(symbol, known.iter().map(String::as_str));
            format!("{TICKS} has no symbol '{symbol}'{hint}")
        };
        Ok(unknown.into_iter().map(line).collect())
    }

    async fn symbols_of(&self, statement: &ParsedStatement) -> Result<BTreeSet<String>, QueryError> {
        let batches: Vec<RecordBatch> = self.plan(statement).await?.batches()?.try_collect().await?;
        let symbols = batches.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten());
        Ok(symbols.map(str::to_owned).collect())
    }
}

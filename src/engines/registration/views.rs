//! The named queries that are registered as views.

use super::TABLES;
use crate::query::{Dialect, NamedQueries, NamedQuery, OutputColumn, ParsedStatement, QueryError};

/// A named query in the dialect of one engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineView {
    pub name: String,
    /// The body of the view, a SELECT.
    pub body: String,
    /// The columns according to the header of the query; empty if it lists none.
    pub columns: Vec<OutputColumn>,
}

/// A query that can't be a view in the engine, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedView {
    pub name: String,
    pub reason: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineViews {
    pub made: Vec<EngineView>,
    pub left_out: Vec<SkippedView>,
}

impl EngineViews {
    /// The views of the `wanted` queries, or of all queries that can be translated to the dialect.
    ///
    /// # Errors
    /// A wanted query doesn't exist, it can't be a view, or it has the name of a table.
    pub fn of(
        catalog: &NamedQueries,
        wanted: &[String],
        dialect: Dialect,
        schema: &[&str],
    ) -> Result<Self, QueryError> {
        let mut views = Self::default();
        if wanted.is_empty() {
            for (name, query) in catalog.iter() {
                match view(name, query, dialect, schema)? {
                    Ok(view) => views.made.push(view),
                    Err(reason) => views.left_out.push(SkippedView { name: name.to_owned(), reason }),
                }
            }
            return Ok(views);
        }
        for (at, name) in wanted.iter().enumerate() {
            if wanted[..at].contains(name) {
                continue;
            }
            let view = view(name, catalog.get(name)?, dialect, schema)?;
            views.made.push(view.map_err(|reason| QueryError::Usage(format!("--view {name}: {reason}")))?);
        }
        Ok(views)
    }
}

/// The view, or the reason why the query can't be one.
fn view(
    name: &str,
    query: &NamedQuery,
    dialect: Dialect,
    schema: &[&str],
) -> Result<Result<EngineView, String>, QueryError> {
    if TABLES.contains(&name) {
        return Err(QueryError::Usage(format!(
            "the query {name} of --sql-dir has the name of a table: rename its file, or choose others with --view"
        )));
    }
    let columns = query.header.columns.clone();
    match ParsedStatement::parse(query.text_for(dialect))?.view_body(dialect, schema) {
        Ok(body) => Ok(Ok(EngineView { name: name.to_owned(), body, columns })),
        Err(QueryError::Usage(reason)) => Ok(Err(reason)),
        Err(error) => Err(error),
    }
}

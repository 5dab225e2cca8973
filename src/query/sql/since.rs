//! The lower bound of time of a statement that reads a last stretch of time, such as `latest`.

use chrono_tz::Tz;

use crate::query::sql::scope::TickScope;

/// How far back a statement reads, and for which symbols.
#[derive(Debug, Clone)]
pub(in crate::query) struct SinceBound {
    /// The name of the parameter, such as `since`.
    pub(in crate::query) param: String,
    /// As the user wrote it, or the default.
    pub(in crate::query) text: String,
    /// The named query that is read as a table.
    pub(in crate::query) of_query: Option<String>,
    pub(in crate::query) scope: TickScope,
    pub(in crate::query) zone: Tz,
}

impl SinceBound {
    /// The same, where the named query is read as a table.
    pub(in crate::query) fn of_table(self, query: &str) -> Self {
        Self { of_query: Some(query.to_owned()), ..self }
    }

    /// The argument that makes the statement begin at `day`.
    pub(in crate::query) fn way_out(&self, day: &str) -> String {
        match &self.of_query {
            Some(query) => format!("{query}({} => '{day}')", self.param),
            None => format!("--param {}={day}", self.param),
        }
    }
}

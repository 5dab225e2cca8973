//! How far back a statement looks, as `latest` does.

use chrono_tz::Tz;

use crate::query::sql::scope::TickScope;

/// How far back a statement looks, and at whose ticks.
#[derive(Debug, Clone)]
pub(in crate::query) struct SinceBound {
    /// As `since`.
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

    /// What to write for it to begin at `day`.
    pub(in crate::query) fn way_out(&self, day: &str) -> String {
        match &self.of_query {
            Some(query) => format!("{query}({} => '{day}')", self.param),
            None => format!("--param {}={day}", self.param),
        }
    }
}

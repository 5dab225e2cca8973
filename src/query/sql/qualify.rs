//! Names the tables of a lake in full, as `schema.ticks`, because a view may be read from anywhere.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, Statement as SqlStatement, TableFactor, VisitMut, VisitorMut,
};

use crate::query::error::QueryError;
use crate::query::session::tables::{DEAD_LETTERS, TICKS};
use crate::query::sql::dialect::Dialect;
use crate::query::sql::idents::is_called;

/// # Errors
/// The statement reads something else than the tables of the lake, or hides one of them.
pub(in crate::query) fn qualify(
    statement: &mut SqlStatement,
    dialect: Dialect,
    schema: &[&str],
) -> Result<(), QueryError> {
    let schema = schema.iter().map(|part| Ident::with_quote(dialect.identifier_quote(), *part)).collect();
    let mut names = TableQualifier { schema, quote: dialect.identifier_quote(), defined: Vec::new() };
    match statement.visit(&mut names) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(problem) => Err(QueryError::usage(problem)),
    }
}

struct TableQualifier {
    schema: Vec<Ident>,
    quote: char,
    /// By WITH clauses, wherever they are.
    defined: Vec<Ident>,
}

fn table_of(ident: &Ident) -> Option<&'static str> {
    [TICKS, DEAD_LETTERS].into_iter().find(|table| is_called(ident, table))
}

impl VisitorMut for TableQualifier {
    type Break = String;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<String> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            if let Some(table) = table_of(&cte.alias.name) {
                return ControlFlow::Break(format!(
                    "its WITH clause names something {table}, which hides the table: rename it"
                ));
            }
            self.defined.push(cte.alias.name.clone());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<String> {
        let TableFactor::Table { name, args: None, .. } = factor else { return ControlFlow::Continue(()) };
        let ident = match name.0.as_slice() {
            [part] => part.as_ident().cloned(),
            _ => None,
        };
        match ident {
            Some(ident) if table_of(&ident).is_some() => {
                let table = table_of(&ident).map(|table| Ident::with_quote(self.quote, table));
                *name = ObjectName::from(self.schema.iter().cloned().chain(table).collect::<Vec<_>>());
                ControlFlow::Continue(())
            }
            Some(ident) if self.defined.iter().any(|known| is_called(known, &ident.value)) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(format!("it reads {name}, which is no table of the lake")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::sql::statement::ParsedStatement;

    fn body(sql: &str, dialect: Dialect, schema: &[&str]) -> Result<String, String> {
        let parsed = ParsedStatement::parse(sql).map_err(|error| error.to_string())?;
        let body = parsed.view_body(dialect, schema).map_err(|error| error.to_string())?;
        Ok(body.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn tables_are_named_in_full() {
        let sql = "WITH a AS (SELECT symbol FROM ticks) SELECT a.symbol FROM A JOIN TICKS t ON t.symbol = a.symbol \
                   WHERE a.symbol IN (SELECT detail FROM dead_letters);";
        assert_eq!(
            body(sql, Dialect::Trino, &["delta", "x\"y"]).unwrap(),
            "WITH a AS ( SELECT symbol FROM \"delta\".\"x\"\"y\".\"ticks\" ) SELECT a.symbol FROM A JOIN \
             \"delta\".\"x\"\"y\".\"ticks\" t ON t.symbol = a.symbol WHERE a.symbol IN (SELECT detail FROM \
             \"delta\".\"x\"\"y\".\"dead_letters\")"
        );
        assert_eq!(body("SELECT 1 FROM ticks", Dialect::Spark, &["lake"]).unwrap(), "SELECT 1 FROM `lake`.`ticks`");
    }

    #[test]
    fn what_a_view_can_t_say_is_refused() {
        for (sql, word) in [
            ("SELECT * FROM sectors", "it reads sectors"),
            ("SELECT * FROM other.ticks", "it reads other.ticks"),
            ("WITH ticks AS (SELECT 1) SELECT * FROM ticks", "hides the table"),
            ("EXPLAIN SELECT * FROM ticks", "no SELECT"),
            ("-- param since time today x\nSELECT * FROM ticks WHERE ts > $since", "as in 1d"),
            ("SELECT ema(close, 3) OVER (ORDER BY ts) FROM ticks", "window function of tickhouse"),
        ] {
            let error = body(sql, Dialect::Duckdb, &["lake"]).unwrap_err();
            assert!(error.contains(word), "{sql}: {error}");
        }
    }

    #[test]
    fn times_are_counted_back_from_when_the_view_is_read() {
        for (default, literal) in [
            ("7d", "(CURRENT_TIMESTAMP - INTERVAL '7' DAY)"),
            ("2026-01-02", "TIMESTAMPTZ '2026-01-02 00:00:00+00:00'"),
            ("2026-01-02T03:04:05", "TIMESTAMPTZ '2026-01-02 03:04:05+00:00'"),
        ] {
            let sql = format!("-- param since time {default} x\nSELECT 1 FROM ticks WHERE ts >= $since");
            let expected = format!("SELECT 1 FROM \"lake\".\"ticks\" WHERE ts >= {literal}");
            assert_eq!(body(&sql, Dialect::Duckdb, &["lake"]).unwrap(), expected);
        }
    }

    #[test]
    fn a_backslash_in_a_string_stays_one() {
        let sql = r"SELECT 'a\b''c' FROM ticks";
        assert!(body(sql, Dialect::Clickhouse, &["l"]).unwrap().starts_with(r"SELECT 'a\\b''c'"));
        assert!(body(sql, Dialect::Duckdb, &["l"]).unwrap().starts_with(r"SELECT 'a\b''c'"));
    }
}

//! Named queries as tables: `SELECT * FROM sma_crossover(fast => 5) WHERE signal = 'Buy'`.
//!
//! A name that is no table of the session and no WITH of the statement stands for the query, as `query NAME` runs it:
//! with its warm-up, for the symbols and the range that are asked for. What the statement reads of `ticks` itself is
//! restricted as in any other.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Query, Statement as SqlStatement, TableAlias, TableFactor,
    UnaryOperator, Value, Visit, VisitMut, Visitor, VisitorMut,
};

use crate::query::error::QueryError;
use crate::query::named::demand::RowDemand;
use crate::query::named::embedded::NamedQueries;
use crate::query::named::request::QueryRequest;
use crate::query::sql::dialect::Dialect;
use crate::query::sql::idents::folded;
use crate::query::sql::scope::TickScope;
use crate::query::sql::since::SinceBound;
use crate::query::sql::statement::ParsedStatement;
use crate::query::sql::time_text::QueryClock;

/// The tables and named queries that a statement can refer to.
#[derive(Debug, Clone, Copy)]
pub struct NamedTables<'a> {
    pub catalog: &'a NamedQueries,
    pub dialect: Dialect,
    /// Tables of the session; they take precedence over named queries.
    pub tables: &'a [&'a str],
}

/// The named queries that a statement was expanded with.
#[derive(Debug, Default)]
struct ExpandedNames {
    queries: usize,
    /// The demand of the last of them.
    demand: Option<Box<RowDemand>>,
    /// The bound of the first named query that has one.
    since: Option<SinceBound>,
}

impl QueryRequest {
    /// As [`Self::prepare`], where the statement may read named queries as tables.
    ///
    /// # Errors
    /// As [`Self::prepare`], also of these queries.
    pub fn prepare_over(
        &self,
        text: &str,
        clock: QueryClock,
        named: NamedTables<'_>,
    ) -> Result<ParsedStatement, QueryError> {
        let mut parsed = ParsedStatement::parse(text)?;
        parsed.resolve_names(named)?;
        if !parsed.reads_named(named) {
            let mut prepared = self.prepare(text, clock)?;
            prepared.queries = parsed.queries;
            return Ok(prepared);
        }
        let (params, end) = self.apply_lookback(&parsed, clock)?;
        parsed.show(&TickScope::default());
        parsed.bind_at(&params, &end)?;
        let reads_ticks = parsed.reads_table(self.table);
        if reads_ticks {
            parsed.restrict_table(&self.scope(&clock)?, self.table)?;
        }
        parsed.expand(self, clock, named, reads_ticks)?;
        Ok(parsed)
    }
}

impl ParsedStatement {
    fn reads_named(&self, named: NamedTables<'_>) -> bool {
        self.clone().query_mut().is_some_and(|statement| count(statement, named) > 0)
    }

    /// Stores the names of the known queries, and rewrites DESCRIBE of one of them.
    ///
    /// # Errors
    /// A name can't be selected from.
    fn resolve_names(&mut self, named: NamedTables<'_>) -> Result<(), QueryError> {
        self.queries = named.catalog.iter().map(|(name, _)| name.to_owned()).collect();
        if let Some(statement) = self.query_mut() {
            self.is_described = select_described(statement, named)?;
        }
        Ok(())
    }

    /// Replaces the names of queries by the queries.
    fn expand(
        &mut self,
        ask: &QueryRequest,
        clock: QueryClock,
        named: NamedTables<'_>,
        reads_ticks: bool,
    ) -> Result<(), QueryError> {
        let Some(statement) = self.query_mut() else { return Ok(()) };
        let expanded = expand(statement, ask, clock, named)?;
        // A bound for the rows of one query is not valid for another.
        self.demand = expanded.demand.filter(|_| expanded.queries == 1 && !reads_ticks);
        self.since = expanded.since;
        Ok(())
    }
}

/// How many named queries the statement reads.
fn count(statement: &SqlStatement, named: NamedTables<'_>) -> usize {
    let hidden = hidden(statement);
    struct NameCounter<'a> {
        named: NamedTables<'a>,
        hidden: &'a [String],
        found: usize,
    }
    impl Visitor for NameCounter<'_> {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { name, .. } = factor {
                self.found += usize::from(query_name(name, self.named, self.hidden).is_some());
            }
            ControlFlow::Continue(())
        }
    }
    let mut found = NameCounter { named, hidden: &hidden, found: 0 };
    let (ControlFlow::Continue(()) | ControlFlow::Break(())) = statement.visit(&mut found);
    found.found
}

/// Replaces the names of queries by the queries.
///
/// # Errors
/// A query has no such parameter.
fn expand(
    statement: &mut SqlStatement,
    ask: &QueryRequest,
    clock: QueryClock,
    named: NamedTables<'_>,
) -> Result<ExpandedNames, QueryError> {
    let hidden = hidden(statement);
    let mut expand = NameExpander { ask, clock, named, hidden, expanded: ExpandedNames::default() };
    match statement.visit(&mut expand) {
        ControlFlow::Continue(()) => Ok(expand.expanded),
        ControlFlow::Break(error) => Err(error),
    }
}

/// `DESCRIBE NAME` of a named query becomes a statement with its columns; false of anything else.
///
/// # Errors
/// The name can't be selected from.
fn select_described(statement: &mut SqlStatement, named: NamedTables<'_>) -> Result<bool, QueryError> {
    let SqlStatement::ExplainTable { table_name, .. } = statement else { return Ok(false) };
    let Some(name) = query_name(table_name, named, &[]) else { return Ok(false) };
    *statement = ParsedStatement::parse(&format!("SELECT * FROM {name}"))?.into_statement()?;
    Ok(true)
}

/// Names of its WITH clauses.
fn hidden(statement: &SqlStatement) -> Vec<String> {
    struct CteNames(Vec<String>);
    impl Visitor for CteNames {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            let tables = query.with.iter().flat_map(|with| &with.cte_tables);
            self.0.extend(tables.map(|table| folded(&table.alias.name)));
            ControlFlow::Continue(())
        }
    }
    let mut names = CteNames(Vec::new());
    let (ControlFlow::Continue(()) | ControlFlow::Break(())) = statement.visit(&mut names);
    names.0
}

/// The query that a name stands for.
fn query_name(name: &ObjectName, named: NamedTables<'_>, hidden: &[String]) -> Option<String> {
    let [part] = name.0.as_slice() else { return None };
    let name = folded(part.as_ident()?);
    let is_free = !hidden.contains(&name) && !named.tables.contains(&name.as_str());
    (is_free && named.catalog.iter().any(|(query, _)| query == name)).then_some(name)
}

struct NameExpander<'a> {
    ask: &'a QueryRequest,
    clock: QueryClock,
    named: NamedTables<'a>,
    hidden: Vec<String>,
    expanded: ExpandedNames,
}

impl NameExpander<'_> {
    fn query(&mut self, name: &str, args: &[FunctionArg]) -> Result<(Query, Option<Box<RowDemand>>), QueryError> {
        let params = args.iter().map(|arg| parameter(name, arg)).collect::<Result<Vec<_>, _>>()?;
        let ask = QueryRequest { params, ..self.ask.clone() };
        let text = self.named.catalog.get(name)?.text_for(self.named.dialect);
        let parsed = ask.prepare(text, self.clock)?;
        let since = || parsed.since.clone().map(|since| since.of_table(name));
        self.expanded.since = self.expanded.since.take().or_else(since);
        parsed.into_query().ok_or_else(|| QueryError::Usage(format!("{name} is no SELECT")))
    }
}

impl VisitorMut for NameExpander<'_> {
    type Break = QueryError;

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<QueryError> {
        let TableFactor::Table { name, alias, args, .. } = factor else { return ControlFlow::Continue(()) };
        let Some(name) = query_name(name, self.named, &self.hidden) else { return ControlFlow::Continue(()) };
        let given = args.as_ref().map(|args| args.args.as_slice()).unwrap_or_default();
        let (query, demand) = match self.query(&name, given) {
            Ok(query) => query,
            Err(error) => return ControlFlow::Break(error),
        };
        let alias = alias
            .take()
            .or_else(|| Some(TableAlias { explicit: true, name: Ident::new(name), columns: Vec::new(), at: None }));
        *factor = TableFactor::Derived { lateral: false, subquery: Box::new(query), alias, sample: None };
        self.expanded.queries += 1;
        self.expanded.demand = demand;
        ControlFlow::Continue(())
    }
}

/// `fast => 5` as `--param fast=5` has it.
fn parameter(query: &str, arg: &FunctionArg) -> Result<(String, String), QueryError> {
    let wrong = || QueryError::Usage(format!("{query}({arg}): write parameters as in bars(interval => '1h')"));
    let FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } = arg else { return Err(wrong()) };
    let value = match value {
        Expr::Value(value) => literal(&value.value).ok_or_else(wrong)?,
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(value) => format!("-{}", literal(&value.value).ok_or_else(wrong)?),
            _ => return Err(wrong()),
        },
        _ => return Err(wrong()),
    };
    Ok((folded(name), value))
}

fn literal(value: &Value) -> Option<String> {
    match value {
        Value::Number(text, _) | Value::SingleQuotedString(text) => Some(text.clone()),
        Value::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(sql: &str, ask: &QueryRequest) -> Result<String, QueryError> {
        let catalog = NamedQueries::load(None).unwrap();
        let named = NamedTables { catalog: &catalog, dialect: Dialect::Tickhouse, tables: &["ticks", "vwap"] };
        let clock = QueryClock { zone: chrono_tz::UTC, now: "2026-01-10T00:00:00Z".parse().unwrap() };
        ask.prepare_over(sql, clock, named).map(|parsed| parsed.statement().to_string())
    }

    fn ask() -> QueryRequest {
        let (symbols, params) = (Vec::new(), Vec::new());
        QueryRequest { table: "ticks", symbols, from: None, to: None, params, cold: false, mark: "--" }
    }

    #[test]
    fn a_name_stands_for_the_query() {
        let text = prepared("SELECT * FROM Sma_Crossover WHERE signal = 'Buy'", &ask()).unwrap();
        assert!(text.starts_with("SELECT * FROM (WITH means AS (") && text.contains("8 PRECEDING"), "{text}");
        assert!(text.ends_with(") AS sma_crossover WHERE signal = 'Buy'"), "{text}");
        let text = prepared("SELECT * FROM sma_crossover(fast => 5, slow => 20) s JOIN ticks USING (symbol)", &ask());
        let text = text.unwrap();
        assert!(text.contains("4 PRECEDING") && text.contains(") s JOIN ticks USING"), "{text}");
        let ask = QueryRequest { symbols: vec!["A".to_owned()], from: Some("2026-01-05".to_owned()), ..ask() };
        let text = prepared("SELECT count(*) FROM bars(interval => '1h'), ticks", &ask).unwrap();
        assert_eq!(text.matches("symbol IN ('A')").count(), 2, "{text}");
        assert!(text.contains("trade_date >= DATE '2026-01-05') AS ticks"), "{text}");
    }

    #[test]
    fn a_described_name_is_selected_from() {
        let text = prepared("DESCRIBE sma_crossover", &ask()).unwrap();
        assert!(text.starts_with("SELECT * FROM (WITH means AS ("), "{text}");
        assert_eq!(prepared("DESCRIBE vwap", &ask()).unwrap(), "DESCRIBE vwap");
    }

    #[test]
    fn tables_and_with_clauses_come_first() {
        for sql in ["SELECT * FROM vwap", "WITH obv AS (SELECT 1 AS x) SELECT * FROM obv", "SELECT * FROM other.obv"] {
            assert_eq!(prepared(sql, &ask()).unwrap(), sql);
        }
    }

    #[test]
    fn wrong_parameters_name_the_fix() {
        for (sql, word) in [
            ("SELECT * FROM bars('1h')", "bars(interval => '1h')"),
            ("SELECT * FROM bars(interval => 1 + 1)", "bars(interval => '1h')"),
            ("SELECT * FROM bars(intervall => '1h')", "did you mean 'interval'?"),
            ("SELECT * FROM sma_crossover(fast => -1)", "no number of rows"),
        ] {
            let error = prepared(sql, &ask()).unwrap_err().to_string();
            assert!(error.contains(word), "{sql}: {error}");
        }
    }
}

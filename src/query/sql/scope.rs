//! Which ticks a query reads at all: symbols and a time range, put into the statement below its windows.
//!
//! A window at the beginning of the range does not see the ticks before it, so means begin as NULL there; what named
//! queries read beyond it is said by their [warm-up](crate::query::named::warm_up).

use std::ops::ControlFlow;

use chrono::{DateTime, NaiveDate, Utc};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, ObjectName, Query, SetExpr, Statement as SqlStatement, TableAlias, TableFactor, Value,
    VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::query::error::QueryError;
use crate::query::sql::idents::is_called;
use crate::query::sql::literal::{date_literal, timestamp_literal};
use crate::query::sql::time_text::{QueryClock, ResolvedTime, TimeExpression};

/// One end of a range of ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeBound {
    /// A trade date: a day in the market's zone.
    Date(NaiveDate),
    Time(DateTime<Utc>),
}

impl TimeBound {
    /// Reads `2026-11-20`, `yesterday` (trade dates), `2026-11-20T14:30:00Z`, `2h` (ago) or, as a local time of the
    /// clock's zone, `2026-11-20T14:30:00`.
    ///
    /// # Errors
    /// The text is none of these, or a local time that the zone skips or repeats.
    pub fn parse(text: &str, clock: &QueryClock) -> Result<Self, String> {
        Ok(match TimeExpression::parse(text)?.fix(clock)? {
            ResolvedTime::Date(date) => Self::Date(date),
            ResolvedTime::Time(time) => Self::Time(time),
        })
    }

    /// `column >= bound` or `column < bound`.
    fn compare(self, op: BinaryOperator) -> Expr {
        match self {
            Self::Date(date) => binary(column_named("trade_date"), op, date_literal(date)),
            Self::Time(time) => binary(column_named("ts"), op, timestamp_literal(time)),
        }
    }
}

/// Ticks of these symbols in `[from, to)`; empty and `None` leave everything in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TickScope {
    pub symbols: Vec<String>,
    pub from: Option<TimeBound>,
    pub to: Option<TimeBound>,
}

impl TickScope {
    pub fn is_everything(&self) -> bool {
        self.symbols.is_empty() && self.from.is_none() && self.to.is_none()
    }

    /// Replaces every `table` (such as ticks) of the statement by a subquery with the restriction.
    pub(in crate::query) fn apply(&self, statement: &mut SqlStatement, table: &str) -> Result<(), QueryError> {
        match self.condition() {
            Some(condition) => restrict(statement, table, condition),
            None => Ok(()),
        }
    }

    /// `None` leaves everything in.
    pub(in crate::query) fn condition(&self) -> Option<Expr> {
        let string = |symbol: &String| Expr::value(Value::SingleQuotedString(symbol.clone()));
        let symbols = (!self.symbols.is_empty()).then(|| Expr::InList {
            expr: Box::new(column_named("symbol")),
            list: self.symbols.iter().map(string).collect(),
            negated: false,
        });
        let from = self.from.map(|bound| bound.compare(BinaryOperator::GtEq));
        let to = self.to.map(|bound| bound.compare(BinaryOperator::Lt));
        [symbols, from, to].into_iter().flatten().reduce(|all, next| binary(all, BinaryOperator::And, next))
    }
}

/// Replaces every `table` of the statement by a subquery with the condition.
pub(in crate::query) fn restrict(statement: &mut SqlStatement, table: &str, condition: Expr) -> Result<(), QueryError> {
    let mut narrow = ScopeRewriter { table, condition, template: template(table), replaced: 0 };
    match statement.visit(&mut narrow) {
        ControlFlow::Break(problem) => Err(QueryError::usage(problem)),
        ControlFlow::Continue(()) if narrow.replaced == 0 => Err(QueryError::usage(format!(
            "--symbol, --from and --to restrict {table}, which the statement does not read"
        ))),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Whether the statement reads the table.
pub(in crate::query) fn reads(statement: &mut SqlStatement, table: &str) -> bool {
    let condition = Expr::value(Value::Boolean(true));
    let mut narrow = ScopeRewriter { table, condition, template: template(table), replaced: 0 };
    let (ControlFlow::Continue(()) | ControlFlow::Break(_)) = statement.visit(&mut narrow);
    narrow.replaced > 0
}

/// Replaces the only subquery in FROM by a query.
pub(in crate::query) fn put_inside(statement: &mut SqlStatement, inner: Query) {
    let SqlStatement::Query(outer) = statement else { return };
    if let SetExpr::Select(select) = outer.body.as_mut()
        && let Some(from) = select.from.first_mut()
        && let TableFactor::Derived { subquery, .. } = &mut from.relation
    {
        **subquery = inner;
    }
}

/// Ticks since a time, of these symbols since another one; `None` is since ever.
pub(in crate::query) fn since(
    time: Option<TimeBound>,
    symbols: Vec<String>,
    theirs: Option<TimeBound>,
) -> Option<Expr> {
    let time = time?.compare(BinaryOperator::GtEq);
    if symbols.is_empty() {
        return Some(time);
    }
    let theirs = TickScope { symbols, from: theirs, to: None }.condition()?;
    let either = binary(time, BinaryOperator::Or, Expr::Nested(Box::new(theirs)));
    Some(Expr::Nested(Box::new(either)))
}

fn column_named(name: &str) -> Expr {
    Expr::Identifier(Ident::new(name))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// `SELECT * FROM ticks WHERE TRUE`, whose table and condition are then replaced.
fn template(table: &str) -> Query {
    let sql = format!("SELECT * FROM {table} WHERE TRUE");
    let parser = Parser::new(&GenericDialect {}).try_with_sql(&sql);
    let query = parser.and_then(|mut parser| parser.parse_query());
    *query.expect("the text is a query")
}

struct ScopeRewriter<'a> {
    table: &'a str,
    condition: Expr,
    template: Query,
    replaced: usize,
}

impl ScopeRewriter<'_> {
    fn is_meant(&self, name: &ObjectName) -> bool {
        let last = name.0.last().and_then(|part| part.as_ident());
        last.is_some_and(|ident| is_called(ident, self.table))
    }
}

impl VisitorMut for ScopeRewriter<'_> {
    type Break = String;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<String> {
        let named = |alias: &TableAlias| self.is_meant(&ObjectName::from(vec![alias.name.clone()]));
        if query.with.iter().flat_map(|with| &with.cte_tables).any(|cte| named(&cte.alias)) {
            return ControlFlow::Break(format!(
                "the WITH clause names something {}, which hides the table: rename it to use --symbol, --from and --to",
                self.table
            ));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<String> {
        let TableFactor::Table { name, alias, args: None, sample, .. } = factor else {
            return ControlFlow::Continue(());
        };
        if !self.is_meant(name) {
            return ControlFlow::Continue(());
        }
        let sample = sample.take();
        let alias = alias.take().or_else(|| {
            Some(TableAlias { explicit: true, name: Ident::new(self.table), columns: Vec::new(), at: None })
        });
        let mut subquery = self.template.clone();
        if let SetExpr::Select(select) = subquery.body.as_mut() {
            select.selection = Some(self.condition.clone());
            if let Some(from) = select.from.first_mut() {
                from.relation = factor.clone();
            }
        }
        *factor = TableFactor::Derived { lateral: false, subquery: Box::new(subquery), alias, sample };
        self.replaced += 1;
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::sql::statement::ParsedStatement;

    fn scope(symbols: &[&str], from: Option<&str>, to: Option<&str>) -> TickScope {
        let clock = QueryClock::system(chrono_tz::UTC);
        let bound = |text: &str| TimeBound::parse(text, &clock).unwrap();
        TickScope {
            symbols: symbols.iter().map(|s| (*s).to_owned()).collect(),
            from: from.map(bound),
            to: to.map(bound),
        }
    }

    fn restricted(sql: &str, scope: &TickScope) -> Result<String, QueryError> {
        let mut parsed = ParsedStatement::parse(sql)?;
        parsed.restrict(scope)?;
        Ok(parsed.statement().to_string())
    }

    #[test]
    fn every_reference_is_restricted_below_the_windows() {
        let scope = scope(&["AAPL", "x'y"], Some("2026-01-02"), Some("2026-01-03T10:00:00Z"));
        let inner = "(SELECT * FROM ticks WHERE symbol IN ('AAPL', 'x''y') AND trade_date >= DATE '2026-01-02' \
                     AND ts < TIMESTAMP '2026-01-03 10:00:00+00:00')";
        let text = restricted("SELECT t.symbol FROM TICKS t JOIN ticks ON TRUE", &scope).unwrap();
        let upper = inner.replace("FROM ticks", "FROM TICKS");
        assert_eq!(text, format!("SELECT t.symbol FROM {upper} t JOIN {inner} AS ticks ON true"));
        let text = restricted("EXPLAIN WITH a AS (SELECT * FROM ticks) SELECT * FROM a", &scope).unwrap();
        assert!(text.contains(inner), "{text}");
    }

    #[test]
    fn a_restriction_that_does_nothing_is_an_error() {
        let one = scope(&["A"], None, None);
        for (sql, word) in [
            ("SELECT * FROM dead_letters", "does not read"),
            ("SELECT 'ticks'", "does not read"),
            ("WITH ticks AS (SELECT 1) SELECT * FROM ticks", "rename it"),
        ] {
            let error = restricted(sql, &one).unwrap_err();
            assert!(matches!(&error, QueryError::Usage(text) if text.contains(word)), "{error}");
        }
        assert!(restricted("SELECT 1", &TickScope::default()).is_ok());
    }

    #[test]
    fn bounds_are_dates_or_instants() {
        let time = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
        let clock = QueryClock { zone: chrono_tz::America::New_York, now: time("2026-07-02T02:00:00Z") };
        let bound = |text: &str| TimeBound::parse(text, &clock);
        assert_eq!(bound("2026-07-01T09:30"), Ok(TimeBound::Time(time("2026-07-01T13:30:00Z"))));
        assert_eq!(bound("90m"), Ok(TimeBound::Time(time("2026-07-02T00:30:00Z"))));
        assert_eq!(bound("yesterday"), Ok(TimeBound::Date("2026-06-30".parse().unwrap())));
        assert!(bound("2026-11-01T01:30").unwrap_err().contains("offset"));
        assert!(bound("tomorrow").unwrap_err().contains("2026-11-20"));
    }
}

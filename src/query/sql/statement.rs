//! One parsed statement: parameters bound, ticks restricted, ready to plan or to paste elsewhere.

use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    Expr, Query, Statement as SqlStatement, Value, ValueWithSpan, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::query::error::QueryError;
use crate::query::named::demand::{RowDemand, SymbolProbe};
use crate::query::named::header::QueryHeader;
use crate::query::operators::indicators::first_call;
use crate::query::session::tables::TICKS;
use crate::query::sql::depth::{MOST_OPERATORS, longest_chain};
use crate::query::sql::dialect::Dialect;
use crate::query::sql::names::name_columns;
use crate::query::sql::params::{self, Now, ParamValue};
use crate::query::sql::problems::ignored_clauses;
use crate::query::sql::problems::problem::SqlProblem;
use crate::query::sql::qualify::qualify;
use crate::query::sql::scope::{self, TickScope};
use crate::query::sql::since::SinceBound;
use crate::query::sql::time_text::{QueryClock, TimeExpression};
use crate::query::sql::{named_windows, range_placeholder};

#[derive(Debug, Clone)]
pub struct ParsedStatement {
    text: String,
    header: QueryHeader,
    statement: Statement,
    /// Rows before its range that it needs, and that the tables bound.
    pub(in crate::query) demand: Option<Box<RowDemand>>,
    /// How far back the statement reads.
    pub(in crate::query) since: Option<SinceBound>,
    /// Only the columns of the statement are asked for.
    pub(in crate::query) is_described: bool,
    /// Named queries that could have been read.
    pub(in crate::query) queries: Vec<String>,
}

impl ParsedStatement {
    /// # Errors
    /// The text is not exactly one statement, or its header declares parameters wrongly.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let header = QueryHeader::parse(text).map_err(QueryError::Usage)?;
        let operators = longest_chain(text);
        if operators > MOST_OPERATORS {
            return Err(QueryError::Usage(format!(
                "an expression chains {operators} operators, more than {MOST_OPERATORS}: use IN (..), or join a file \
                 with --register"
            )));
        }
        let parser = DFParserBuilder::new(text).with_dialect(&GenericDialect {}).build();
        let statements = parser.and_then(|mut parser| parser.parse_statements());
        let mut statements = statements.map_err(|error| QueryError::Sql(Box::new(SqlProblem::syntax(text, &error))))?;
        match (statements.pop_front(), statements.len()) {
            (Some(mut statement), 0) => {
                if let Some(query) = query_of(&mut statement) {
                    ignored_clauses::refuse(query)?;
                    named_windows::resolve(query)?;
                }
                Ok(Self::of(text.to_owned(), header, statement))
            }
            (Some(_), more) => {
                Err(QueryError::usage(format!("the text holds {} statements: give one at a time", more + 1)))
            }
            (None, _) => Err(QueryError::usage("the text holds no statement")),
        }
    }

    /// As [`Self::bind_at`] now, in UTC.
    ///
    /// # Errors
    /// As [`Self::bind_at`].
    pub fn bind(&mut self, given: &[(String, String)]) -> Result<(), QueryError> {
        self.bind_at(given, &QueryClock::system(chrono_tz::UTC))
    }

    /// # Errors
    /// A parameter is unknown, given twice or of the wrong form.
    pub fn bind_at(&mut self, given: &[(String, String)], clock: &QueryClock) -> Result<(), QueryError> {
        self.show(&TickScope::default());
        match query_of(&mut self.statement) {
            Some(statement) => params::bind(statement, &self.header.params, given, Now::Is(clock)),
            None => Ok(()),
        }
    }

    /// The parameters that say how far back a query reads, and their defaults, as `since` with 7d.
    pub(in crate::query) fn lookback_params(&self) -> impl Iterator<Item = (&str, TimeExpression)> {
        self.header.params.iter().filter_map(|param| match param.default {
            ParamValue::Time(ago @ TimeExpression::Ago(_)) => Some((param.name.as_str(), ago)),
            _ => None,
        })
    }

    /// Shows only rows of this range, where the text of a named query says `$range`; all of them for an empty one.
    pub(in crate::query) fn show(&mut self, range: &TickScope) {
        if self.header.warm_up.is_some()
            && let Some(statement) = query_of(&mut self.statement)
        {
            range_placeholder::show(statement, range.condition());
        }
    }

    /// The body of a view of another engine: values are the defaults, a length of time is counted back from when the
    /// view is read, and the tables of the lake are those of `schema`.
    ///
    /// # Errors
    /// The statement is no query, the engine can't say it, or it reads something else than the tables of the lake.
    pub fn view_body(mut self, dialect: Dialect, schema: &[&str]) -> Result<String, QueryError> {
        self.show(&TickScope::default());
        match &mut self.statement {
            Statement::Statement(statement) if matches!(**statement, SqlStatement::Query(_)) => {
                params::bind(statement, &self.header.params, &[], Now::WhenRead)?;
                qualify(statement, dialect, schema)?;
            }
            _ => return Err(QueryError::usage("it is no SELECT")),
        }
        let mut text = self.to_sql_for(dialect)?;
        text.truncate(text.trim_end_matches(';').len());
        Ok(text)
    }

    /// Restricts what the statement reads of `ticks`, before any window or group sees it.
    ///
    /// # Errors
    /// The statement doesn't read `ticks`, so the restriction would do nothing.
    pub fn restrict(&mut self, scope: &TickScope) -> Result<(), QueryError> {
        self.restrict_table(scope, TICKS)
    }

    /// The same for another table that has symbols, times and trade dates.
    ///
    /// # Errors
    /// As [`Self::restrict`].
    pub fn restrict_table(&mut self, scope: &TickScope, table: &str) -> Result<(), QueryError> {
        if scope.is_everything() {
            return Ok(());
        }
        match query_of(&mut self.statement) {
            Some(statement) => scope.apply(statement, table),
            None => Ok(()),
        }
    }

    /// As [`Self::restrict_table`] by a condition.
    pub(in crate::query) fn narrow(&mut self, table: &str, condition: Expr) -> Result<(), QueryError> {
        match query_of(&mut self.statement) {
            Some(statement) => scope::restrict(statement, table, condition),
            None => Ok(()),
        }
    }

    /// The statement of `text`, whose `(SELECT 1)` becomes this one.
    pub(in crate::query) fn inside(self, text: &str) -> Result<Self, QueryError> {
        let mut outer = Self::parse(text)?;
        if let (Some(statement), Statement::Statement(inner)) = (query_of(&mut outer.statement), self.statement)
            && let SqlStatement::Query(inner) = *inner
        {
            scope::put_inside(statement, *inner);
        }
        Ok(outer)
    }

    /// The SQL inside, also below EXPLAIN; `None` for statements that are never run here.
    pub(in crate::query) fn query_mut(&mut self) -> Option<&mut SqlStatement> {
        query_of(&mut self.statement)
    }

    pub(in crate::query) fn into_probe(self) -> SymbolProbe {
        SymbolProbe { text: self.text, statement: self.statement }
    }

    pub(in crate::query) fn of_probe(probe: SymbolProbe) -> Self {
        Self::of(probe.text, QueryHeader::default(), probe.statement)
    }

    fn of(text: String, header: QueryHeader, statement: Statement) -> Self {
        Self { text, header, statement, demand: None, since: None, is_described: false, queries: Vec::new() }
    }

    pub(in crate::query) fn reads_table(&self, table: &str) -> bool {
        let mut statement = self.statement.clone();
        query_of(&mut statement).is_some_and(|statement| scope::reads(statement, table))
    }

    /// `SHOW TABLES`, without more words.
    pub(in crate::query) fn shows_tables(&self) -> bool {
        match &self.statement {
            Statement::Statement(statement) if matches!(**statement, SqlStatement::ShowTables { .. }) => {
                statement.to_string() == "SHOW TABLES"
            }
            _ => false,
        }
    }

    pub(in crate::query) fn into_statement(self) -> Result<SqlStatement, QueryError> {
        match self.statement {
            Statement::Statement(statement) => Ok(*statement),
            _ => Err(QueryError::usage("it is no statement of SQL")),
        }
    }

    /// The query and what it demands of the rows before its range.
    pub(in crate::query) fn into_query(self) -> Option<(Query, Option<Box<RowDemand>>)> {
        let Statement::Statement(statement) = self.statement else { return None };
        match *statement {
            SqlStatement::Query(query) => Some((*query, self.demand)),
            _ => None,
        }
    }

    /// Changes rows or settings, which is reported before anything else about it.
    pub(in crate::query) fn writes(&self) -> bool {
        use SqlStatement::{Delete, Insert, Merge, Set, Truncate, Update};
        let Statement::Statement(statement) = &self.statement else { return false };
        matches!(**statement, Delete(_) | Insert(_) | Merge { .. } | Set(_) | Truncate { .. } | Update { .. })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn header(&self) -> &QueryHeader {
        &self.header
    }

    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// As it is planned here: columns without a name are called by their expression.
    pub(in crate::query) fn named(&self) -> Statement {
        let mut statement = self.statement.clone();
        if let Some(statement) = query_of(&mut statement) {
            name_columns(statement);
        }
        statement
    }

    /// The statement with all literals filled in, ready to paste.
    pub fn to_sql(&self) -> String {
        self.translated(Dialect::Tickhouse)
    }

    /// The same for another engine.
    ///
    /// # Errors
    /// It calls a window function that only we have, or quotes a name as the engine quotes strings.
    pub fn to_sql_for(&self, dialect: Dialect) -> Result<String, QueryError> {
        let mut statement = self.statement.clone();
        let call = query_of(&mut statement).and_then(|statement| first_call(statement));
        let quoted = if dialect.identifier_quote() == '"' { None } else { first_quoted(&self.text) };
        if let Some(name) = quoted {
            return Err(QueryError::Usage(format!(
                "\"{name}\" is a name here and a string for {}: write it without quotes",
                dialect.engine()
            )));
        }
        match call {
            Some(function) if dialect != Dialect::Tickhouse => Err(QueryError::Usage(format!(
                "{function} is a window function of tickhouse that {} lacks: run the query here, and hand its rows on \
                 with -o FILE.parquet",
                dialect.engine()
            ))),
            _ => Ok(self.translated(dialect)),
        }
    }

    /// What an engine of this dialect is sent: no semicolon, EXPLAIN kept.
    ///
    /// # Errors
    /// As [`Self::to_sql_for`]; the statement does more than read.
    pub fn to_engine(&self, dialect: Dialect) -> Result<String, QueryError> {
        let explain = match &self.statement {
            statement if !reads(statement) => {
                return Err(QueryError::usage("only statements that read are allowed, such as SELECT"));
            }
            Statement::Explain(explain) if explain.options.analyze => "EXPLAIN ANALYZE ",
            Statement::Explain(_) => "EXPLAIN ",
            _ => "",
        };
        let sql = self.to_sql_for(dialect)?;
        Ok(format!("{explain}{}", sql.trim_end_matches(';')))
    }

    fn translated(&self, dialect: Dialect) -> String {
        let mut statement = self.statement.clone();
        if let Some(statement) = query_of(&mut statement) {
            dialect.translate(statement);
            let mut quotes = QuoteEscaper { backslashes: dialect.escapes_by_backslash() };
            let (ControlFlow::Continue(()) | ControlFlow::Break(())) = statement.visit(&mut quotes);
            return format!("{statement:#};");
        }
        format!("{statement};")
    }
}

/// The first name in double quotes.
fn first_quoted(text: &str) -> Option<String> {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize().unwrap_or_default();
    tokens.into_iter().find_map(|token| match token {
        Token::Word(word) => (word.quote_style == Some('"')).then_some(word.value),
        _ => None,
    })
}

fn reads(statement: &Statement) -> bool {
    use SqlStatement::{ExplainTable, Query, ShowColumns, ShowTables};
    match statement {
        Statement::Statement(statement) => {
            matches!(**statement, Query(_) | ShowTables { .. } | ShowColumns { .. } | ExplainTable { .. })
        }
        Statement::Explain(explain) => reads(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => false,
    }
}

/// The SQL inside, also below EXPLAIN; `None` for statements that are never run here.
fn query_of(statement: &mut Statement) -> Option<&mut SqlStatement> {
    match statement {
        Statement::Statement(statement) => Some(statement),
        Statement::Explain(explain) => query_of(&mut explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => None,
    }
}

/// sqlparser prints two quotes in a row as if they were escaped already, which would change such a string.
struct QuoteEscaper {
    /// A backslash in a string is written twice.
    backslashes: bool,
}

impl VisitorMut for QuoteEscaper {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        if let Value::SingleQuotedString(text) = &mut value.value {
            *text = text.replace('\'', "''");
            if self.backslashes {
                *text = text.replace('\\', "\\\\");
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(sql: &str) -> String {
        ParsedStatement::parse(sql).unwrap().to_sql()
    }

    #[test]
    fn shown_sql_means_the_same() {
        for value in ["it's", "''", "a''b", "'''", "\\", "%_"] {
            let mut parsed = ParsedStatement::parse("-- param who string x Name\nSELECT $who").unwrap();
            parsed.bind(&[("who".to_owned(), value.to_owned())]).unwrap();
            let shown = ParsedStatement::parse(&parsed.to_sql()).unwrap();
            let literal = shown.statement.to_string();
            let direct = ParsedStatement::parse(&again(&parsed.to_sql())).unwrap().statement.to_string();
            assert_eq!(literal, direct);
            let mut values = Vec::new();
            struct Collect<'a>(&'a mut Vec<String>);
            impl VisitorMut for Collect<'_> {
                type Break = ();
                fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
                    self.0.extend(value.value.clone().into_string());
                    ControlFlow::Continue(())
                }
            }
            let mut statement = shown.statement.clone();
            let visited: ControlFlow<()> = query_of(&mut statement).unwrap().visit(&mut Collect(&mut values));
            assert!(visited.is_continue());
            assert_eq!(values, [value]);
        }
    }

    #[test]
    fn an_engine_is_sent_one_statement_that_reads() {
        let sent = |sql: &str| ParsedStatement::parse(sql).unwrap().to_engine(Dialect::Trino);
        for (sql, expected) in [
            ("SELECT 1 AS x;", "SELECT\n  1 AS x"),
            ("EXPLAIN SELECT 1 AS x", "EXPLAIN SELECT\n  1 AS x"),
            ("EXPLAIN ANALYZE SELECT 1 AS x", "EXPLAIN ANALYZE SELECT\n  1 AS x"),
            ("SHOW TABLES", "SHOW TABLES"),
        ] {
            assert_eq!(sent(sql).unwrap(), expected);
        }
        for wrong in
            ["DROP TABLE ticks", "DELETE FROM ticks", "EXPLAIN ANALYZE DELETE FROM ticks", "CREATE VIEW v AS SELECT 1"]
        {
            assert!(
                matches!(sent(wrong), Err(QueryError::Usage(text)) if text.contains("only statements that read")),
                "{wrong}"
            );
        }
    }

    #[test]
    fn one_statement_at_a_time() {
        assert!(ParsedStatement::parse("SELECT 1;").is_ok());
        let long = format!("SELECT 1{}", " + 1".repeat(MOST_OPERATORS + 1));
        for (sql, word) in [
            ("", "no statement"),
            ("-- only words", "no statement"),
            ("SELECT 1; SELECT 2", "2 statements"),
            (&long, "IN (..)"),
        ] {
            let error = ParsedStatement::parse(sql).unwrap_err();
            assert!(matches!(&error, QueryError::Usage(text) if text.contains(word)), "{error}");
        }
        assert!(matches!(ParsedStatement::parse("SELEC 1"), Err(QueryError::Sql(_))));
    }
}

//! Statements for other engines. The files of `sql/` keep to what all of them share, except for one construct:
//! `DATE_BIN(interval, ts, origin)`, which every engine calls differently. ClickHouse also has two of each deviation,
//! and the one with the standard name loses half of the digits.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Statement as SqlStatement,
    TimezoneInfo, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// An engine whose SQL a statement can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Dialect {
    Tickhouse,
    Duckdb,
    Clickhouse,
    Spark,
    Trino,
    /// Trino, as its managed service.
    Athena,
}

/// The default origin of bins.
const EPOCH: &str = "TIMESTAMP '1970-01-01 00:00:00+00:00'";

impl Dialect {
    /// Its name, for people.
    pub const fn engine(self) -> &'static str {
        match self {
            Self::Tickhouse => "tickhouse",
            Self::Duckdb => "DuckDB",
            Self::Clickhouse => "ClickHouse",
            Self::Spark => "Spark",
            Self::Trino => "Trino",
            Self::Athena => "Athena",
        }
    }

    /// In strings.
    pub(in crate::query) const fn escapes_by_backslash(self) -> bool {
        matches!(self, Self::Clickhouse | Self::Spark)
    }

    pub(in crate::query) const fn identifier_quote(self) -> char {
        match self {
            Self::Clickhouse | Self::Spark => '`',
            Self::Tickhouse | Self::Duckdb | Self::Trino | Self::Athena => '"',
        }
    }

    /// `DATE_BIN($interval, $ts, $origin)`, of the type of `$ts`.
    const fn bin(self) -> Option<&'static str> {
        match self {
            Self::Tickhouse => None,
            Self::Duckdb => Some("time_bucket($interval, $ts, $origin)"),
            Self::Clickhouse => Some("toStartOfInterval($ts, $interval, CAST($origin AS DateTime64(6, 'UTC')))"),
            // Neither has a function for it: Spark counts microseconds, Trino intervals of milliseconds.
            Self::Spark => Some(
                "timestamp_micros(unix_micros($origin) + (unix_micros($origin + $interval) - unix_micros($origin)) * \
                 CAST(FLOOR((unix_micros($ts) - unix_micros($origin)) / \
                 (unix_micros($origin + $interval) - unix_micros($origin))) AS BIGINT))",
            ),
            Self::Trino | Self::Athena => Some(
                "($origin + $interval * \
                 CAST(FLOOR(CAST(to_milliseconds($ts - $origin) AS DOUBLE) / to_milliseconds($interval)) AS BIGINT))",
            ),
        }
    }

    /// Functions that have another name.
    const fn renamed(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Tickhouse | Self::Duckdb | Self::Spark | Self::Trino | Self::Athena => &[],
            Self::Clickhouse => &[
                ("stddev_samp", "stddevSampStable"),
                ("stddev_pop", "stddevPopStable"),
                ("var_samp", "varSampStable"),
                ("var_pop", "varPopStable"),
                ("covar_pop", "covarPopStable"),
                ("corr", "corrStable"),
            ],
        }
    }

    pub(in crate::query) fn translate(self, statement: &mut SqlStatement) {
        let Some(template) = self.bin() else { return };
        let mut words =
            DialectRewriter { bin: expression(template), renamed: self.renamed(), zoned: self == Self::Duckdb };
        let (ControlFlow::Continue(()) | ControlFlow::Break(())) = statement.visit(&mut words);
    }
}

fn expression(text: &str) -> Expr {
    let parser = Parser::new(&GenericDialect {}).try_with_sql(text);
    parser.and_then(|mut parser| parser.parse_expr()).expect("the text is an expression")
}

struct DialectRewriter {
    bin: Expr,
    renamed: &'static [(&'static str, &'static str)],
    /// A TIMESTAMP would lose the offset that its text has.
    zoned: bool,
}

impl VisitorMut for DialectRewriter {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(mut values) = bin_arguments(expr) {
            if self.zoned {
                values.iter_mut().for_each(|(_, value)| keep_offset(value));
            }
            let mut translated = self.bin.clone();
            let (ControlFlow::Continue(()) | ControlFlow::Break(())) = translated.visit(&mut TemplateFiller { values });
            *expr = translated;
        } else if self.zoned && matches!(expr, Expr::TypedString(_)) {
            keep_offset(expr);
        } else if let Expr::Function(function) = expr
            && let Some((_, name)) = self.renamed.iter().find(|(known, _)| is_named(&function.name, known))
        {
            function.name = ObjectName::from(vec![Ident::new(*name)]);
        }
        ControlFlow::Continue(())
    }

    /// DataFusion's bins are in nanoseconds, so the files cast them back; those of the others need no cast.
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Cast { expr: inner, .. } = expr
            && bin_arguments(inner).is_some()
        {
            *expr = inner.as_ref().clone();
        }
        ControlFlow::Continue(())
    }
}

/// Interval, time and origin of a `DATE_BIN`.
fn bin_arguments(expr: &Expr) -> Option<[(&'static str, Expr); 3]> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let mut values = list.args.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value.clone()),
        _ => None,
    });
    if !is_named(&function.name, "date_bin") {
        return None;
    }
    let (interval, ts) = (values.next()?, values.next()?);
    let origin = values.next().unwrap_or_else(|| expression(EPOCH));
    Some([("$interval", interval), ("$ts", ts), ("$origin", origin)])
}

/// `TIMESTAMP '..'` as `TIMESTAMPTZ '..'`.
fn keep_offset(expr: &mut Expr) {
    if let Expr::TypedString(typed) = expr
        && let DataType::Timestamp(precision, TimezoneInfo::None) = typed.data_type
    {
        typed.data_type = DataType::Timestamp(precision, TimezoneInfo::Tz);
    }
}

fn is_named(name: &ObjectName, word: &str) -> bool {
    name.0.last().and_then(|part| part.as_ident()).is_some_and(|ident| ident.value.eq_ignore_ascii_case(word))
}

/// Replaces `$name` by values.
struct TemplateFiller {
    values: [(&'static str, Expr); 3],
}

impl VisitorMut for TemplateFiller {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
            && let Some((_, value)) = self.values.iter().find(|(known, _)| known == name)
        {
            *expr = value.clone();
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::error::QueryError;
    use crate::query::sql::statement::ParsedStatement;

    #[test]
    fn only_what_differs_is_written_differently() {
        let sql = "SELECT CAST(DATE_BIN(INTERVAL '5' MINUTE, ts, TIMESTAMP '2000-01-03 00:00:00+00:00') AS \
            TIMESTAMP(6) WITH TIME ZONE) AS a, date_bin(INTERVAL '1' DAY, MAX(ts)), CAST(close AS DOUBLE) FROM ticks";
        let shown = |dialect| {
            ParsedStatement::parse(sql)
                .unwrap()
                .to_sql_for(dialect)
                .unwrap()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(shown(Dialect::Tickhouse), format!("{sql};"));
        assert_eq!(
            shown(Dialect::Duckdb),
            "SELECT time_bucket(INTERVAL '5' MINUTE, ts, TIMESTAMPTZ '2000-01-03 00:00:00+00:00') AS a, \
             time_bucket(INTERVAL '1' DAY, MAX(ts), TIMESTAMPTZ '1970-01-01 00:00:00+00:00'), CAST(close AS DOUBLE) \
             FROM ticks;"
        );
        let clickhouse = shown(Dialect::Clickhouse);
        let start = "SELECT toStartOfInterval(ts, INTERVAL '5' MINUTE, CAST(TIMESTAMP '2000-01-03 00:00:00+00:00' AS \
            DateTime64(6, 'UTC'))) AS a,";
        assert!(clickhouse.starts_with(start), "{clickhouse}");
        let sql = "SELECT CAST(DATE_BIN(INTERVAL '5' MINUTE, ts) AS TIMESTAMP(6) WITH TIME ZONE) FROM ticks";
        let shown = |dialect| {
            ParsedStatement::parse(sql)
                .unwrap()
                .to_sql_for(dialect)
                .unwrap()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            shown(Dialect::Trino),
            "SELECT (TIMESTAMP '1970-01-01 00:00:00+00:00' + INTERVAL '5' MINUTE * CAST(FLOOR(CAST(to_milliseconds(ts \
             - TIMESTAMP '1970-01-01 00:00:00+00:00') AS DOUBLE) / to_milliseconds(INTERVAL '5' MINUTE)) AS BIGINT)) \
             FROM ticks;"
        );
        assert_eq!(shown(Dialect::Athena), shown(Dialect::Trino));
        assert!(shown(Dialect::Spark).contains("unix_micros(ts)"), "{}", shown(Dialect::Spark));
        let sql = "SELECT STDDEV_SAMP(close) OVER (PARTITION BY symbol), AVG(close) FROM ticks";
        let shown = ParsedStatement::parse(sql).unwrap().to_sql_for(Dialect::Clickhouse).unwrap();
        assert!(shown.contains("stddevSampStable(close) OVER") && shown.contains("AVG(close)"), "{shown}");
    }

    #[test]
    fn an_indicator_function_is_refused_for_other_engines() {
        let ours = "SELECT symbol, EMA(close, 12) OVER (PARTITION BY symbol ORDER BY ts) AS a FROM ticks";
        assert!(ParsedStatement::parse(ours).unwrap().to_sql_for(Dialect::Tickhouse).is_ok());
        for (dialect, engine) in [(Dialect::Duckdb, "DuckDB"), (Dialect::Clickhouse, "ClickHouse")] {
            for sql in [ours, &format!("EXPLAIN {ours}"), &format!("WITH x AS ({ours}) SELECT a FROM x")] {
                let error = ParsedStatement::parse(sql).unwrap().to_sql_for(dialect).unwrap_err();
                let text = format!("ema is a window function of tickhouse that {engine} lacks");
                assert!(matches!(&error, QueryError::Usage(words) if words.starts_with(&text)), "{error}");
            }
            // A column or a function of the engine of that name is none of ours.
            assert!(ParsedStatement::parse("SELECT ema, rsi(close) FROM ticks").unwrap().to_sql_for(dialect).is_ok());
        }
    }
}

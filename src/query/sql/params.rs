//! Typed parameters: their values enter the parsed statement as literal nodes, never as text.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, TimeDelta};
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value, VisitMut, VisitorMut};

use crate::query::error::QueryError;
use crate::query::sql::literal::{
    before_now, date_literal, double_literal, integer_literal, interval_literal, string_literal, timestamp_literal,
};
use crate::query::sql::time_text::{QueryClock, TimeExpression};
use crate::util::suggest::did_you_mean;

/// Rows that a window may hold: its state stays in memory, one a symbol.
const MAX_COUNT: i64 = 1_000_000;
/// A hundred years.
const MAX_SECONDS: u64 = 100 * 366 * 86_400;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    /// A number of rows, at least 1.
    Count,
    Integer,
    Double,
    String,
    Boolean,
    Date,
    /// A date, a time, or how long ago.
    Time,
    /// A length of time, longer than none.
    Interval,
    /// A length of time.
    Duration,
}

const TYPES: [(&str, ParamType); 9] = [
    ("count", ParamType::Count),
    ("integer", ParamType::Integer),
    ("double", ParamType::Double),
    ("string", ParamType::String),
    ("boolean", ParamType::Boolean),
    ("date", ParamType::Date),
    ("time", ParamType::Time),
    ("interval", ParamType::Interval),
    ("duration", ParamType::Duration),
];

impl FromStr for ParamType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = TYPES.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
        let names = TYPES.map(|(name, _)| name).join(", ");
        found.ok_or_else(|| format!("'{text}' is no parameter type: use one of {names}"))
    }
}

impl fmt::Display for ParamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = TYPES.iter().find(|(_, kind)| kind == self);
        f.write_str(found.map_or("", |(name, _)| name))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum ParamValue {
    Integer(i64),
    /// Finite.
    Double(f64),
    String(String),
    Boolean(bool),
    Date(NaiveDate),
    Time(TimeExpression),
    /// Whole milliseconds.
    Interval(TimeDelta),
}

#[derive(Debug, Clone, PartialEq)]
pub struct QueryParam {
    pub name: String,
    pub kind: ParamType,
    pub default: ParamValue,
    pub description: String,
}

impl ParamValue {
    /// # Errors
    /// The text is no value of the type; it says what one looks like.
    pub fn parse(kind: ParamType, text: &str) -> Result<Self, String> {
        let value = match kind {
            ParamType::Count => text.parse().ok().filter(|count| (1..=MAX_COUNT).contains(count)).map(Self::Integer),
            ParamType::Integer => text.parse().ok().map(Self::Integer),
            ParamType::Double => text.parse().ok().filter(|value: &f64| value.is_finite()).map(Self::Double),
            ParamType::String => Some(Self::String(text.to_owned())),
            ParamType::Boolean => text.parse().ok().map(Self::Boolean),
            ParamType::Date => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(Self::Date),
            ParamType::Time => return TimeExpression::parse(text).map(Self::Time),
            ParamType::Interval => length_of_time(text).filter(|length| !length.is_zero()).map(Self::Interval),
            ParamType::Duration => length_of_time(text).map(Self::Interval),
        };
        value.ok_or_else(|| match kind {
            ParamType::Count => format!("'{text}' is no number of rows: write a whole number from 1 to {MAX_COUNT}"),
            ParamType::Date => format!("'{text}' is no date: write it as 2026-11-20"),
            ParamType::Integer => format!("'{text}' is no whole number"),
            ParamType::Boolean => format!("'{text}' is neither true nor false"),
            ParamType::Interval => format!(
                "'{text}' is no interval: write 5m, 30s, 1h or 1d, 1ms at least (months and years have no fixed length)"
            ),
            ParamType::Duration => format!("'{text}' is no length of time: write 5m, 30s, 1h, 1d or 0s"),
            ParamType::Double | ParamType::String | ParamType::Time => format!("'{text}' is no number"),
        })
    }

    /// # Errors
    /// A time of day that doesn't exist in the zone of the clock, or a day where there is no clock.
    fn literal(&self, now: Now<'_>) -> Result<Expr, String> {
        Ok(match self {
            Self::Integer(value) => integer_literal(*value),
            Self::Double(value) => double_literal(*value),
            Self::String(value) => string_literal(value),
            Self::Boolean(value) => Expr::value(Value::Boolean(*value)),
            Self::Date(value) => date_literal(*value),
            Self::Time(value) => match now {
                Now::Is(clock) => timestamp_literal(value.instant(clock)?),
                Now::WhenRead => when_read(*value)?,
            },
            Self::Interval(value) => interval_literal(*value),
        })
    }
}

/// What relative times refer to.
#[derive(Debug, Clone, Copy)]
pub(in crate::query) enum Now<'a> {
    Is(&'a QueryClock),
    /// The moment at which another engine reads its view.
    WhenRead,
}

fn when_read(moment: TimeExpression) -> Result<Expr, String> {
    match moment {
        TimeExpression::Ago(ago) => Ok(before_now(ago)),
        TimeExpression::DaysAgo(_) => Err(format!(
            "'{moment}' is a day of the reader's zone, which a view does not know: write a length of time, as in 1d"
        )),
        TimeExpression::Date(_) | TimeExpression::Time(_) | TimeExpression::Local(_) => {
            let clock = QueryClock { zone: chrono_tz::UTC, now: DateTime::UNIX_EPOCH };
            Ok(timestamp_literal(moment.instant(&clock)?))
        }
    }
}

/// Whole milliseconds, as far as time goes. Months and years have no length.
fn length_of_time(text: &str) -> Option<TimeDelta> {
    const CALENDAR: [&str; 6] = ["M", "month", "months", "y", "year", "years"];
    if text.split(|c: char| !c.is_ascii_alphabetic()).any(|unit| CALENDAR.contains(&unit)) {
        return None;
    }
    let length = humantime::parse_duration(text).ok()?;
    let whole = length.subsec_nanos() % 1_000_000 == 0 && length.as_secs() <= MAX_SECONDS;
    whole.then(|| TimeDelta::from_std(length).ok()).flatten()
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Double(value) => write!(f, "{value}"),
            Self::String(value) => f.write_str(value),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Date(value) => write!(f, "{value}"),
            Self::Time(value) => write!(f, "{value}"),
            Self::Interval(value) => write!(f, "{}", humantime::format_duration(value.to_std().unwrap_or_default())),
        }
    }
}

/// Replaces `$name` in the statement by the given values and the defaults of the others.
///
/// # Errors
/// A given parameter is not declared or not of its type; a placeholder is not declared.
pub(in crate::query) fn bind(
    statement: &mut impl VisitMut,
    declared: &[QueryParam],
    given: &[(String, String)],
    now: Now<'_>,
) -> Result<(), QueryError> {
    let mut values: Vec<(&str, ParamValue)> =
        declared.iter().map(|param| (param.name.as_str(), param.default.clone())).collect();
    let mut seen: Vec<&str> = Vec::new();
    for (name, text) in given {
        if seen.contains(&name.as_str()) {
            return Err(QueryError::usage(format!("parameter '{name}' is given twice")));
        }
        seen.push(name);
        let source_location = declared.iter().position(|param| param.name == *name);
        let source_location = source_location.ok_or_else(|| unknown(name, declared))?;
        let value = ParamValue::parse(declared[source_location].kind, text);
        values[source_location].1 =
            value.map_err(|problem| QueryError::usage(format!("parameter '{name}': {problem}")))?;
    }
    let with_literal = |(name, value): (_, ParamValue)| match value.literal(now) {
        Ok(literal) => Ok(BoundParams { name, value, literal }),
        Err(problem) => Err(QueryError::usage(format!("parameter '{name}': {problem}"))),
    };
    let mut binder = ParamBinder { values: values.into_iter().map(with_literal).collect::<Result<_, _>>()? };
    match statement.visit(&mut binder) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(name) if name.is_empty() => {
            Err(QueryError::usage("write a value in place of ?: only named parameters such as $rows can be given"))
        }
        ControlFlow::Break(name) => Err(QueryError::usage(format!(
            "the statement uses ${name}, which no `-- param {name} TYPE DEFAULT description` line declares"
        ))),
    }
}

/// The value of a declared parameter.
///
/// # Errors
/// It isn't declared, or the given text is no value of it.
pub(in crate::query) fn value_of(
    declared: &[QueryParam],
    given: &[(String, String)],
    name: &str,
) -> Result<ParamValue, String> {
    let param = declared.iter().find(|param| param.name == name);
    let param = param.ok_or_else(|| format!("warm-up: no `-- param {name}` line declares ${name}"))?;
    match given.iter().find(|(given, _)| given == name) {
        Some((_, text)) => ParamValue::parse(param.kind, text),
        None => Ok(param.default.clone()),
    }
}

fn unknown(name: &str, declared: &[QueryParam]) -> QueryError {
    let hint = did_you_mean(name, declared.iter().map(|param| param.name.as_str()));
    let names: Vec<&str> = declared.iter().map(|param| param.name.as_str()).collect();
    let known = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
    QueryError::usage(format!("the query has no parameter '{name}'{hint} ({known})"))
}

struct BoundParams<'a> {
    name: &'a str,
    value: ParamValue,
    literal: Expr,
}

struct ParamBinder<'a> {
    values: Vec<BoundParams<'a>>,
}

impl ParamBinder<'_> {
    /// The value behind a placeholder; `Break` with its name when there is none.
    fn value(&self, expr: &Expr) -> ControlFlow<String, Option<&BoundParams<'_>>> {
        let Expr::Value(value) = expr else { return ControlFlow::Continue(None) };
        let Value::Placeholder(text) = &value.value else { return ControlFlow::Continue(None) };
        let name = text.strip_prefix(['$', ':', '?', '@']).unwrap_or(text);
        match self.values.iter().find(|bound| bound.name == name) {
            Some(bound) => ControlFlow::Continue(Some(bound)),
            None => ControlFlow::Break(name.to_owned()),
        }
    }

    /// `$rows - 1` as one number, because a ROWS frame takes nothing else.
    fn folded(&self, expr: &Expr) -> ControlFlow<String, Option<Expr>> {
        let Expr::BinaryOp { left, op, right } = expr else { return ControlFlow::Continue(None) };
        let Some(BoundParams { value: ParamValue::Integer(left), .. }) = self.value(left)? else {
            return ControlFlow::Continue(None);
        };
        let Expr::Value(right) = right.as_ref() else { return ControlFlow::Continue(None) };
        let Value::Number(right, _) = &right.value else { return ControlFlow::Continue(None) };
        let result = right.parse::<i64>().ok().and_then(|right| match op {
            BinaryOperator::Minus => left.checked_sub(right),
            BinaryOperator::Plus => left.checked_add(right),
            _ => None,
        });
        ControlFlow::Continue(result.map(integer_literal))
    }
}

impl VisitorMut for ParamBinder<'_> {
    type Break = String;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<String> {
        let literal = match self.folded(expr)? {
            Some(literal) => Some(literal),
            None => self.value(expr)?.map(|bound| bound.literal.clone()),
        };
        if let Some(literal) = literal {
            *expr = literal;
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::sql::statement::ParsedStatement;

    fn bound(sql: &str, given: &[(&str, &str)]) -> Result<String, QueryError> {
        let mut parsed = ParsedStatement::parse(sql)?;
        let given: Vec<_> = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        parsed.bind(&given)?;
        Ok(parsed.statement().to_string())
    }

    const HEADER: &str = "-- param n count 9 Rows\n-- param who string AAPL Name\n-- param day date 2026-01-02 Day\n\
                          -- param least double 0.5 Bound\n-- param shift integer 0 Shift\n\
                          -- param bar interval 5m Bar\n-- param late duration 0s Late\n-- param since time 7d Since\n\
                          -- param all boolean false All\n";

    #[test]
    fn values_become_literals_also_in_frames() {
        let sql =
            format!("{HEADER}SELECT avg(x) OVER (ORDER BY t ROWS BETWEEN $n - 1 PRECEDING AND CURRENT ROW) FROM ticks");
        let text = bound(&sql, &[("n", "21")]).unwrap();
        assert!(text.contains("ROWS BETWEEN 20 PRECEDING AND CURRENT ROW"), "{text}");
        assert!(bound(&sql, &[]).unwrap().contains("ROWS BETWEEN 8 PRECEDING"));
        let sql = format!("{HEADER}SELECT 1 FROM ticks WHERE d >= $day AND c > $least AND x = $shift LIMIT $n");
        let text = bound(&sql, &[("least", "-1e-3"), ("shift", "-2")]).unwrap();
        assert!(text.ends_with("WHERE d >= DATE '2026-01-02' AND c > (-1e-3) AND x = (-2) LIMIT 9"), "{text}");
    }

    #[test]
    fn times_and_lengths_become_literals() {
        let sql = format!("{HEADER}SELECT $bar, $late, $since, $all");
        let given = [("bar", "1h 30m"), ("since", "2026-01-02T03:04:05Z"), ("all", "true")];
        let text = bound(&sql, &given).unwrap();
        let since = "TIMESTAMP '2026-01-02 03:04:05+00:00'";
        assert_eq!(text, format!("SELECT INTERVAL '90' MINUTE, INTERVAL '0' SECOND, {since}, true"));
        let clock = QueryClock { zone: chrono_tz::Asia::Kolkata, now: "2026-01-02T20:00:00Z".parse().unwrap() };
        for (since, literal) in [("2h", "2026-01-02 18:00:00"), ("today", "2026-01-02 18:30:00")] {
            let mut parsed = ParsedStatement::parse(&sql).unwrap();
            parsed.bind_at(&[("since".to_owned(), since.to_owned())], &clock).unwrap();
            assert!(parsed.statement().to_string().contains(literal), "{since}");
        }
    }

    #[test]
    fn a_string_stays_a_string() {
        let sql = format!("{HEADER}SELECT 1 FROM ticks WHERE symbol = $who");
        let evil = "x' OR '1'='1";
        let text = bound(&sql, &[("who", evil)]).unwrap();
        assert!(text.ends_with("symbol = 'x'' OR ''1''=''1'"), "{text}");
    }

    #[test]
    fn wrong_parameters_name_the_fix() {
        let sql = format!("{HEADER}SELECT $n");
        for (given, word) in [
            (("m", "1"), "it has n, who"),
            (("lest", "1"), "did you mean 'least'?"),
            (("n", "0"), "from 1 to"),
            (("n", "1; DROP"), "number of rows"),
            (("least", "NaN"), "no number"),
            (("day", "20260102"), "2026-11-20"),
            (("bar", "0s"), "5m"),
            (("bar", "5"), "5m"),
            (("bar", "10us"), "1ms"),
            (("bar", "1M"), "no fixed length"),
            (("late", "1000000d"), "0s"),
            (("since", "soon"), "yesterday"),
            (("all", "yes"), "true nor false"),
        ] {
            let error = bound(&sql, &[given]).unwrap_err();
            assert!(matches!(&error, QueryError::Usage(text) if text.contains(word)), "{error}");
        }
        assert!(bound(&sql, &[("n", "1"), ("n", "2")]).unwrap_err().to_string().contains("twice"));
        assert!(bound("SELECT $x", &[]).unwrap_err().to_string().contains("-- param x"));
    }
}

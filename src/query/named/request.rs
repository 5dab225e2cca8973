//! A request for a query: symbols, a range of time and parameters, and how these get into its statement.

use chrono::{NaiveTime, TimeDelta};

use crate::query::error::QueryError;
use crate::query::named::demand::RowDemand;
use crate::query::named::warm_up::{UntilCondition, WarmUp};
use crate::query::session::tables::TICKS;
use crate::query::sql::params::ParamValue;
use crate::query::sql::scope::{TickScope, TimeBound};
use crate::query::sql::since::SinceBound;
use crate::query::sql::statement::ParsedStatement;
use crate::query::sql::time_text::{QueryClock, TimeExpression};

/// A request as the user wrote it. `mark` stands before the names of arguments in errors: `--` for flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryRequest {
    /// The table whose rows are restricted.
    pub table: &'static str,
    pub symbols: Vec<String>,
    pub from: Option<String>,
    /// Exclusive.
    pub to: Option<String>,
    pub params: Vec<(String, String)>,
    /// Windows begin at `from`; no earlier rows are read.
    pub cold: bool,
    pub mark: &'static str,
}

impl QueryRequest {
    /// Parses a statement, binds its parameters and restricts it to the requested ticks.
    ///
    /// # Errors
    /// The text doesn't parse, or doesn't take what is asked.
    pub fn prepare(&self, text: &str, clock: QueryClock) -> Result<ParsedStatement, QueryError> {
        let mut parsed = ParsedStatement::parse(text)?;
        let range = self.scope(&clock)?;
        let (params, clock) = self.apply_lookback(&parsed, clock)?;
        let warm_up = parsed.header().warm_up.clone().filter(|_| !self.cold).unwrap_or(WarmUp::None);
        let unbound = parsed.clone();
        parsed.show(&warm_up.shown(&range));
        parsed.bind_at(&params, &clock)?;
        parsed.since = since_of(&parsed, &params, &clock, &range);
        let declared = &parsed.header().params;
        let read = warm_up.read(&range, declared, &params).map_err(QueryError::Usage)?;
        let demand = match (&warm_up, range.from) {
            (WarmUp::Rows(rows), Some(from)) => {
                let count = rows.count(declared, &params).map_err(QueryError::Usage)?;
                Some(RowDemand::new(rows, count, self.table, &range, from))
            }
            _ => None,
        };
        parsed.restrict_table(&read, self.table)?;
        if let Some(mut demand) = demand {
            add_probe(&mut demand, unbound, &params, &clock)?;
            parsed.demand = Some(demand.into());
        }
        Ok(parsed)
    }

    fn wrong(&self, name: &str, problem: &str) -> QueryError {
        QueryError::Usage(format!("{}{name}: {problem}", self.mark))
    }

    pub(in crate::query) fn scope(&self, clock: &QueryClock) -> Result<TickScope, QueryError> {
        let bound = |name: &str, text: &Option<String>| {
            let parse = |text: &String| TimeBound::parse(text, clock).map_err(|problem| self.wrong(name, &problem));
            text.as_ref().map(parse).transpose()
        };
        let (from, to) = (bound("from", &self.from)?, bound("to", &self.to)?);
        if let (Some(first), Some(end)) = (from, to)
            && !may_hold_ticks(first, end)
        {
            let (from, to) = (self.from.as_deref().unwrap_or_default(), self.to.as_deref().unwrap_or_default());
            return Err(self.wrong("from", &format!("{from} is not before {}to {to}, which is exclusive", self.mark)));
        }
        Ok(TickScope { symbols: self.symbols.clone(), from, to })
    }

    /// A query that looks back does so from `to`, and as far as `from` if no other length is given.
    pub(in crate::query) fn apply_lookback(
        &self,
        parsed: &ParsedStatement,
        clock: QueryClock,
    ) -> Result<(Vec<(String, String)>, QueryClock), QueryError> {
        let instant = |name: &str, text: &str| {
            let instant = TimeExpression::parse(text).and_then(|moment| moment.instant(&clock));
            instant.map_err(|problem| self.wrong(name, &problem))
        };
        let to = self.to.as_ref().map(|to| instant("to", to)).transpose()?;
        let end = QueryClock { now: to.map_or(clock.now, |to| to.min(clock.now)), ..clock };
        let mut params = self.params.clone();
        if let Some(from) = &self.from {
            // A trade date begins up to a day before or after that day does here.
            let from = instant("from", from)? - TimeDelta::days(1);
            for (name, ago) in parsed.lookback_params() {
                let is_short = ago.instant(&end).is_ok_and(|since| from < since);
                if is_short && params.iter().all(|(given, _)| given != name) {
                    params.push((name.to_owned(), from.to_rfc3339()));
                }
            }
        }
        Ok((params, end))
    }
}

/// How far back a statement reads `ticks`, if it does so. `range` has the requested symbols and end.
fn since_of(
    parsed: &ParsedStatement,
    given: &[(String, String)],
    clock: &QueryClock,
    range: &TickScope,
) -> Option<SinceBound> {
    let (param, default) = parsed.lookback_params().next().filter(|_| parsed.reads_table(TICKS))?;
    let given = given.iter().find(|(name, _)| name == param).map(|(_, text)| text.clone());
    let text = given.unwrap_or_else(|| ParamValue::Time(default).to_string());
    let from = TimeExpression::parse(&text).and_then(|moment| moment.instant(clock)).ok()?;
    let scope = TickScope { from: Some(TimeBound::Time(from)), ..range.clone() };
    Some(SinceBound { param: param.to_owned(), text, of_query: None, scope, zone: clock.zone })
}

/// Adds the statement that names the symbols for which the demand is fulfilled; `statement` has no parameters bound
/// yet.
///
/// # Errors
/// The condition doesn't parse.
fn add_probe(
    demand: &mut RowDemand,
    mut statement: ParsedStatement,
    params: &[(String, String)],
    clock: &QueryClock,
) -> Result<(), QueryError> {
    let UntilCondition::Row(condition) = &demand.until else { return Ok(()) };
    let before = demand.before();
    statement.show(&before);
    statement.bind_at(params, clock)?;
    statement.restrict_table(&before, demand.table)?;
    let text = format!("SELECT DISTINCT symbol FROM (SELECT 1) AS warm WHERE {condition}");
    demand.probe = Some(statement.inside(&text)?.into_probe());
    Ok(())
}

/// A trade date begins up to a day before or after the day of UTC.
fn may_hold_ticks(from: TimeBound, to: TimeBound) -> bool {
    match (from, to) {
        (TimeBound::Date(from), TimeBound::Date(to)) => from < to,
        (TimeBound::Time(from), TimeBound::Time(to)) => from < to,
        (TimeBound::Date(from), TimeBound::Time(to)) => {
            from.and_time(NaiveTime::MIN).and_utc() - TimeDelta::days(1) < to
        }
        (TimeBound::Time(from), TimeBound::Date(to)) => {
            from < to.and_time(NaiveTime::MIN).and_utc() + TimeDelta::days(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_the_wrong_way_round_is_an_error() {
        let clock = QueryClock { zone: chrono_tz::UTC, now: "2026-01-10T00:00:00Z".parse().unwrap() };
        let prepare = |from: &str, to: &str| {
            let (from, to) = (Some(from.to_owned()), Some(to.to_owned()));
            let ask = QueryRequest {
                table: "ticks",
                symbols: Vec::new(),
                from,
                to,
                params: Vec::new(),
                cold: false,
                mark: "--",
            };
            ask.prepare("SELECT 1 FROM ticks", clock)
        };
        for (from, to) in [
            ("2026-01-06", "2026-01-05"),
            ("2026-01-06", "2026-01-06"),
            ("2h", "3h"),
            ("2026-01-06", "2026-01-04T00:00:00Z"),
            ("2026-01-08T00:00:00Z", "2026-01-06"),
        ] {
            let error = prepare(from, to).unwrap_err().to_string();
            assert!(error.contains(&format!("--from: {from} is not before --to {to}")), "{error}");
        }
        for (from, to) in [("2026-01-05", "2026-01-06"), ("3h", "now"), ("2026-01-06", "2026-01-05T20:00:00Z")] {
            assert!(prepare(from, to).is_ok(), "{from} {to}");
        }
    }
}

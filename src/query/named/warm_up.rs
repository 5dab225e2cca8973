//! How far beyond its range a named query reads, so that `--from` and `--to` show rows of the full run.
//!
//! The header of a query says it in a line, and its text has `$range` where the rows that are shown are chosen:
//!
//! | `-- warm-up ..` | reads | for |
//! |---|---|---|
//! | `none` | the range | one row for each symbol, which sums up the range |
//! | `2 * $window + 1 rows` | these rows of each symbol before `from`, too | windows of rows |
//! | `.. rows until CONDITION` | and on to a row before `from` for which the condition holds | states |
//! | `.. rows before a move` | these rows before the last change of the close before `from` | ratios of decaying means
//! |
//! | `day`, `$interval` | whole trade dates, whole bars | sums by day, bars |
//! | `all` | all before `to` | sums since the first row |
//! | `look-ahead` | all after `from` | what later rows decide |

use std::fmt;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::query::sql::params::{ParamValue, QueryParam, value_of};
use crate::query::sql::scope::{TickScope, TimeBound};

/// The condition of the range in the text of a query.
pub(in crate::query) const RANGE: &str = "range";
/// Bars are counted from 2000-01-03 00:00 UTC, in seconds since the epoch.
const FIRST_BAR: i64 = 946_857_600;
/// Zones are at most this far from UTC, so a trade date begins at most so much before the day of UTC and ends at most
/// so much after it.
const FARTHEST_ZONE: TimeDelta = TimeDelta::hours(14);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WarmUp {
    None,
    Rows(RowsBefore),
    Day,
    /// Bars as long as this parameter.
    Bars(String),
    All,
    LookAhead,
}

/// A sum of `factor * $parameter`; of numbers where there is no parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsBefore {
    terms: Vec<(u64, Option<String>)>,
    pub until: UntilCondition,
}

/// What must have happened after these rows and before the range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UntilCondition {
    Nothing,
    /// A row of the answer fulfills this SQL.
    Row(String),
    /// The close changed.
    Move,
}

impl WarmUp {
    /// # Errors
    /// The text is none of the forms.
    pub(in crate::query) fn parse(text: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "'warm-up {text}' is none of none, day, all, look-ahead, $interval, 20 rows, 2 * $window + 1 rows, \
                 .. rows until CONDITION, .. rows before a move"
            )
        };
        Ok(match text {
            "none" => Self::None,
            "day" => Self::Day,
            "all" => Self::All,
            "look-ahead" => Self::LookAhead,
            _ => match text.split_once(" rows") {
                None => Self::Bars(text.strip_prefix('$').filter(|name| is_word(name)).ok_or_else(form)?.to_owned()),
                Some((rows, rest)) => {
                    let terms = rows.split('+').map(|term| parse_term(term.trim())).collect::<Option<_>>();
                    let until = match rest {
                        "" => UntilCondition::Nothing,
                        " before a move" => UntilCondition::Move,
                        _ => UntilCondition::Row(rest.strip_prefix(" until ").ok_or_else(form)?.to_owned()),
                    };
                    Self::Rows(RowsBefore { terms: terms.ok_or_else(form)?, until })
                }
            },
        })
    }

    /// Which rows are shown, of those that are read; an empty one shows all.
    pub(in crate::query) fn shown(&self, range: &TickScope) -> TickScope {
        let to = match self {
            Self::Day | Self::Bars(_) | Self::LookAhead => range.to,
            Self::None | Self::Rows(_) | Self::All => None,
        };
        let from = if *self == Self::None { None } else { range.from };
        TickScope { symbols: Vec::new(), from, to }
    }

    /// Which ticks are read, before a bound for the rows before is known.
    ///
    /// # Errors
    /// A value of the parameter is none.
    pub(in crate::query) fn read(
        &self,
        range: &TickScope,
        declared: &[QueryParam],
        given: &[(String, String)],
    ) -> Result<TickScope, String> {
        let TickScope { symbols, from, to } = range.clone();
        let (from, to) = match self {
            Self::None => (from, to),
            Self::Rows(_) | Self::All => (None, to),
            Self::LookAhead => (from, None),
            Self::Day => (from.map(day_before), to.map(day_after)),
            Self::Bars(name) => match value_of(declared, given, name)? {
                ParamValue::Interval(length) => {
                    (from.and_then(|from| bar_start(from, length)), to.and_then(|to| bar_end(to, length)))
                }
                _ => return Err(format!("warm-up: '{name}' is no interval")),
            },
        };
        Ok(TickScope { symbols, from, to })
    }
}

impl RowsBefore {
    /// # Errors
    /// A parameter is no whole number.
    pub(in crate::query) fn count(&self, declared: &[QueryParam], given: &[(String, String)]) -> Result<u64, String> {
        self.terms.iter().try_fold(0_u64, |sum, (factor, name)| {
            let value = match name {
                None => 1,
                Some(name) => match value_of(declared, given, name)? {
                    ParamValue::Integer(value) => u64::try_from(value).unwrap_or(0),
                    _ => return Err(format!("warm-up: '{name}' is no number of rows")),
                },
            };
            Ok(sum.saturating_add(factor.saturating_mul(value)))
        })
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `20`, `$window` or `2 * $window`.
fn parse_term(text: &str) -> Option<(u64, Option<String>)> {
    let parameter = |text: &str| text.strip_prefix('$').filter(|name| is_word(name)).map(str::to_owned);
    if let Some((factor, name)) = text.split_once('*') {
        return Some((factor.trim().parse().ok()?, Some(parameter(name.trim())?)));
    }
    match parameter(text) {
        Some(name) => Some((1, Some(name))),
        None => Some((text.parse().ok()?, None)),
    }
}

/// A bound at or before the begin of the trade date that holds this one.
fn day_before(from: TimeBound) -> TimeBound {
    match from {
        TimeBound::Date(date) => TimeBound::Date(date),
        TimeBound::Time(time) => {
            let date = time.date_naive();
            TimeBound::Date(date.checked_sub_days(Days::new(1)).unwrap_or(date))
        }
    }
}

/// A bound at or after the end of the trade date that holds this one.
fn day_after(to: TimeBound) -> TimeBound {
    match to {
        TimeBound::Date(date) => TimeBound::Date(date),
        TimeBound::Time(time) => {
            let date = time.date_naive();
            TimeBound::Date(date.checked_add_days(Days::new(2)).unwrap_or(date))
        }
    }
}

/// The earliest instant of the trade date, in any zone.
pub(in crate::query) fn earliest(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc() - FARTHEST_ZONE
}

/// The latest instant at which the trade date begins, in any zone.
pub(in crate::query) fn latest_begin(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc() + FARTHEST_ZONE
}

/// `None` where time ends: nothing is left out.
fn bar_start(from: TimeBound, length: TimeDelta) -> Option<TimeBound> {
    let time = match from {
        TimeBound::Date(date) => earliest(date),
        TimeBound::Time(time) => time,
    };
    time.checked_sub_signed(since_bar_start(time, length)?).map(TimeBound::Time)
}

fn bar_end(to: TimeBound, length: TimeDelta) -> Option<TimeBound> {
    let time = match to {
        TimeBound::Date(date) => latest_begin(date),
        TimeBound::Time(time) => time,
    };
    let over = since_bar_start(time, length)?;
    let rest = if over.is_zero() { over } else { length - over };
    time.checked_add_signed(rest).map(TimeBound::Time)
}

fn since_bar_start(time: DateTime<Utc>, length: TimeDelta) -> Option<TimeDelta> {
    let length = length.num_microseconds().filter(|length| *length > 0)?;
    let micros = time.timestamp_micros().checked_sub(FIRST_BAR * 1_000_000)?;
    Some(TimeDelta::microseconds(micros.rem_euclid(length)))
}

impl fmt::Display for WarmUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none: --from and --to choose the ticks that are summed up"),
            Self::Rows(rows) => {
                for (at, (factor, name)) in rows.terms.iter().enumerate() {
                    let plus = if at == 0 { "" } else { " + " };
                    match name {
                        None => write!(f, "{plus}{factor}")?,
                        Some(name) if *factor == 1 => write!(f, "{plus}${name}")?,
                        Some(name) => write!(f, "{plus}{factor} * ${name}")?,
                    }
                }
                f.write_str(" rows of each symbol before --from")?;
                match &rows.until {
                    UntilCondition::Nothing => Ok(()),
                    UntilCondition::Row(condition) => write!(f, ", and on to one with {condition}"),
                    UntilCondition::Move => f.write_str(" and before the last change of its close there"),
                }
            }
            Self::Day => f.write_str("the whole trade dates of --from and --to"),
            Self::Bars(_) => f.write_str("the whole bars of --from and --to"),
            Self::All => f.write_str("all rows before --to"),
            Self::LookAhead => f.write_str("all rows after --from, also those after --to"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_header_is_read() {
        for text in ["none", "day", "all", "look-ahead", "$interval", "20 rows", "$a + 2 * $b + 1 rows"] {
            assert!(WarmUp::parse(text).is_ok(), "{text}");
        }
        let rows = |text: &str| match WarmUp::parse(text) {
            Ok(WarmUp::Rows(rows)) => rows,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(rows("$a + 2 * $b + 1 rows").terms.len(), 3);
        assert_eq!(rows("3 rows until x > 1").until, UntilCondition::Row("x > 1".to_owned()));
        assert_eq!(rows("3 rows before a move").until, UntilCondition::Move);
        for text in ["", "some", "rows", "x rows", "3 rows when", "$", "-1 rows", "2 * 3 rows"] {
            assert!(WarmUp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bars_at_the_ends_are_read_whole() {
        let time = |text: &str| TimeBound::Time(text.parse().unwrap());
        let five = TimeDelta::minutes(5);
        assert_eq!(bar_start(time("2026-01-05T10:03:00Z"), five), Some(time("2026-01-05T10:00:00Z")));
        assert_eq!(bar_end(time("2026-01-05T10:03:00Z"), five), Some(time("2026-01-05T10:05:00Z")));
        assert_eq!(bar_end(time("2026-01-05T10:05:00Z"), five), Some(time("2026-01-05T10:05:00Z")));
        let week = TimeDelta::days(7);
        assert_eq!(bar_start(time("2026-01-07T10:03:00Z"), week), Some(time("2026-01-05T00:00:00Z")));
        assert_eq!(bar_start(time("1999-12-28T10:03:00Z"), week), Some(time("1999-12-27T00:00:00Z")));
    }
}

//! Rules of the configuration: conditions on live values, with hysteresis and cool-down per symbol.
//!
//! Invariant: what a rule does depends on the ticks of the symbol's session alone. A session (trade date) begins with
//! every rule armed, so that a restart in its middle reads no further back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, new_null_array};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

use crate::live::event::Severity;
use crate::live::settings::RuleSettings;
use crate::live::values::{LiveValues, VALUE_NAMES, VALUES};
use crate::query::{Condition, ConditionPlanner, QueryError};

/// A rule that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("rule '{rule}', {key}: {problem}")]
pub struct RuleError {
    pub rule: String,
    pub key: &'static str,
    pub problem: QueryError,
}

struct Rule {
    name: Arc<str>,
    symbols: Vec<String>,
    severity: Severity,
    /// Microseconds of event time.
    cool_down: i64,
    when: Condition,
    until: Option<Condition>,
    /// Whether a failed evaluation was already logged.
    failed: AtomicBool,
}

/// All rules, planned.
#[derive(Default)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Indices of the values that any rule uses.
    used: Vec<usize>,
}

/// The state of one rule for one symbol.
#[derive(Debug, Clone, Copy)]
struct RuleState {
    trade_date: i32,
    /// The rule fired and its end condition has not been true since.
    active: bool,
    fired: i64,
}

/// The state of each rule for one symbol; `None` for rules that do not apply to it.
#[derive(Debug, Clone, Default)]
pub struct RuleStates(Box<[Option<RuleState>]>);

/// Rows that are collected for one evaluation.
#[derive(Default)]
pub struct RuleRows {
    columns: Vec<Vec<f64>>,
    len: usize,
}

impl RuleRows {
    #[inline]
    pub fn push(&mut self, rules: &Rules, values: &LiveValues) {
        self.columns.resize_with(rules.used.len(), Vec::new);
        for (column, place) in self.columns.iter_mut().zip(&rules.used) {
            column.push(values[*place]);
        }
        self.len += 1;
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Rules {
    /// # Errors
    /// A condition can't be planned; the error shows where.
    pub async fn plan(settings: &[RuleSettings]) -> Result<Self, RuleError> {
        let fail = |rule: &RuleSettings, key| {
            let rule = rule.name.clone();
            move |problem| RuleError { rule, key, problem }
        };
        let Some(first) = settings.first() else { return Ok(Self::default()) };
        let conditions = ConditionPlanner::on(&VALUE_NAMES).map_err(fail(first, "when"))?;
        let mut rules = Vec::with_capacity(settings.len());
        for rule in settings {
            let until = match &rule.until {
                Some(until) => Some(conditions.plan(until).await.map_err(fail(rule, "until"))?),
                None => None,
            };
            rules.push(Rule {
                name: rule.name.as_str().into(),
                symbols: rule.symbols.clone(),
                severity: rule.severity,
                cool_down: i64::try_from(rule.cool_down.as_micros()).unwrap_or(i64::MAX),
                when: conditions.plan(&rule.when).await.map_err(fail(rule, "when"))?,
                until,
                failed: AtomicBool::new(false),
            });
        }
        let conditions = rules.iter().flat_map(|rule| std::iter::once(&rule.when).chain(&rule.until));
        let used: std::collections::BTreeSet<usize> = conditions.flat_map(Condition::columns).collect();
        Ok(Self { rules, used: used.into_iter().collect() })
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The initial states for a new symbol.
    pub fn rule_states(&self, symbol: &str) -> RuleStates {
        let begin = RuleState { trade_date: i32::MIN, active: false, fired: i64::MIN };
        let is_meant = |rule: &Rule| rule.symbols.iter().any(|pattern| matches(pattern, symbol));
        RuleStates(self.rules.iter().map(|rule| is_meant(rule).then_some(begin)).collect())
    }

    /// Evaluates all conditions on the rows and clears the rows. A condition that can't be evaluated on a row is not
    /// true.
    pub fn evaluate(&self, rows: &mut RuleRows) -> Vec<RuleResult<'_>> {
        let len = std::mem::take(&mut rows.len);
        let nothing: ArrayRef = new_null_array(&DataType::Float64, len);
        let mut columns: Vec<ArrayRef> = vec![nothing; VALUES];
        for (column, place) in rows.columns.iter_mut().zip(&self.used) {
            columns[*place] = known(std::mem::take(column));
        }
        let evaluate = |rule: &Rule, condition: &Condition| {
            let (found, all) = condition.evaluate_each(&columns, len);
            if !all && !rule.failed.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    rule = &*rule.name,
                    "a condition can't be evaluated on some ticks, and is not true of them: a cast fails, or an \
                     integer is divided by zero; TRY_CAST gives NULL"
                );
            }
            found
        };
        let verdict = |(at, rule): (usize, &'_ Rule)| {
            let when = evaluate(rule, &rule.when);
            let until = rule.until.as_ref().map(|until| evaluate(rule, until));
            (at, when, until)
        };
        let found: Vec<_> = self.rules.iter().enumerate().map(verdict).collect();
        found.into_iter().map(|(at, when, until)| RuleResult { at, rule: &self.rules[at], when, until }).collect()
    }
}

/// The conditions of a rule, evaluated on each row.
pub struct RuleResult<'a> {
    at: usize,
    rule: &'a Rule,
    when: BooleanArray,
    until: Option<BooleanArray>,
}

impl RuleResult<'_> {
    pub fn name(&self) -> &Arc<str> {
        &self.rule.name
    }

    pub fn severity(&self) -> Severity {
        self.rule.severity
    }

    /// Whether the rule fires; asked of every row in its order, with the memories of its symbol.
    #[inline]
    pub fn fires(&self, row: usize, rule_states: &mut RuleStates, ts: i64, trade_date: i32) -> bool {
        let Some(memory) = &mut rule_states.0[self.at] else { return false };
        let when = is_true(&self.when, row);
        if !when && !memory.active {
            return false;
        }
        let ends = self.until.as_ref().map_or(!when, |until| is_true(until, row));
        memory.push(when, ends, ts, trade_date, self.rule.cool_down)
    }
}

impl RuleState {
    #[inline]
    fn push(&mut self, when: bool, ends: bool, ts: i64, trade_date: i32, cool_down: i64) -> bool {
        if trade_date != self.trade_date {
            *self = Self { trade_date, active: false, fired: i64::MIN };
        }
        if self.active {
            self.active = !ends;
            return false;
        }
        let cool = self.fired == i64::MIN || ts.saturating_sub(self.fired) >= cool_down;
        if !when || !cool {
            return false;
        }
        *self = Self { active: !ends, fired: ts, trade_date };
        true
    }
}

/// Unknown is not true.
#[inline]
fn is_true(array: &BooleanArray, row: usize) -> bool {
    array.value(row) && array.is_valid(row)
}

/// NaN stands for an unknown value, which SQL has as NULL.
fn known(values: Vec<f64>) -> ArrayRef {
    let nulls = values.iter().any(|value| value.is_nan());
    let nulls = nulls.then(|| values.iter().map(|value| !value.is_nan()).collect::<NullBuffer>());
    Arc::new(Float64Array::new(ScalarBuffer::from(values), nulls))
}

/// `*` stands for any characters.
fn matches(pattern: &str, symbol: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| symbol.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_symbols() {
        for (pattern, symbol, expected) in [
            ("*", "AAPL", true),
            ("*", "", true),
            ("AAPL", "AAPL", true),
            ("AAPL", "AAPLX", false),
            ("A*L", "AAPL", true),
            ("A*L", "AL", true),
            ("AL*L", "AL", false),
            ("*USD*", "BTCUSDT", true),
            ("*USD", "BTCUSDT", false),
            ("*.*", "BRK.B", true),
            ("a*", "AAPL", false),
        ] {
            assert_eq!(matches(pattern, symbol), expected, "{pattern} {symbol}");
        }
    }

    #[test]
    fn a_rule_fires_once_until_its_end_and_again_after_its_cool_down() {
        let mut memory = RuleState { trade_date: i32::MIN, active: false, fired: i64::MIN };
        let mut push = |when, ends, ts, date| memory.push(when, ends, ts, date, 100);
        assert!(push(true, false, 0, 1));
        assert!(!push(true, false, 10, 1), "still true");
        assert!(!push(false, true, 20, 1), "its end");
        assert!(!push(true, false, 99, 1), "too early");
        assert!(push(true, false, 100, 1));
        assert!(push(true, false, 101, 2), "a new session re-arms the rule");
    }
}

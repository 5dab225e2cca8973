//! The rows that a statement needs before its range, and when it pays to count them for a bound.

use datafusion::sql::parser::Statement;

use crate::query::named::warm_up::{RowsBefore, UntilCondition, earliest, latest_begin};
use crate::query::sql::scope::{TickScope, TimeBound};

/// When it pays to count rows before the range.
#[derive(Debug, Clone, Copy)]
pub(in crate::query) struct LookBackSettings {
    /// If there are fewer rows before the range, all of them are read.
    pub(in crate::query) few_rows: u64,
    /// The number of rows in the first step.
    pub(in crate::query) first_step: u64,
}

impl Default for LookBackSettings {
    fn default() -> Self {
        Self { few_rows: 1_000_000, first_step: 262_144 }
    }
}

#[cfg(test)]
impl LookBackSettings {
    /// Counts rows for tables of any size.
    pub(in crate::query) const EAGER: Self = Self { few_rows: 0, first_step: 1 };
}

/// The rows of each symbol that are needed before a range.
#[derive(Debug, Clone)]
pub(in crate::query) struct RowDemand {
    pub(in crate::query) table: &'static str,
    pub(in crate::query) range: TickScope,
    pub(in crate::query) from: TimeBound,
    pub(in crate::query) rows: u64,
    pub(in crate::query) until: UntilCondition,
    /// Names the symbols for which [`UntilCondition::Row`] is fulfilled before the range.
    pub(in crate::query) probe: Option<SymbolProbe>,
}

/// A statement whose parameters are bound, and its text.
#[derive(Debug, Clone)]
pub(in crate::query) struct SymbolProbe {
    pub(in crate::query) text: String,
    pub(in crate::query) statement: Statement,
}

impl RowDemand {
    pub(in crate::query) fn new(
        rows: &RowsBefore,
        count: u64,
        table: &'static str,
        range: &TickScope,
        from: TimeBound,
    ) -> Self {
        Self { table, range: range.clone(), from, rows: count.max(1), until: rows.until.clone(), probe: None }
    }

    pub(in crate::query) fn before(&self) -> TickScope {
        TickScope { symbols: Vec::new(), from: None, to: Some(self.from) }
    }

    /// No row of the range is before this instant, in microseconds.
    pub(in crate::query) fn first_of_range(&self) -> i64 {
        match self.from {
            TimeBound::Time(time) => time.timestamp_micros(),
            TimeBound::Date(date) => earliest(date).timestamp_micros(),
        }
    }

    /// No row before the range is after this instant.
    pub(in crate::query) fn last_before(&self) -> i64 {
        match self.from {
            TimeBound::Time(time) => time.timestamp_micros(),
            TimeBound::Date(date) => latest_begin(date).timestamp_micros(),
        }
    }
}

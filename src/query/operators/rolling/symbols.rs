//! Runs of rows with the same symbol, and with the same trade date where windows restart each day.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringViewArray};
use arrow::datatypes::{DataType, Date32Type};
use datafusion::common::{Result, exec_datafusion_err};
use hashbrown::HashMap;

/// Name of the column that has the symbol.
pub(in crate::query) const SYMBOL: &str = "symbol";

/// Consecutive rows of one symbol, which has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SymbolRun {
    pub symbol: usize,
    pub rows: Range<usize>,
    /// The windows of the symbol restart here.
    pub starts_window: bool,
}

/// Symbols that were met, numbered from 0.
#[derive(Debug, Default)]
pub(super) struct SymbolNumbers {
    numbers: HashMap<Box<str>, usize>,
}

impl SymbolNumbers {
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// # Errors
    /// The column holds no text.
    pub(super) fn runs(&mut self, column: &ArrayRef) -> Result<Vec<SymbolRun>> {
        let mut runs = Vec::new();
        each_run(column, |name, rows| {
            let symbol = self.number(name);
            runs.push(SymbolRun { symbol, rows, starts_window: false });
        })?;
        Ok(runs)
    }

    fn number(&mut self, name: &str) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry_ref(name).or_insert(next)
    }
}

/// The newest trade date of each symbol.
#[derive(Debug, Default)]
pub(super) struct TradeDates {
    dates: Vec<Option<i32>>,
}

impl TradeDates {
    /// Cuts runs where the date changes.
    ///
    /// # Errors
    /// The column holds no dates, or a symbol's go back while its times go on.
    pub(super) fn cut(&mut self, runs: &[SymbolRun], column: &ArrayRef) -> Result<Vec<SymbolRun>> {
        let Some(dates) = column.as_primitive_opt::<Date32Type>().filter(|dates| dates.null_count() == 0) else {
            return Err(exec_datafusion_err!("trade_date is {} or unknown, expected a date", column.data_type()));
        };
        let mut cut = Vec::with_capacity(runs.len());
        for run in runs {
            self.dates.resize(self.dates.len().max(run.symbol + 1), None);
            let last = &mut self.dates[run.symbol];
            let mut start = run.rows.start;
            while start < run.rows.end {
                let date = dates.value(start);
                let same = dates.values()[start..run.rows.end].iter().take_while(|other| **other == date).count();
                if last.is_some_and(|last| date < last) {
                    return Err(exec_datafusion_err!(
                        "trade_date goes back from one tick of a symbol to the next: the table holds dates of several \
                         zones"
                    ));
                }
                cut.push(SymbolRun {
                    symbol: run.symbol,
                    rows: start..start + same,
                    starts_window: *last != Some(date),
                });
                *last = Some(date);
                start += same;
            }
        }
        Ok(cut)
    }
}

/// Gives the name and the rows of each run to `each`.
///
/// # Errors
/// The column holds no text.
pub(super) fn each_run(column: &ArrayRef, each: impl FnMut(&str, Range<usize>)) -> Result<()> {
    match column.data_type() {
        DataType::Utf8 => runs_of_strings(column.as_string::<i32>(), each),
        DataType::Utf8View => runs_of_views(column.as_string_view(), each),
        other => return Err(exec_datafusion_err!("symbol is {other}, expected text")),
    }
    Ok(())
}

fn runs_of_strings(column: &StringArray, mut each: impl FnMut(&str, Range<usize>)) {
    let mut start = 0;
    while start < column.len() {
        let name = column.value(start);
        let mut end = start + 1;
        while end < column.len() && column.value(end) == name {
            end += 1;
        }
        each(name, start..end);
        start = end;
    }
}

/// Longest text that a view holds itself: equal views are then equal texts and the other way round.
const INLINE_BYTES: u32 = 12;

fn runs_of_views(column: &StringViewArray, mut each: impl FnMut(&str, Range<usize>)) {
    let views = column.views();
    let mut start = 0;
    while start < views.len() {
        let view = views[start];
        let same = views[start..].iter().take_while(|other| **other == view).count();
        let mut end = start + same;
        let name = column.value(start);
        if view as u32 > INLINE_BYTES {
            while end < views.len() && column.value(end) == name {
                end += 1;
            }
        }
        each(name, start..end);
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn windows_restart_where_the_date_of_a_symbol_changes() {
        let run = |symbol, rows, starts_window| SymbolRun { symbol, rows, starts_window };
        let dates = |days: &[i32]| -> ArrayRef { Arc::new(arrow::array::Date32Array::from(days.to_vec())) };
        let mut sessions = TradeDates::default();
        let cut = sessions.cut(&[run(0, 0..3, false), run(1, 3..5, false)], &dates(&[7, 7, 8, 7, 7])).unwrap();
        assert_eq!(cut, [run(0, 0..2, true), run(0, 2..3, true), run(1, 3..5, true)]);
        let cut = sessions.cut(&[run(0, 0..1, false), run(1, 1..3, false)], &dates(&[8, 7, 9])).unwrap();
        assert_eq!(cut, [run(0, 0..1, false), run(1, 1..2, false), run(1, 2..3, true)]);
        let error = sessions.cut(&[run(0, 0..1, false)], &dates(&[7])).unwrap_err();
        assert!(error.to_string().contains("trade_date goes back"), "{error}");
        let column: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![None, Some(9)]));
        assert!(sessions.cut(&[run(0, 0..2, false)], &column).is_err());
    }

    #[test]
    fn runs_are_alike_for_strings_and_views() {
        let names = ["A", "A", "B", "a symbol that no view holds", "a symbol that no view holds", "A"];
        let strings: ArrayRef = Arc::new(StringArray::from(names.to_vec()));
        let views: ArrayRef = Arc::new(StringViewArray::from(names.to_vec()));
        for column in [strings, views] {
            let mut symbols = SymbolNumbers::default();
            let runs = symbols.runs(&column).unwrap();
            let expected = [(0, 0..2), (1, 2..3), (2, 3..5), (0, 5..6)];
            assert_eq!(runs, expected.map(|(symbol, rows)| SymbolRun { symbol, rows, starts_window: false }));
            assert_eq!(
                symbols.runs(&column.slice(5, 1)).unwrap(),
                [SymbolRun { symbol: 0, rows: 0..1, starts_window: false }]
            );
            assert_eq!((symbols.len(), symbols.runs(&column.slice(0, 0)).unwrap()), (3, vec![]));
        }
    }
}

//! Runs of rows with the same symbol.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err};
use hashbrown::HashMap;

/// Consecutive rows of one symbol, which has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub symbol: usize,
    pub rows: Range<usize>,
}

/// Symbols that were met, numbered from 0.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    numbers: HashMap<Box<str>, usize>,
}

impl Symbols {
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// # Errors
    /// The column holds no text.
    pub(super) fn runs(&mut self, column: &ArrayRef) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        each_run(column, |name, rows| {
            let symbol = self.number(name);
            runs.push(Run { symbol, rows });
        })?;
        Ok(runs)
    }

    fn number(&mut self, name: &str) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry_ref(name).or_insert(next)
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
    fn runs_are_alike_for_strings_and_views() {
        let names = ["A", "A", "B", "a symbol that no view holds", "a symbol that no view holds", "A"];
        let strings: ArrayRef = Arc::new(StringArray::from(names.to_vec()));
        let views: ArrayRef = Arc::new(StringViewArray::from(names.to_vec()));
        for column in [strings, views] {
            let mut symbols = Symbols::default();
            let runs = symbols.runs(&column).unwrap();
            let expected = [(0, 0..2), (1, 2..3), (2, 3..5), (0, 5..6)];
            assert_eq!(runs, expected.map(|(symbol, rows)| Run { symbol, rows }));
            assert_eq!(symbols.runs(&column.slice(5, 1)).unwrap(), [Run { symbol: 0, rows: 0..1 }]);
            assert_eq!((symbols.len(), symbols.runs(&column.slice(0, 0)).unwrap()), (3, vec![]));
        }
    }
}

//! Cuts a table that does not fit down to its first and last rows and its outer columns.

use std::collections::VecDeque;

/// A long text leaves room for at least two more columns.
const COLUMNS_THAT_SHARE: usize = 3;
const LEAST_CELL_WIDTH: usize = 16;

/// The bounds of a table on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableFit {
    /// Columns of the terminal.
    pub width: usize,
    /// Rows that are shown; `None` shows all.
    pub rows: Option<usize>,
    /// How the user can see what is left out.
    pub way_to_all: &'static str,
}

impl TableFit {
    pub(super) fn cell_width(self) -> usize {
        (self.width / COLUMNS_THAT_SHARE).max(LEAST_CELL_WIDTH)
    }

    /// Indices of the columns that fit side by side, outer ones first; at least the first and the last.
    pub(super) fn columns(self, widths: &[usize], between: usize) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..widths.len()).collect();
        let needed = |shown: &[usize]| {
            // A column of one character stands for those that are left out.
            let fold = if shown.len() < widths.len() { 1 + between } else { 0 };
            shown.iter().map(|column| widths[*column] + between).sum::<usize>().saturating_sub(between) + fold
        };
        while shown.len() > 2 && needed(&shown) > self.width {
            shown.remove(shown.len() / 2);
        }
        shown
    }
}

/// The rows that a bounded table keeps: as many as fit, and once there are more, its first and its last half.
pub(super) struct KeptRows<T> {
    most: usize,
    first: Vec<T>,
    last: VecDeque<T>,
    rows: u64,
}

impl<T> KeptRows<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, first: Vec::new(), last: VecDeque::new(), rows: 0 }
    }

    /// Which of `rows` more rows may be shown in the end; the others need not be made.
    pub(super) fn wanted(&self, rows: usize) -> impl Iterator<Item = usize> + use<T> {
        let free = self.most - self.first.len();
        let from_end = rows.saturating_sub(self.most / 2);
        (0..rows).filter(move |row| *row < free || *row >= from_end)
    }

    /// A row that is wanted.
    pub(super) fn push(&mut self, row: T) {
        if self.first.len() < self.most {
            self.first.push(row);
            return;
        }
        self.last.push_back(row);
        if self.last.len() > self.most / 2 {
            self.last.pop_front();
        }
    }

    pub(super) fn count(&mut self, rows: usize) {
        self.rows += rows as u64;
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// The rows before and after the gap; without a gap all are before it.
    pub(super) fn into_halves(mut self) -> (Vec<T>, Vec<T>) {
        let most_last = self.most / 2;
        if self.last.is_empty() {
            return (self.first, Vec::new());
        }
        // Fewer than half came behind the first ones: the rest of the last half is still among these.
        let missing = most_last - self.last.len();
        let mut last = self.first.split_off(self.first.len() - missing);
        self.first.truncate(self.most - most_last);
        last.extend(self.last);
        (self.first, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halves(most: usize, batches: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let mut kept = KeptRows::new(most);
        let mut next = 0;
        for rows in batches {
            for row in kept.wanted(*rows) {
                kept.push(next + row);
            }
            kept.count(*rows);
            next += rows;
        }
        assert_eq!(kept.rows(), next as u64);
        kept.into_halves()
    }

    #[test]
    fn the_first_and_the_last_rows_are_kept() {
        assert_eq!(halves(4, &[3]), (vec![0, 1, 2], vec![]));
        assert_eq!(halves(4, &[4]), (vec![0, 1, 2, 3], vec![]));
        assert_eq!(halves(4, &[5]), (vec![0, 1], vec![3, 4]));
        assert_eq!(halves(4, &[4, 1]), (vec![0, 1], vec![3, 4]));
        assert_eq!(halves(4, &[1, 1, 1, 1, 1, 1, 1]), (vec![0, 1], vec![5, 6]));
        assert_eq!(halves(5, &[100, 3]), (vec![0, 1, 2], vec![101, 102]));
        assert_eq!(halves(4, &[100, 1]), (vec![0, 1], vec![99, 100]));
        assert_eq!(halves(1, &[10, 10]), (vec![0], vec![]));
    }

    #[test]
    fn middle_columns_are_left_out_first() {
        let fit = |width| TableFit { width, rows: None, way_to_all: "" };
        assert_eq!(fit(20).columns(&[5, 5, 4], 3), [0, 1, 2]);
        assert_eq!(fit(19).columns(&[5, 5, 4], 3), [0, 2]);
        assert_eq!(fit(5).columns(&[50, 5, 5, 40], 3), [0, 3]);
        assert_eq!(fit(30).columns(&[5, 5, 5, 5, 5], 3), [0, 1, 4]);
    }
}

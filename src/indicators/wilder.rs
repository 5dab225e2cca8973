//! Wilder's indicators: means that move by one n-th of their distance to each value, by TA-Lib's rules.

use std::num::NonZeroUsize;

use super::ema::SmoothedMean;
use super::known::known;

/// Below this, means of moves keep their ratio while nothing moves, instead of losing their digits.
const SMALLEST: f64 = 1e-250;

/// Wilder's mean: `(mean * (n - 1) + value) / n`, from the plain mean of the first n values.
#[derive(Debug, Clone, Copy)]
struct WilderMean {
    smoothed: SmoothedMean,
    rows: f64,
}

impl WilderMean {
    fn new(rows: NonZeroUsize) -> Self {
        Self { smoothed: SmoothedMean::new(rows), rows: rows.get() as f64 }
    }

    #[inline]
    fn push(&mut self, value: f64) -> Option<f64> {
        let rows = self.rows;
        self.smoothed.push(value, |mean| (mean * (rows - 1.0) + value) / rows)
    }

    fn mean(&self) -> Option<f64> {
        self.smoothed.mean()
    }
}

/// Relative strength index: the part of the rises in all moves, 0 to 100.
#[derive(Debug, Clone, Copy)]
pub struct Rsi {
    previous: Option<f64>,
    rises: WilderMean,
    falls: WilderMean,
}

impl Rsi {
    pub fn new(rows: NonZeroUsize) -> Self {
        Self { previous: None, rises: WilderMean::new(rows), falls: WilderMean::new(rows) }
    }

    /// `None` until n moves are known, where none of them all was a move, and for an unknown value: it leaves no trace.
    #[inline]
    pub fn push(&mut self, value: Option<f64>) -> Option<f64> {
        let value = known(value)?;
        let change = value - self.previous.replace(value)?;
        let (rises, falls) = match self.means() {
            // A mean of one row is the row, though.
            Some((rises, falls)) if change == 0.0 && rises + falls < SMALLEST && self.rises.rows > 1.0 => {
                (rises, falls)
            }
            _ => self.rises.push(change.max(0.0)).zip(self.falls.push((-change).max(0.0)))?,
        };
        let moves = rises + falls;
        (moves > 0.0).then(|| 100.0 * (rises / moves))
    }

    fn means(&self) -> Option<(f64, f64)> {
        self.rises.mean().zip(self.falls.mean())
    }
}

/// Highest, lowest and last price of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PriceRange {
    pub high: Option<f64>,
    pub low: Option<f64>,
    pub close: Option<f64>,
}

/// Average true range: how far the price moves in a row, jumps from the close before it included.
#[derive(Debug, Clone, Copy)]
pub struct Atr {
    previous: Option<f64>,
    ranges: WilderMean,
}

impl Atr {
    pub fn new(rows: NonZeroUsize) -> Self {
        Self { previous: None, ranges: WilderMean::new(rows) }
    }

    /// `None` until n rows after the first are known, and for a row of which a price is unknown: it leaves no trace.
    #[inline]
    pub fn push(&mut self, row: PriceRange) -> Option<f64> {
        let (high, low, close) = (known(row.high)?, known(row.low)?, known(row.close)?);
        let previous = self.previous.replace(close)?;
        let range = (high - low).max((high - previous).abs()).max((low - previous).abs());
        self.ranges.push(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rsi(rows: usize, series: &[Option<f64>]) -> Vec<Option<f64>> {
        let mut rsi = Rsi::new(NonZeroUsize::new(rows).unwrap());
        series.iter().map(|value| rsi.push(*value)).collect()
    }

    #[test]
    fn strength_is_the_part_of_rises() {
        let series = [10.0, 13.0, 12.0, 12.0, 15.0].map(Some);
        // Means of rises 1.5, 0.75, 1.875; of falls 0.5, 0.25, 0.125.
        assert_eq!(rsi(2, &series), [None, None, Some(75.0), Some(75.0), Some(93.75)]);
        assert_eq!(rsi(1, &series), [None, Some(100.0), Some(0.0), None, Some(100.0)]);
    }

    #[test]
    fn what_is_no_number_has_no_strength_and_leaves_no_trace() {
        let series = [Some(10.0), None, Some(13.0), Some(f64::NAN), Some(12.0), Some(f64::NEG_INFINITY), Some(12.0)];
        assert_eq!(rsi(2, &series), [None, None, None, None, Some(75.0), None, Some(75.0)]);
    }

    #[test]
    fn nothing_that_moves_has_no_strength() {
        assert_eq!(rsi(3, &[Some(0.1); 40]), [None; 40]);
        let still = rsi(2, &[[Some(10.0), Some(13.0), Some(12.0)].as_slice(), &[Some(12.0); 50_000]].concat());
        assert!(still[2..].iter().all(|value| value.is_some_and(|value| (value - 75.0).abs() < 1e-9)));
        let moved = rsi(2, &[[Some(10.0), Some(12.0)].as_slice(), &[Some(12.0); 50_000], &[Some(11.0)]].concat());
        assert!(moved.last().unwrap().unwrap() < 1e-9);
    }

    #[test]
    fn a_range_holds_the_jump_from_the_close_before() {
        let row = |high, low, close| PriceRange { high: Some(high), low: Some(low), close: Some(close) };
        let unknown = PriceRange { high: None, ..row(0.0, 0.0, 0.0) };
        let no_number = PriceRange { close: Some(f64::NAN), ..row(9.0, 0.0, 0.0) };
        let mut atr = Atr::new(NonZeroUsize::new(2).unwrap());
        let rows = [
            row(11.0, 9.0, 10.0),
            row(15.0, 14.0, 14.5),
            unknown,
            row(14.0, 11.5, 12.0),
            no_number,
            row(12.5, 11.5, 12.0),
            row(8.0, 7.0, 7.0),
        ];
        let found: Vec<Option<f64>> = rows.into_iter().map(|row| atr.push(row)).collect();
        // True ranges 5 (a jump up), 3 (down to the low), 1, 5 (a jump down).
        assert_eq!(found, [None, None, None, Some(4.0), None, Some(2.5), Some(3.75)]);
    }
}

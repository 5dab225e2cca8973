//! Exponential means, and the difference of two of them, by TA-Lib's rules.

use std::num::NonZeroUsize;

use super::known::{SeedMean, known};

/// A mean that moves by a part of its distance to each value.
#[derive(Debug, Clone, Copy)]
pub(super) struct SmoothedMean {
    seed: SeedMean,
    mean: Option<f64>,
}

impl SmoothedMean {
    pub(super) fn new(rows: NonZeroUsize) -> Self {
        Self { seed: SeedMean::new(rows.get()), mean: None }
    }

    /// `step` makes the next mean of the last one; the first is the plain mean of the first n values.
    #[inline]
    pub(super) fn push(&mut self, value: f64, step: impl FnOnce(f64) -> f64) -> Option<f64> {
        self.mean = match self.mean {
            Some(mean) => Some(step(mean)),
            None => self.seed.push(value),
        };
        self.mean
    }

    pub(super) fn mean(&self) -> Option<f64> {
        self.mean
    }
}

/// Exponential moving average: `mean + 2 / (n + 1) * (value - mean)`, from the plain mean of the first n values.
#[derive(Debug, Clone, Copy)]
pub struct Ema {
    smoothed: SmoothedMean,
    factor: f64,
}

impl Ema {
    pub fn new(rows: NonZeroUsize) -> Self {
        Self { smoothed: SmoothedMean::new(rows), factor: 2.0 / (rows.get() as f64 + 1.0) }
    }

    /// `None` until n values are known, and for a value that isn't: it leaves no trace.
    #[inline]
    pub fn push(&mut self, value: Option<f64>) -> Option<f64> {
        known(value).and_then(|value| self.take(value))
    }

    #[inline]
    fn take(&mut self, value: f64) -> Option<f64> {
        let factor = self.factor;
        // A mean of one row is the row: the sum would lose the digits of a value far smaller than the mean before.
        self.smoothed.push(value, |mean| if factor == 1.0 { value } else { mean + (value - mean) * factor })
    }
}

/// How long the means of a [`Macd`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacdPeriods {
    /// Less than `slow`.
    pub fast: NonZeroUsize,
    pub slow: NonZeroUsize,
    pub signal: NonZeroUsize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MacdRow {
    /// Fast mean less the slow one.
    pub macd: f64,
    /// Exponential mean of `macd`.
    pub signal: f64,
    /// `macd` less `signal`.
    pub histogram: f64,
}

/// Moving average convergence/divergence.
///
/// Both means begin at the same value, the one with which the slow mean is full: the fast one with the mean of the last
/// values until there, not of the first ones.
#[derive(Debug, Clone, Copy)]
pub struct Macd {
    /// Values before those that the fast mean begins with.
    before_fast: usize,
    fast: Ema,
    slow: Ema,
    signal: Ema,
}

impl Macd {
    pub fn new(periods: MacdPeriods) -> Self {
        Self {
            before_fast: periods.slow.get().saturating_sub(periods.fast.get()),
            fast: Ema::new(periods.fast),
            slow: Ema::new(periods.slow),
            signal: Ema::new(periods.signal),
        }
    }

    /// `None` until `slow + signal - 1` values are known, and for a value that isn't: it leaves no trace.
    #[inline]
    pub fn push(&mut self, value: Option<f64>) -> Option<MacdRow> {
        let value = known(value)?;
        let slow = self.slow.take(value);
        if self.before_fast > 0 {
            self.before_fast -= 1;
            return None;
        }
        let fast = self.fast.take(value);
        let macd = fast? - slow?;
        let signal = self.signal.take(macd)?;
        Some(MacdRow { macd, signal, histogram: macd - signal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    #[test]
    fn a_mean_begins_with_the_plain_one_and_moves_by_its_factor() {
        let mut ema = Ema::new(rows(3));
        let found: Vec<Option<f64>> =
            [1.0, 2.0, 6.0, 5.0, 4.0].into_iter().map(|value| ema.push(Some(value))).collect();
        assert_eq!(found, [None, None, Some(3.0), Some(4.0), Some(4.0)]);
        let mut same = Ema::new(rows(1));
        assert_eq!([same.push(Some(1e16)), same.push(Some(-2.1))], [Some(1e16), Some(-2.1)]);
    }

    #[test]
    fn what_is_no_number_has_no_mean_and_leaves_no_trace() {
        let mut ema = Ema::new(rows(2));
        let series = [None, Some(1.0), Some(f64::NAN), Some(3.0), None, Some(f64::INFINITY), Some(1e301), Some(5.0)];
        let found: Vec<Option<f64>> = series.into_iter().map(|value| ema.push(value)).collect();
        assert_eq!(found, [None, None, None, Some(2.0), None, None, None, Some(4.0)]);
    }

    #[test]
    fn both_means_begin_where_the_slow_one_is_full() {
        let mut macd = Macd::new(MacdPeriods { fast: rows(2), slow: rows(3), signal: rows(2) });
        let found: Vec<Option<MacdRow>> =
            [1.0, 2.0, 6.0, 12.0, 3.0].into_iter().map(|value| macd.push(Some(value))).collect();
        assert_eq!(found[..3], [None; 3]);
        // Slow 3, 7.5, 5.25; fast (2 + 6) / 2 = 4, then 2/3 of the way to 12 and to 3.
        let fast = [4.0, 4.0 + 8.0 * 2.0 / 3.0, 0.0];
        let first = [1.0, fast[1] - 7.5];
        let signal = (first[0] + first[1]) / 2.0;
        let row = found[3].unwrap();
        assert!((row.macd - first[1]).abs() < 1e-12 && (row.signal - signal).abs() < 1e-12);
        assert_eq!(row.histogram, row.macd - row.signal);
        let macd = fast[1] + (3.0 - fast[1]) * 2.0 / 3.0 - 5.25;
        let row = found[4].unwrap();
        assert!((row.macd - macd).abs() < 1e-12);
        assert!((row.signal - (signal + (macd - signal) * 2.0 / 3.0)).abs() < 1e-12);
    }

    #[test]
    fn the_usual_periods_have_their_first_row_at_the_thirty_fourth_value() {
        let mut macd = Macd::new(MacdPeriods { fast: rows(12), slow: rows(26), signal: rows(9) });
        let first = (0..100).position(|row| macd.push(Some(f64::from(row * row % 17))).is_some());
        assert_eq!(first, Some(33));
    }
}

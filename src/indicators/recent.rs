//! The last values of one symbol, read after every tick.
//!
//! A window of some ten values is summed from scratch for every tick: that costs less than the bookkeeping of
//! [`super::Frames`], which is for whole slices and for windows of any length, and leaves no trace either.

/// The last values, newest at the end, in one piece.
#[derive(Debug, Clone)]
pub struct RecentValues {
    /// Twice as long as what is kept, so that values move to its front once in a while only.
    values: Box<[f64]>,
    end: usize,
    /// At most half of `values`.
    len: usize,
}

impl RecentValues {
    /// Keeps `capacity` values, at least one.
    pub fn new(capacity: usize) -> Self {
        Self { values: vec![f64::NAN; 2 * capacity.max(1)].into_boxed_slice(), end: 0, len: 0 }
    }

    /// NaN stands for an unknown value.
    #[inline]
    pub fn push(&mut self, value: f64) {
        let capacity = self.values.len() / 2;
        if self.end == self.values.len() {
            self.values.copy_within(capacity + 1.., 0);
            self.end = capacity - 1;
        }
        self.values[self.end] = value;
        self.end += 1;
        self.len = (self.len + 1).min(capacity);
    }

    /// The newest value.
    #[inline]
    pub fn newest(&self) -> Option<f64> {
        (self.len > 0).then(|| self.values[self.end - 1])
    }

    /// The last `rows` values; `None` until there are as many.
    #[inline]
    pub fn last(&self, rows: usize) -> Option<&[f64]> {
        (rows <= self.len).then(|| &self.values[self.end - rows..self.end])
    }

    /// Gives `each` the mean of the last values for each of `windows`, which are sorted, as far as they are full. A
    /// mean over an unknown value is NaN.
    #[inline]
    pub fn means(&self, windows: &[usize], mut each: impl FnMut(usize, f64)) {
        let (mut sum, mut done) = (0.0, 0);
        for (place, &window) in windows.iter().enumerate() {
            if window > self.len {
                return;
            }
            sum += self.values[self.end - window..self.end - done].iter().sum::<f64>();
            done = window;
            each(place, sum / window as f64);
        }
    }
}

/// Mean and sample standard deviation; NaN of fewer than two values, and where one of them is unknown. Values that are
/// all equal have a deviation of 0.
#[inline]
pub fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let Some(first) = values.first() else { return (f64::NAN, f64::NAN) };
    // Around the first value: prices are far larger than what they move.
    let shift = values.iter().map(|value| value - first).sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - first - shift) * (value - first - shift)).sum::<f64>();
    (first + shift, (squares / (count - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_values_are_in_order_and_as_many_as_are_kept() {
        let mut recent = RecentValues::new(3);
        assert_eq!((recent.newest(), recent.last(1)), (None, None));
        for value in 1..=20 {
            recent.push(f64::from(value));
            let first = f64::from(value) - 2.0;
            assert_eq!(recent.newest(), Some(f64::from(value)));
            assert_eq!(recent.last(4), None);
            if value > 2 {
                assert_eq!(recent.last(3), Some(&[first, first + 1.0, first + 2.0][..]));
            }
        }
    }

    #[test]
    fn equal_values_have_no_deviation() {
        assert_eq!(mean_and_deviation(&[0.1; 7]), (0.1, 0.0));
        assert!(mean_and_deviation(&[1.0]).1.is_nan() && mean_and_deviation(&[]).0.is_nan());
        assert!(mean_and_deviation(&[1.0, f64::NAN, 2.0]).1.is_nan());
    }

    proptest! {
        #[test]
        fn means_and_deviations_are_those_of_the_last_values(
            values in prop::collection::vec(-1e6f64..1e6, 1..80),
            windows in prop::collection::btree_set(1usize..25, 1..6),
        ) {
            let windows: Vec<usize> = windows.into_iter().collect();
            let mut recent = RecentValues::new(*windows.last().unwrap());
            for (row, &value) in values.iter().enumerate() {
                recent.push(value);
                let mut found = vec![None; windows.len()];
                recent.means(&windows, |place, mean| found[place] = Some(mean));
                for (window, found) in windows.iter().zip(found) {
                    let expected = (row + 1).checked_sub(*window).map(|start| &values[start..=row]);
                    prop_assert_eq!(found.is_some(), expected.is_some());
                    let (Some(mean), Some(expected)) = (found, expected) else { continue };
                    let naive = expected.iter().sum::<f64>() / *window as f64;
                    prop_assert!((mean - naive).abs() <= 1e-9 * naive.abs().max(1.0));
                    if *window > 1 {
                        let squares = expected.iter().map(|value| (value - naive).powi(2)).sum::<f64>();
                        let naive = (squares / (*window as f64 - 1.0)).sqrt();
                        let (_, deviation) = mean_and_deviation(recent.last(*window).unwrap());
                        prop_assert!((deviation - naive).abs() <= 1e-9 * naive.max(1.0), "{deviation} {naive}");
                    }
                }
            }
        }
    }
}

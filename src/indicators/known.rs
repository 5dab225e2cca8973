//! What the recursive kernels share: which values count, and the mean that they begin with.
//!
//! A recursion remembers every value that it took. One that is no number would stay in it for ever, so it is not taken:
//! that row has no result, and the rows after it are what they would be without it.

/// Beyond this, sums of as many values as a period may have could overflow.
const LARGEST: f64 = 1e300;

/// The value, if a recursion takes it: `None` for what is unknown, no number, infinite, or beyond 1e300.
pub(super) fn known(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.abs() <= LARGEST)
}

/// Mean of the first n values, with which a recursion begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeedMean {
    rows: f64,
    missing: usize,
    sum: f64,
}

impl SeedMean {
    pub(super) fn new(rows: usize) -> Self {
        Self { rows: rows as f64, missing: rows, sum: 0.0 }
    }

    /// The mean, once with the last of the values it needs.
    #[inline]
    pub(super) fn push(&mut self, value: f64) -> Option<f64> {
        self.sum += value;
        self.missing -= 1;
        (self.missing == 0).then(|| self.sum / self.rows)
    }
}

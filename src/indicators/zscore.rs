//! How far a value lies from those before it, in their standard deviations.

use std::num::NonZeroUsize;

use super::fold::{Fold, Moments, MomentsState};
use super::window::{Frame, Frames};

/// Distance from the mean of the previous n values in their sample standard deviations.
///
/// The value is not in its own frame: there it could never exceed `(n - 1) / sqrt(n)`.
#[derive(Debug, Clone)]
pub struct ZScore {
    rows: NonZeroUsize,
    frames: Frames<Moments>,
    /// Taken out again by each push.
    before: Vec<MomentsState>,
}

impl ZScore {
    pub fn new(rows: NonZeroUsize) -> Self {
        Self { rows, frames: Frames::new(Frame { rows: Some(rows), lag: 1 }), before: Vec::new() }
    }

    /// `None` until n values came before, and where they are all equal or one of them is unknown.
    #[inline]
    pub fn push(&mut self, value: Option<f64>) -> Option<f64> {
        self.frames.extend(1, |_| value.map_or(Moments::EMPTY, Moments::of), &mut self.before);
        let before = self.before.pop()?;
        let deviation = before.sample_variance()?.sqrt();
        if before.count < self.rows.get() as f64 || deviation == 0.0 {
            return None;
        }
        value.map(|value| before.distance(value) / deviation)
    }
}

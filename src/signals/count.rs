//! How many values in a frame are known.

use std::collections::VecDeque;

use super::window::Frame;

/// Counts known values in each row's frame; costs nothing per row where all are known.
#[derive(Debug, Clone)]
pub struct Counter {
    frame: Frame,
    seen: usize,
    /// Rows of unknown values that no frame has reached yet, in order.
    ahead: VecDeque<usize>,
    /// Rows of unknown values in the frame, in order; only their number where the frame has no beginning.
    inside: VecDeque<usize>,
    forever: usize,
}

impl Counter {
    pub fn new(frame: Frame) -> Self {
        Self { frame, seen: 0, ahead: VecDeque::new(), inside: VecDeque::new(), forever: 0 }
    }

    /// Takes the next `len` rows and appends the count in the frame of each.
    pub fn extend(&mut self, len: usize, is_known: Option<impl Fn(usize) -> bool>, counts: &mut Vec<i64>) {
        match is_known {
            None if self.ahead.is_empty() && self.inside.is_empty() => self.extend_known(len, counts),
            None => self.extend_slowly(len, |_| true, counts),
            Some(is_known) => self.extend_slowly(len, is_known, counts),
        }
    }

    fn extend_known(&mut self, len: usize, counts: &mut Vec<i64>) {
        let first = self.seen + 1;
        self.seen += len;
        let full = match self.frame.rows {
            Some(rows) => rows.get(),
            None => usize::MAX,
        };
        let growing = full.saturating_add(self.frame.lag).saturating_sub(first).min(len);
        counts.extend((first..first + growing).map(|end| self.in_frame(end)));
        counts.extend(std::iter::repeat_n(full as i64, len - growing));
    }

    /// Counts where all values in the frame are known, for the row before `end`.
    fn in_frame(&self, end: usize) -> i64 {
        let end = end.saturating_sub(self.frame.lag);
        (self.frame.rows.map_or(end, |rows| end.min(rows.get())) - self.forever) as i64
    }

    fn extend_slowly(&mut self, len: usize, is_known: impl Fn(usize) -> bool, counts: &mut Vec<i64>) {
        for at in 0..len {
            if !is_known(at) {
                self.ahead.push_back(self.seen);
            }
            self.seen += 1;
            let end = self.seen.saturating_sub(self.frame.lag);
            while self.ahead.front().is_some_and(|row| *row < end) {
                let row = self.ahead.pop_front();
                match self.frame.rows {
                    Some(_) => self.inside.extend(row),
                    None => self.forever += 1,
                }
            }
            if let Some(rows) = self.frame.rows {
                while self.inside.front().is_some_and(|row| row + rows.get() < end) {
                    self.inside.pop_front();
                }
            }
            counts.push(self.in_frame(self.seen) - self.inside.len() as i64);
        }
    }
}

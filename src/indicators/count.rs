//! How many values in a frame are known.

use std::collections::VecDeque;

use super::window::{Frame, delay};

/// Counts known values in each row's frame; costs next to nothing where all are known.
#[derive(Debug, Clone)]
pub struct NonNullCounter {
    frame: Frame,
    seen: usize,
    /// Of a frame without a beginning: known values so far, and counts that no row has used yet.
    known: i64,
    waiting: VecDeque<i64>,
    /// Of any other: whether each of the last rows is known, as many as a frame and its lag. Empty where all are.
    last: VecDeque<bool>,
    /// Unknown ones of those.
    unknown: usize,
    /// Unknown ones of those in the frame.
    unknown_inside: usize,
}

impl NonNullCounter {
    pub fn new(frame: Frame) -> Self {
        let (waiting, last) = (VecDeque::new(), VecDeque::new());
        Self { frame, seen: 0, known: 0, waiting, last, unknown: 0, unknown_inside: 0 }
    }

    /// Takes the next `len` rows and appends the count in the frame of each.
    pub fn extend(&mut self, len: usize, is_known: Option<impl Fn(usize) -> bool>, counts: &mut Vec<i64>) {
        let start = counts.len();
        match (self.frame.rows, is_known) {
            (None, is_known) => {
                let mut known = self.known;
                counts.extend((0..len).map(|at| {
                    known += i64::from(is_known.as_ref().is_none_or(|is_known| is_known(at)));
                    known
                }));
                self.known = known;
                delay(&mut self.waiting, self.frame.lag, 0, &mut counts[start..]);
            }
            (Some(rows), None) if self.last.is_empty() => self.slide_known(rows.get(), len, counts),
            (Some(rows), None) => self.slide(rows.get(), len, |_| true, counts),
            (Some(rows), Some(is_known)) => self.slide(rows.get(), len, is_known, counts),
        }
    }

    /// Bytes that are allocated.
    pub fn size(&self) -> usize {
        self.waiting.capacity() * size_of::<i64>() + self.last.capacity()
    }

    fn slide_known(&mut self, rows: usize, len: usize, counts: &mut Vec<i64>) {
        let first = self.seen + 1;
        self.seen += len;
        let growing = rows.saturating_add(self.frame.lag).saturating_sub(first).min(len);
        counts.extend((first..first + growing).map(|end| end.saturating_sub(self.frame.lag) as i64));
        counts.extend(std::iter::repeat_n(rows as i64, len - growing));
    }

    fn slide(&mut self, rows: usize, len: usize, is_known: impl Fn(usize) -> bool, counts: &mut Vec<i64>) {
        let kept = rows.saturating_add(self.frame.lag);
        if self.last.is_empty() {
            self.last.extend(std::iter::repeat_n(true, self.seen.min(kept)));
        }
        for at in 0..len {
            let is_known = is_known(at);
            self.unknown += usize::from(!is_known);
            self.last.push_back(is_known);
            if let Some(newest) = self.last.len().checked_sub(self.frame.lag.saturating_add(1)) {
                self.unknown_inside += usize::from(!self.last[newest]);
            }
            if self.last.len() > kept {
                let has_left = self.last.pop_front() == Some(false);
                self.unknown -= usize::from(has_left);
                self.unknown_inside -= usize::from(has_left);
            }
            self.seen += 1;
            let in_frame = self.seen.saturating_sub(self.frame.lag).min(rows);
            counts.push((in_frame - self.unknown_inside) as i64);
        }
        if self.unknown == 0 {
            self.last.clear();
        }
    }
}

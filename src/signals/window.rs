//! Folds over the frames `ROWS BETWEEN a PRECEDING AND b PRECEDING` of one symbol.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use super::fold::Fold;

/// Which rows a row looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Frame {
    /// How many rows; `None` is all from the first.
    pub rows: Option<NonZeroUsize>,
    /// How many rows before the current one the frame ends: 0 ends at the current row.
    pub lag: usize,
}

/// The fold over each row's frame.
#[derive(Debug, Clone)]
pub struct Frames<F: Fold> {
    rows: Option<NonZeroUsize>,
    /// States of the block that fills. Empty for a frame without a beginning.
    block: Vec<F::State>,
    /// Fold of that block, or of everything.
    head: F::State,
    /// Folds of the block before, from each of its places to its end, and of nothing. Empty during the first block.
    tails: Vec<F::State>,
    /// Folds that are not looked at yet, as many as the lag.
    waiting: VecDeque<F::State>,
}

impl<F: Fold> Frames<F> {
    pub fn new(frame: Frame) -> Self {
        Self {
            rows: frame.rows,
            block: Vec::new(),
            head: F::EMPTY,
            tails: Vec::new(),
            waiting: std::iter::repeat_n(F::EMPTY, frame.lag).collect(),
        }
    }

    /// Takes the next `len` rows, `state_of` each, and gives the fold over the frame of each to `each`.
    #[inline]
    pub fn extend(&mut self, len: usize, state_of: impl Fn(usize) -> F::State, mut each: impl FnMut(F::State)) {
        if self.waiting.is_empty() {
            return self.fold(len, state_of, each);
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        self.fold(len, state_of, |state| {
            waiting.push_back(state);
            if let Some(state) = waiting.pop_front() {
                each(state);
            }
        });
        self.waiting = waiting;
    }

    #[inline(always)]
    fn fold(&mut self, len: usize, state_of: impl Fn(usize) -> F::State, mut each: impl FnMut(F::State)) {
        let mut head = self.head;
        let Some(rows) = self.rows else {
            for at in 0..len {
                head = F::join(head, state_of(at));
                each(head);
            }
            self.head = head;
            return;
        };
        let rows = rows.get();
        let mut at = 0;
        while at < len {
            let filled = self.block.len();
            let end = len.min(at.saturating_add(rows - filled));
            self.block.extend((at..end).map(&state_of));
            let new = &self.block[filled..];
            if self.tails.is_empty() {
                for state in new {
                    head = F::join(head, *state);
                    each(head);
                }
            } else {
                for (state, tail) in new.iter().zip(&self.tails[filled + 1..]) {
                    head = F::join(head, *state);
                    each(F::join(*tail, head));
                }
            }
            at = end;
            if self.block.len() == rows {
                self.turn();
                head = F::EMPTY;
            }
        }
        self.head = head;
    }

    /// The full block becomes the one before.
    fn turn(&mut self) {
        std::mem::swap(&mut self.block, &mut self.tails);
        self.block.clear();
        let mut tail = F::EMPTY;
        for state in self.tails.iter_mut().rev() {
            tail = F::join(*state, tail);
            *state = tail;
        }
        self.tails.push(F::EMPTY);
    }
}

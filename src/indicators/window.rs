//! Folds over the frames `ROWS BETWEEN a PRECEDING AND b PRECEDING` of one symbol.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use super::fold::Fold;

/// The rows in the frame of a row.
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
    frame: Frame,
    /// States of the block that fills. Empty for a frame without a beginning.
    block: Vec<F::State>,
    /// Fold of that block, or of everything.
    head: F::State,
    /// Folds of the block before, from each of its places to its end, and of nothing. Empty during the first block.
    tails: Vec<F::State>,
    /// Folds that no row has used yet; at most as many as the lag.
    waiting: VecDeque<F::State>,
}

impl<F: Fold> Frames<F> {
    pub fn new(frame: Frame) -> Self {
        Self { frame, block: Vec::new(), head: F::EMPTY, tails: Vec::new(), waiting: VecDeque::new() }
    }

    /// Takes the next `len` rows, `state_of` each, and appends the fold over the frame of each to `folds`.
    pub fn extend(&mut self, len: usize, state_of: impl Fn(usize) -> F::State, folds: &mut Vec<F::State>) {
        let start = folds.len();
        folds.reserve(len);
        match self.frame.rows {
            Some(rows) => self.slide(rows.get(), len, state_of, folds),
            None => {
                let mut head = self.head;
                folds.extend((0..len).map(|at| {
                    head = F::join(head, state_of(at));
                    head
                }));
                self.head = head;
            }
        }
        delay(&mut self.waiting, self.frame.lag, F::EMPTY, &mut folds[start..]);
    }

    /// Bytes that are allocated.
    pub fn size(&self) -> usize {
        (self.block.capacity() + self.tails.capacity() + self.waiting.capacity()) * size_of::<F::State>()
    }

    fn slide(&mut self, rows: usize, len: usize, state_of: impl Fn(usize) -> F::State, folds: &mut Vec<F::State>) {
        let mut at = 0;
        while at < len {
            let filled = self.block.len();
            let end = len.min(at.saturating_add(rows - filled));
            self.block.extend((at..end).map(&state_of));
            let new = &self.block[filled..];
            let mut head = self.head;
            if self.tails.is_empty() {
                folds.extend(new.iter().map(|state| {
                    head = F::join(head, *state);
                    head
                }));
            } else {
                folds.extend(new.iter().zip(&self.tails[filled + 1..]).map(|(state, tail)| {
                    head = F::join(head, *state);
                    F::join(*tail, head)
                }));
            }
            self.head = head;
            at = end;
            if self.block.len() == rows {
                self.turn();
            }
        }
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
        self.head = F::EMPTY;
    }
}

/// Moves `values` back by `lag` places: the values that wait come first, and before the first of all there is `empty`.
pub(super) fn delay<T: Copy>(waiting: &mut VecDeque<T>, lag: usize, empty: T, values: &mut [T]) {
    let (first, values) = values.split_at_mut((lag - waiting.len()).min(values.len()));
    waiting.extend(first.iter().copied());
    first.fill(empty);
    if lag == 0 || values.is_empty() {
        return;
    }
    if lag > values.len() {
        for value in values {
            waiting.push_back(*value);
            *value = waiting.pop_front().unwrap_or(*value);
        }
        return;
    }
    let rest = values.len() - lag;
    let last: VecDeque<T> = values[rest..].iter().copied().collect();
    values.copy_within(..rest, lag);
    for (value, waited) in values.iter_mut().zip(std::mem::replace(waiting, last)) {
        *value = waited;
    }
}

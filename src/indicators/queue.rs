//! A fold over a queue: values enter at its end and leave at its front, and none leaves a trace.
//!
//! Two stacks make a queue. The newer one has the states that entered and their fold; the older one has, for each of
//! its values, the fold from it to the last of that stack. A value that leaves is popped, never subtracted.

use super::fold::Fold;

#[derive(Debug, Clone)]
pub struct FoldQueue<F: Fold> {
    /// The oldest value's fold is the last.
    older: Vec<F::State>,
    newer: Vec<F::State>,
    /// Of the newer states.
    head: F::State,
}

impl<F: Fold> Default for FoldQueue<F> {
    fn default() -> Self {
        Self { older: Vec::new(), newer: Vec::new(), head: F::EMPTY }
    }
}

impl<F: Fold> FoldQueue<F> {
    pub fn len(&self) -> usize {
        self.older.len() + self.newer.len()
    }

    pub fn is_empty(&self) -> bool {
        self.older.is_empty() && self.newer.is_empty()
    }

    #[inline]
    pub fn push(&mut self, state: F::State) {
        self.newer.push(state);
        self.head = F::join(self.head, state);
    }

    /// The oldest value leaves; nothing happens to an empty queue.
    #[inline]
    pub fn pop(&mut self) {
        if self.older.is_empty() {
            let mut tail = F::EMPTY;
            self.older.extend(self.newer.drain(..).rev().map(|state| {
                tail = F::join(state, tail);
                tail
            }));
            self.head = F::EMPTY;
        }
        self.older.pop();
    }

    /// Over all that is in the queue, in the order in which it entered.
    #[inline]
    pub fn fold(&self) -> F::State {
        match self.older.last() {
            Some(older) => F::join(*older, self.head),
            None => self.head,
        }
    }

    /// Bytes that are allocated.
    pub fn size(&self) -> usize {
        (self.older.capacity() + self.newer.capacity()) * size_of::<F::State>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fold::{Moments, Sum};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_left_leaves_no_trace() {
        let mut queue = FoldQueue::<Sum>::default();
        for value in [1e16, 1e9, f64::NAN, f64::INFINITY, 1.2e-6, 1.2e-6] {
            queue.push(value);
        }
        (0..4).for_each(|_| queue.pop());
        assert_eq!(queue.fold(), 2.4e-6);
        (0..9).for_each(|_| queue.pop());
        assert_eq!((queue.fold(), queue.len(), queue.is_empty()), (0.0, 0, true));
    }

    proptest! {
        #[test]
        fn the_fold_is_that_of_the_values_inside(
            steps in prop::collection::vec((-1e3f64..1e3, 0usize..3), 1..200),
        ) {
            let (mut sums, mut moments) = (FoldQueue::<Sum>::default(), FoldQueue::<Moments>::default());
            let mut inside = std::collections::VecDeque::new();
            for (value, leaving) in steps {
                sums.push(Sum::of(value));
                moments.push(Moments::of(value));
                inside.push_back(value);
                for _ in 0..leaving {
                    sums.pop();
                    moments.pop();
                    inside.pop_front();
                }
                prop_assert_eq!(sums.len(), inside.len());
                let sum: f64 = inside.iter().sum();
                prop_assert!((sums.fold() - sum).abs() <= 1e-9);
                let state = moments.fold();
                prop_assert_eq!(state.count, inside.len() as f64);
                let mean = sum / inside.len() as f64;
                let squares: f64 = inside.iter().map(|value| (value - mean).powi(2)).sum();
                let variance = state.population_variance().unwrap_or(0.0) * inside.len() as f64;
                prop_assert!((variance - squares).abs() <= 1e-6 || inside.is_empty(), "{variance} {squares}");
            }
        }
    }
}

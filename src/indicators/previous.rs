//! Values of earlier rows.

use std::collections::VecDeque;

/// The value `distance` rows before each row.
#[derive(Debug, Clone)]
pub struct LaggedValues<T> {
    distance: usize,
    /// The last values, as many as there were and at most `distance`; `None` is unknown.
    last: VecDeque<Option<T>>,
}

impl<T: Copy> LaggedValues<T> {
    pub fn new(distance: usize) -> Self {
        Self { distance, last: VecDeque::new() }
    }

    /// Takes the next `len` rows and gives each one's earlier value to `each`; `None` is unknown or before the first
    /// row.
    #[inline]
    pub fn extend(&mut self, len: usize, value: impl Fn(usize) -> Option<T>, mut each: impl FnMut(Option<T>)) {
        let first = (self.distance - self.last.len()).min(len);
        (0..first).for_each(|_| each(None));
        let old = self.last.len().min(len - first);
        self.last.drain(..old).for_each(&mut each);
        let new = len - first - old;
        (0..new).for_each(|at| each(value(at)));
        self.last.extend((new..len).map(value));
    }

    /// Bytes that are allocated.
    pub fn size(&self) -> usize {
        self.last.capacity() * size_of::<Option<T>>()
    }
}

/// The last side that was not zero, before the current row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastSign {
    last: i8,
}

impl LastSign {
    /// The last non-zero sign of the rows before; 0 if there is none.
    #[inline]
    pub fn push(&mut self, sign: i8) -> i8 {
        let before = self.last;
        if sign != 0 {
            self.last = sign;
        }
        before
    }
}

//! Values of earlier rows.

use std::collections::VecDeque;

/// The value `distance` rows before each row.
#[derive(Debug, Clone)]
pub struct Previous<T> {
    /// The last values, `distance` of them; `None` is unknown or before the first row.
    last: VecDeque<Option<T>>,
}

impl<T: Copy> Previous<T> {
    pub fn new(distance: usize) -> Self {
        Self { last: std::iter::repeat_n(None, distance).collect() }
    }

    /// Takes the next `len` rows and gives each one's earlier value to `each`.
    #[inline]
    pub fn extend(&mut self, len: usize, value: impl Fn(usize) -> Option<T>, mut each: impl FnMut(Option<T>)) {
        let distance = self.last.len();
        let old = distance.min(len);
        self.last.drain(..old).for_each(&mut each);
        (0..len - old).for_each(|at| each(value(at)));
        self.last.extend((len - old..len).map(value));
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

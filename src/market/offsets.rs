//! Half-open ranges of Kafka offsets, `[start, next)`, as Kafka and Rust count.

use std::fmt;

/// Offsets `[start, next)` of one partition. Invariant: `0 <= start <= next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetRange {
    start: i64,
    next: i64,
}

/// The bounds do not form a range.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("offsets [{start}, {next}) do not form a range")]
pub struct InvalidRange {
    pub start: i64,
    pub next: i64,
}

impl OffsetRange {
    /// # Errors
    /// `start` is negative or above `next`.
    pub fn new(start: i64, next: i64) -> Result<Self, InvalidRange> {
        if start < 0 || next < start {
            return Err(InvalidRange { start, next });
        }
        Ok(Self { start, next })
    }

    pub fn start(self) -> i64 {
        self.start
    }

    /// The next offset to read after this range.
    pub fn next(self) -> i64 {
        self.next
    }

    /// Offsets covered, holes included.
    pub fn len(self) -> i64 {
        self.next - self.start
    }

    pub fn is_empty(self) -> bool {
        self.start == self.next
    }

    /// Appends a range that begins where this one ends.
    ///
    /// # Errors
    /// There is a gap or an overlap between the two.
    pub fn extend(&mut self, later: OffsetRange) -> Result<(), InvalidRange> {
        if later.start != self.next {
            return Err(InvalidRange { start: self.next, next: later.start });
        }
        self.next = later.next;
        Ok(())
    }
}

impl fmt::Display for OffsetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn extending_never_loses_or_repeats_an_offset(
            start in 0i64..1_000, lengths in prop::collection::vec(0i64..50, 1..20)
        ) {
            let mut joined = OffsetRange::new(start, start).unwrap();
            for length in &lengths {
                let part = OffsetRange::new(joined.next(), joined.next() + length).unwrap();
                joined.extend(part).unwrap();
            }
            prop_assert_eq!(joined.start(), start);
            prop_assert_eq!(joined.len(), lengths.iter().sum::<i64>());
            let gap = OffsetRange::new(joined.next() + 1, joined.next() + 2).unwrap();
            prop_assert!(joined.extend(gap).is_err());
        }
    }

    #[test]
    fn bounds_are_checked() {
        assert!(OffsetRange::new(-1, 4).is_err());
        assert!(OffsetRange::new(5, 4).is_err());
        assert!(OffsetRange::new(4, 4).unwrap().is_empty());
    }
}

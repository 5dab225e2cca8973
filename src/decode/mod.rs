//! Bytes of a Kafka message -> rows, a dead letter or a skip. Pure: no clock, no I/O.

mod verdict;

pub use verdict::{Coercions, Message, Reason, Rejection, SkipKind, Verdict};

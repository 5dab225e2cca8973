//! Bytes of a Kafka message -> rows, a dead letter or a skip. Pure: no clock, no I/O.
//!
//! A payload passes `precheck` (size, encoding, foreign formats), `scan` (one pass over the JSON text that captures
//! what a `plan` wants), then `record` (captured values -> a row). `frames` and the files of the vendors know which
//! records a raw frame holds.

mod decoder;
mod input;
mod json;
mod optional;
mod source;
mod survey;
mod symbol;
mod time;
mod time_format;
mod verdict;

#[cfg(test)]
mod feed_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod table_tests;

pub use decoder::Decoder;
pub use input::{InputError, InputSettings, Preset};
pub use json::number::scaled_decimal;
pub use optional::{NeverMatched, OptionalPaths};
pub use source::{Source, TimeUnit};
pub use survey::KeySurvey;
pub use time_format::{TimeFormat, WrittenTime};
pub use verdict::{Coercions, Message, Reason, Rejection, SkipKind, TOO_LARGE_KEPT, Verdict};

//! Decodes the bytes of a Kafka message into rows, a dead letter or a skip. The code is pure: it uses no clock and no
//! I/O.
//!
//! A payload passes through `precheck` (size, encoding, foreign formats), `scan` (one pass over the JSON text, which
//! captures the values of a `plan`) and `row_reader` (converts captured values to a row). `frames` and the files of the
//! vendors define which records a raw frame contains.

mod decoder;
mod field_source;
mod input;
mod json;
mod optional;
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
pub use field_source::{FieldSource, TimeUnit};
pub use input::{InputError, InputSettings, Preset};
pub use json::number::scaled_decimal;
pub use optional::{NeverMatched, OptionalPaths};
pub use survey::KeySurvey;
pub use time_format::{TimeFormat, WrittenTime};
pub use verdict::{Coercions, KEPT_BYTES_OF_TOO_LARGE, RawMessage, Rejection, RejectionReason, SkipKind, Verdict};

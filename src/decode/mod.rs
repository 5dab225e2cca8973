//! Bytes of a Kafka message -> rows, a dead letter or a skip. Pure: no clock, no I/O.
//!
//! A payload passes `precheck` (size, encoding, foreign formats), `scan` (one pass over the JSON text that captures
//! what a `plan` wants), then `record` (captured values -> a row). `frames` and `binance` know which records a raw
//! frame of an exchange holds.

mod binance;
mod decoder;
mod frames;
mod input;
mod number;
mod plan;
mod precheck;
mod record;
mod scan;
mod symbol;
mod text;
mod time;
mod verdict;

#[cfg(test)]
mod table_tests;

pub use decoder::Decoder;
pub use input::{InputError, InputSettings, Preset, Source, TimeUnit};
pub use verdict::{Coercions, Message, Reason, Rejection, SkipKind, Verdict};

//! Why a tick can't be written in a format.

use crate::decode::Preset;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EncodeError {
    #[error("write messages as {0}: its times are local; set --zone, as in America/New_York")]
    NoZone(Preset),
    #[error(
        "write messages as [input] says: {field} comes from {origin}, which is not written; use --message-format, or \
         map it to a JSON pointer"
    )]
    Source { field: &'static str, origin: String },
    #[error("write messages as [input] says: {0}")]
    Input(String),
    #[error("write tick of {symbol}: {field} is not a finite number")]
    NotFinite { symbol: String, field: &'static str },
    #[error("write tick of {symbol}: its time, {ts} microseconds since 1970, is outside of the years 1 to 9999")]
    Time { symbol: String, ts: i64 },
}

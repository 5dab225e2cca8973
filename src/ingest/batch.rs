//! Rows AND the offset range they cover, per partition.

use std::collections::BTreeMap;

use crate::decode::{Rejection, SkipKind};
use crate::market::{Counts, OffsetRange, TickColumns};

/// A message that could not become rows, whole.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    pub partition: i32,
    pub offset: i64,
    pub kafka_ts: Option<i64>,
    pub key: Option<Vec<u8>>,
    /// Whole, except for `too_large` (first 64 KiB).
    pub payload: Vec<u8>,
    pub payload_bytes: i64,
    pub sha256: [u8; 32],
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub rejection: Rejection,
}

/// What the consumer thread decoded from one partition in one go.
///
/// Invariant: `counts.offsets() == range.len()`, and ranges of one assignment follow each other without a gap.
#[derive(Debug)]
pub struct Chunk {
    pub partition: i32,
    pub range: OffsetRange,
    pub rows: TickColumns,
    pub dead: Vec<DeadLetter>,
    pub skips: BTreeMap<SkipKind, u64>,
    pub counts: Counts,
    /// Microseconds since the epoch; the `ingested_at` of its rows.
    pub received_at: i64,
}

//! Rows AND the offset range they cover, per partition.

use std::collections::BTreeMap;

use crate::decode::{Rejection, SkipKind};
use crate::market::{OffsetRange, TickColumns};

/// What became of the messages of a range. `received = rows' messages + dead + skipped`; holes are no messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages stored as rows.
    pub stored_offsets: i64,
    /// Rows, at least one per stored message.
    pub rows: i64,
    pub dead: i64,
    pub skipped: i64,
    /// Offsets that Kafka never delivers: transaction markers, compacted records.
    pub holes: i64,
    /// Offsets given up by the operator's word.
    pub lost: i64,
}

impl Counts {
    pub fn add(&mut self, other: &Counts) {
        self.stored_offsets += other.stored_offsets;
        self.rows += other.rows;
        self.dead += other.dead;
        self.skipped += other.skipped;
        self.holes += other.holes;
        self.lost += other.lost;
    }

    /// Offsets accounted for; equals the length of the range they belong to.
    pub fn offsets(&self) -> i64 {
        self.stored_offsets + self.dead + self.skipped + self.holes + self.lost
    }
}

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

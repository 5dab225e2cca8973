//! Runs on the consumer thread: records -> verdicts -> chunks, one per partition.
//!
//! Invariant: ranges of one generation follow each other without a gap; an offset below `next` is dropped as
//! already applied, one above it leaves a hole that is counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::batch::{Chunk, DeadLetter};
use super::spare::SpareColumns;
use crate::decode::{Decoder, Message, Reason, Verdict};
use crate::kafka::{Handler, Record};
use crate::market::{OffsetRange, TickColumns};

/// Chunks cross the queue when they hold this many bytes together ..
const CHUNK_BYTES: usize = 4 << 20;
/// .. or are this old.
const CHUNK_AGE: Duration = Duration::from_millis(50);
/// What a dead letter keeps of a message above the limit.
const TOO_LARGE_KEPT: usize = 64 << 10;

/// Chunks of one generation of a partition's assignment.
pub struct Delivery {
    pub generation: u64,
    pub chunk: Chunk,
}

struct Partition {
    generation: u64,
    next: i64,
    open: Option<Chunk>,
}

/// The handler that decodes.
pub struct Assembler {
    decoder: Decoder,
    spare: SpareColumns,
    partitions: BTreeMap<i32, Partition>,
    bytes: usize,
    oldest: Option<Instant>,
    already_applied: Arc<AtomicU64>,
}

impl Assembler {
    pub fn new(decoder: Decoder, spare: SpareColumns, already_applied: Arc<AtomicU64>) -> Self {
        Self { decoder, spare, partitions: BTreeMap::new(), bytes: 0, oldest: None, already_applied }
    }
}

impl Partition {
    /// The chunk that covers everything up to `offset`; what Kafka skipped on the way is a hole.
    fn chunk(&mut self, partition: i32, offset: i64, columns: impl FnOnce() -> TickColumns) -> &mut Chunk {
        let start = self.next;
        let chunk = self.open.get_or_insert_with(|| Chunk::empty(partition, start, columns(), now_micros()));
        chunk.counts.holes += offset - self.next;
        self.next = offset;
        chunk
    }

    fn close(&mut self) -> Option<Chunk> {
        let mut chunk = self.open.take()?;
        chunk.range = OffsetRange::new(chunk.range.start(), self.next).expect("next only grows from start");
        Some(chunk)
    }
}

impl Handler for Assembler {
    type Output = Vec<Delivery>;

    fn start(&mut self, partition: i32, generation: u64, offset: i64) {
        self.partitions.insert(partition, Partition { generation, next: offset, open: None });
    }

    fn release(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }

    fn record(&mut self, record: &Record<'_>) {
        let Some(state) = self.partitions.get_mut(&record.partition()) else { return };
        let offset = record.offset();
        if offset < state.next {
            self.already_applied.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let headers = if self.decoder.needs_headers() { record.headers() } else { Vec::new() };
        let message = Message {
            payload: record.payload(),
            key: record.key(),
            headers: &headers,
            offset,
            timestamp: record.timestamp(),
        };
        let (decoder, spare) = (&mut self.decoder, &self.spare);
        let chunk = state.chunk(record.partition(), offset, || spare.take().unwrap_or_else(|| decoder.columns()));
        self.bytes += record.payload().map_or(0, <[u8]>::len);
        match decoder.decode(&message, &mut chunk.rows) {
            Verdict::Ticks(rows) => {
                chunk.counts.stored_offsets += 1;
                chunk.counts.rows += rows as i64;
            }
            Verdict::Skipped(kind) => {
                chunk.counts.skipped += 1;
                *chunk.skips.entry(kind).or_default() += 1;
            }
            Verdict::Dead(rejection) => {
                let payload = record.payload().unwrap_or_default();
                let kept = if rejection.reason == Reason::TooLarge {
                    TOO_LARGE_KEPT.min(payload.len())
                } else {
                    payload.len()
                };
                chunk.counts.dead += 1;
                chunk.dead.push(DeadLetter {
                    partition: record.partition(),
                    offset,
                    kafka_ts: record.timestamp(),
                    key: record.key().map(<[u8]>::to_vec),
                    payload: payload[..kept].to_vec(),
                    payload_bytes: payload.len() as i64,
                    sha256: Sha256::digest(payload).into(),
                    headers: record
                        .headers()
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec)))
                        .collect(),
                    rejection,
                });
            }
        }
        state.next = offset + 1;
        self.oldest.get_or_insert_with(Instant::now);
    }

    fn reached(&mut self, partition: i32, offset: i64) {
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        if offset > state.next {
            let (decoder, spare) = (&self.decoder, &self.spare);
            state.chunk(partition, offset, || spare.take().unwrap_or_else(|| decoder.columns()));
            self.oldest.get_or_insert_with(Instant::now);
        }
    }

    fn take(&mut self) -> Option<Vec<Delivery>> {
        let oldest = self.oldest?;
        if self.bytes < CHUNK_BYTES && oldest.elapsed() < CHUNK_AGE {
            return None;
        }
        self.bytes = 0;
        self.oldest = None;
        let deliveries: Vec<Delivery> = self
            .partitions
            .values_mut()
            .filter_map(|state| Some(Delivery { generation: state.generation, chunk: state.close()? }))
            .collect();
        (!deliveries.is_empty()).then_some(deliveries)
    }
}

/// Microseconds since the epoch, UTC.
pub(super) fn now_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

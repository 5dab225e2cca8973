//! Decodes records into chunks, one per partition, on the consumer thread.
//!
//! Invariant: ranges of one generation follow each other without a gap; an offset below `next` is dropped as
//! already applied, and one above it leaves a gap that is counted as holes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::decode::{
    Coercions, Decoder, KEPT_BYTES_OF_TOO_LARGE, KeySurvey, RawMessage, Rejection, RejectionReason, Verdict,
};
use crate::ingest::batching::batch::{CHUNK_ROWS, DeadLetter, IngestChunk};
use crate::ingest::batching::column_pool::ColumnPool;
use crate::kafka::{KafkaRecord, RecordHandler};
use crate::market::{OffsetRange, TickColumns, plausible_kafka_millis};

/// Chunks that aren't full are sent when they are this old ..
const CHUNK_AGE: Duration = Duration::from_millis(100);
/// .. or all at once when their messages have this many bytes in total.
const OPEN_BYTES: usize = 8 << 20;

/// One item of the queue between the consumer thread and the pipeline.
pub(in crate::ingest) struct DecodedChunks {
    pub chunks: Vec<DecodedChunk>,
    /// Totals since the start of the process.
    pub coercions: Coercions,
    /// Keys of the first accepted messages, if there are new ones.
    pub keys: Option<Box<KeySurvey>>,
}

/// A chunk of one generation of a partition's assignment.
pub(in crate::ingest) struct DecodedChunk {
    pub generation: u64,
    pub chunk: IngestChunk,
    /// Bytes of the messages' payloads.
    pub bytes: usize,
}

struct AssembledPartition {
    generation: u64,
    next: i64,
    open: Option<OpenChunk>,
}

struct OpenChunk {
    chunk: IngestChunk,
    since: Instant,
    /// Bytes of the payloads in it.
    bytes: usize,
}

/// The record handler that decodes messages.
pub(in crate::ingest) struct Assembler {
    decoder: Decoder,
    column_pool: ColumnPool,
    partitions: BTreeMap<i32, AssembledPartition>,
    ready: Vec<DecodedChunk>,
    /// Bytes of the payloads in open chunks.
    open_bytes: usize,
    already_applied: Arc<AtomicU64>,
    keys: KeySurvey,
    /// Number of accepted messages whose keys are still to be recorded.
    to_survey: u32,
    has_new_keys: bool,
}

impl Assembler {
    pub(in crate::ingest) fn new(
        decoder: Decoder,
        column_pool: ColumnPool,
        already_applied: Arc<AtomicU64>,
        to_survey: u32,
    ) -> Self {
        Self {
            decoder,
            column_pool,
            partitions: BTreeMap::new(),
            ready: Vec::new(),
            open_bytes: 0,
            already_applied,
            keys: KeySurvey::default(),
            to_survey,
            has_new_keys: false,
        }
    }
}

impl AssembledPartition {
    /// Returns the open chunk, extended up to `offset`; offsets that Kafka skipped count as holes.
    fn open(&mut self, partition: i32, offset: i64, columns: impl FnOnce() -> TickColumns) -> &mut OpenChunk {
        let start = self.next;
        let open = self.open.get_or_insert_with(|| OpenChunk {
            chunk: IngestChunk::empty(partition, start, columns(), now_micros()),
            since: Instant::now(),
            bytes: 0,
        });
        open.chunk.counts.holes += offset - self.next;
        self.next = offset;
        open
    }

    /// Closes the open chunk if `due` says so.
    fn close(&mut self, due: impl FnOnce(&OpenChunk) -> bool) -> Option<DecodedChunk> {
        let OpenChunk { mut chunk, bytes, .. } = self.open.take_if(|open| due(open))?;
        chunk.range = OffsetRange::new(chunk.range.start(), self.next).expect("next only grows from start");
        Some(DecodedChunk { generation: self.generation, chunk, bytes })
    }
}

impl RecordHandler for Assembler {
    type Output = DecodedChunks;

    fn start(&mut self, partition: i32, generation: u64, offset: i64) {
        self.release(partition);
        self.partitions.insert(partition, AssembledPartition { generation, next: offset, open: None });
    }

    fn release(&mut self, partition: i32) {
        let open = self.partitions.remove(&partition).and_then(|state| state.open);
        self.open_bytes -= open.map_or(0, |open| open.bytes);
    }

    fn record(&mut self, record: &KafkaRecord<'_>) {
        let Some(state) = self.partitions.get_mut(&record.partition()) else { return };
        let offset = record.offset();
        if offset < state.next {
            self.already_applied.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let headers = if self.decoder.needs_headers() { record.headers() } else { Vec::new() };
        let message = RawMessage {
            payload: record.payload(),
            key: record.key(),
            headers: &headers,
            offset,
            timestamp: record.timestamp(),
        };
        let (decoder, column_pool) = (&mut self.decoder, &self.column_pool);
        let open = state.open(record.partition(), offset, || column_pool.take().unwrap_or_else(|| decoder.columns()));
        let bytes = record.payload().map_or(0, <[u8]>::len);
        open.bytes += bytes;
        self.open_bytes += bytes;
        let chunk = &mut open.chunk;
        match decoder.decode(&message, &mut chunk.rows) {
            Verdict::Ticks(rows) => {
                chunk.counts.stored_offsets += 1;
                chunk.counts.rows += rows as i64;
                if self.to_survey > 0 {
                    self.to_survey -= 1;
                    self.has_new_keys = true;
                    self.keys.add(record.payload(), record.key(), record.headers().into_iter());
                }
            }
            Verdict::Skipped(kind) => {
                chunk.counts.skipped += 1;
                *chunk.skips.entry(kind).or_default() += 1;
            }
            Verdict::Dead(rejection) => {
                chunk.counts.dead += 1;
                chunk.dead.push(dead_letter(record, rejection));
            }
        }
        chunk.leader_epoch = record.leader_epoch();
        state.next = offset + 1;
        if let Some(full) = state.close(|open| open.chunk.rows.len() >= CHUNK_ROWS) {
            self.open_bytes -= full.bytes;
            self.ready.push(full);
        }
    }

    fn reached(&mut self, partition: i32, offset: i64, leader_epoch: Option<i32>) {
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        if offset > state.next {
            let (decoder, column_pool) = (&self.decoder, &self.column_pool);
            let open = state.open(partition, offset, || column_pool.take().unwrap_or_else(|| decoder.columns()));
            open.chunk.leader_epoch = leader_epoch;
        }
    }

    fn take(&mut self) -> Option<DecodedChunks> {
        let all = self.open_bytes >= OPEN_BYTES;
        for state in self.partitions.values_mut() {
            if let Some(due) = state.close(|open| all || open.since.elapsed() >= CHUNK_AGE) {
                self.open_bytes -= due.bytes;
                self.ready.push(due);
            }
        }
        let coercions = *self.decoder.coercions();
        if self.ready.is_empty() {
            return None;
        }
        let keys = std::mem::take(&mut self.has_new_keys).then(|| Box::new(self.keys.clone()));
        Some(DecodedChunks { chunks: std::mem::take(&mut self.ready), coercions, keys })
    }
}

/// Keeps the message as it is, or only its beginning if it is too large.
fn dead_letter(record: &KafkaRecord<'_>, rejection: Rejection) -> DeadLetter {
    let payload = record.payload().unwrap_or_default();
    let kept = match rejection.reason {
        RejectionReason::TooLarge => KEPT_BYTES_OF_TOO_LARGE.min(payload.len()),
        _ => payload.len(),
    };
    let header = |(name, value): (&str, Option<&[u8]>)| (name.to_owned(), value.map(<[u8]>::to_vec));
    DeadLetter {
        partition: record.partition(),
        offset: record.offset(),
        kafka_ts: plausible_kafka_millis(record.timestamp()),
        key: record.key().map(<[u8]>::to_vec),
        payload: payload[..kept].to_vec(),
        payload_bytes: payload.len() as i64,
        sha256: Sha256::digest(payload).into(),
        headers: record.headers().into_iter().map(header).collect(),
        rejection,
    }
}

/// Microseconds since the epoch, UTC.
pub(in crate::ingest) fn now_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

//! Runs on the consumer thread: records -> verdicts -> chunks, one per partition.
//!
//! Invariant: ranges of one generation follow each other without a gap; an offset below `next` is dropped as
//! already applied, one above it leaves a hole that is counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::decode::{Coercions, Decoder, KeySurvey, Message, Reason, Rejection, TOO_LARGE_KEPT, Verdict};
use crate::ingest::batching::batch::{CHUNK_ROWS, Chunk, DeadLetter};
use crate::ingest::batching::column_pool::SpareColumns;
use crate::kafka::{Handler, Record};
use crate::market::{OffsetRange, TickColumns, plausible_kafka_millis};

/// Chunks that aren't full cross the queue when they are this old ..
const CHUNK_AGE: Duration = Duration::from_millis(100);
/// .. or, all of them, when their messages have this many bytes together.
const OPEN_BYTES: usize = 8 << 20;
/// What crosses the queue at one time.
pub(in crate::ingest) struct Deliveries {
    pub list: Vec<Delivery>,
    /// Since the start.
    pub coercions: Coercions,
    /// Of the first accepted messages, whenever there are more of them.
    pub keys: Option<Box<KeySurvey>>,
}

/// Chunks of one generation of a partition's assignment.
pub(in crate::ingest) struct Delivery {
    pub generation: u64,
    pub chunk: Chunk,
    /// Of the messages' payloads.
    pub bytes: usize,
}

struct Partition {
    generation: u64,
    next: i64,
    open: Option<Open>,
}

struct Open {
    chunk: Chunk,
    since: Instant,
    /// Of the messages in it.
    bytes: usize,
}

/// The handler that decodes.
pub(in crate::ingest) struct Assembler {
    decoder: Decoder,
    spare: SpareColumns,
    partitions: BTreeMap<i32, Partition>,
    ready: Vec<Delivery>,
    /// Of the messages in open chunks.
    open_bytes: usize,
    already_applied: Arc<AtomicU64>,
    keys: KeySurvey,
    /// Accepted messages whose keys are still wanted.
    to_survey: u32,
    has_new_keys: bool,
}

impl Assembler {
    pub(in crate::ingest) fn new(
        decoder: Decoder,
        spare: SpareColumns,
        already_applied: Arc<AtomicU64>,
        to_survey: u32,
    ) -> Self {
        Self {
            decoder,
            spare,
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

impl Partition {
    /// The chunk that covers everything up to `offset`; what Kafka skipped on the way is a hole.
    fn open(&mut self, partition: i32, offset: i64, columns: impl FnOnce() -> TickColumns) -> &mut Open {
        let start = self.next;
        let open = self.open.get_or_insert_with(|| Open {
            chunk: Chunk::empty(partition, start, columns(), now_micros()),
            since: Instant::now(),
            bytes: 0,
        });
        open.chunk.counts.holes += offset - self.next;
        self.next = offset;
        open
    }

    /// Closes the open chunk if it is `due`.
    fn close(&mut self, due: impl FnOnce(&Open) -> bool) -> Option<Delivery> {
        let Open { mut chunk, bytes, .. } = self.open.take_if(|open| due(open))?;
        chunk.range = OffsetRange::new(chunk.range.start(), self.next).expect("next only grows from start");
        Some(Delivery { generation: self.generation, chunk, bytes })
    }
}

impl Handler for Assembler {
    type Output = Deliveries;

    fn start(&mut self, partition: i32, generation: u64, offset: i64) {
        self.release(partition);
        self.partitions.insert(partition, Partition { generation, next: offset, open: None });
    }

    fn release(&mut self, partition: i32) {
        let open = self.partitions.remove(&partition).and_then(|state| state.open);
        self.open_bytes -= open.map_or(0, |open| open.bytes);
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
        let open = state.open(record.partition(), offset, || spare.take().unwrap_or_else(|| decoder.columns()));
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
                chunk.dead.push(letter(record, rejection));
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
            let (decoder, spare) = (&self.decoder, &self.spare);
            let open = state.open(partition, offset, || spare.take().unwrap_or_else(|| decoder.columns()));
            open.chunk.leader_epoch = leader_epoch;
        }
    }

    fn take(&mut self) -> Option<Deliveries> {
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
        Some(Deliveries { list: std::mem::take(&mut self.ready), coercions, keys })
    }
}

/// The message as it is; of one that is too large, the beginning.
fn letter(record: &Record<'_>, rejection: Rejection) -> DeadLetter {
    let payload = record.payload().unwrap_or_default();
    let kept = match rejection.reason {
        Reason::TooLarge => TOO_LARGE_KEPT.min(payload.len()),
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

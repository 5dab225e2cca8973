//! The follower's thread: polls Kafka, decodes the borrowed payloads, and sends the rows of each batch at once.

use std::collections::BTreeMap;
use std::mem;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::mpsc;

use super::tail_event::{TailChunk, TailEvent};
use crate::decode::{Decoder, RawMessage, Verdict};
use crate::kafka::{FollowerEvent, KafkaRecord, TopicFollower};
use crate::market::{OffsetRange, TickColumns};

const ENDS_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct TailReader {
    follower: TopicFollower,
    gathered: DecodedPartitions,
    tails: mpsc::Sender<TailEvent>,
    ends_at: Instant,
    /// Whether the last reported lag was 0.
    at_end: bool,
}

/// Decoded rows that were not sent yet.
struct DecodedPartitions {
    decoder: Decoder,
    partitions: BTreeMap<i32, OpenChunk>,
}

/// The chunk of a partition that is being filled.
struct OpenChunk {
    start: i64,
    rows: TickColumns,
    dead: u64,
}

/// The receiver was dropped.
struct ReceiverClosed;

impl TailReader {
    pub(super) fn new(follower: TopicFollower, decoder: Decoder, tails: mpsc::Sender<TailEvent>) -> Self {
        let mut gathered = DecodedPartitions { decoder, partitions: BTreeMap::new() };
        for (partition, start) in follower.positions() {
            gathered.open(partition, start);
        }
        Self { follower, gathered, tails, ends_at: Instant::now(), at_end: false }
    }

    pub(super) fn run(mut self) {
        while self.poll().is_ok() {}
    }

    fn poll(&mut self) -> Result<(), ReceiverClosed> {
        // A send would fail as well, but there may be nothing to send.
        if self.tails.is_closed() {
            return Err(ReceiverClosed);
        }
        let Self { follower, gathered, .. } = self;
        let polled = follower.poll(|record| gathered.add(record));
        let chunks: Vec<TailChunk> =
            follower.positions().filter_map(|(partition, next)| gathered.take(partition, next)).collect();
        if !chunks.is_empty() {
            self.at_end = false;
            self.send(TailEvent::Rows(chunks))?;
        }
        for event in self.follower.take_events() {
            match event {
                FollowerEvent::Gap { partition, asked, low, high } => {
                    self.send(TailEvent::Gap { partition, asked, low, high })?
                }
                FollowerEvent::BrokerError(text) => self.send(TailEvent::BrokerError(text))?,
                FollowerEvent::Recovered => self.send(TailEvent::Recovered)?,
                FollowerEvent::Recreated { id } => {
                    let text = format!("the topic was deleted and created again: its id is {id} now");
                    self.send(TailEvent::Failed(text))?;
                    return Err(ReceiverClosed);
                }
            }
        }
        if let Err(error) = polled {
            self.send(TailEvent::Failed(error.to_string()))?;
            return Err(ReceiverClosed);
        }
        self.report_ends()
    }

    fn report_ends(&mut self) -> Result<(), ReceiverClosed> {
        let due = self.ends_at.elapsed() >= ENDS_INTERVAL;
        if self.at_end && !due {
            return Ok(());
        }
        let Some(lag_messages) = self.follower.lag() else { return Ok(()) };
        if due || lag_messages == 0 {
            self.ends_at = Instant::now();
            self.at_end = lag_messages == 0;
            self.send(TailEvent::Ends { lag_messages })?;
        }
        Ok(())
    }

    /// Waits for room: nothing is polled meanwhile, and librdkafka's own queue is bounded.
    fn send(&self, tail: TailEvent) -> Result<(), ReceiverClosed> {
        self.tails.blocking_send(tail).map_err(|_| ReceiverClosed)
    }
}

impl DecodedPartitions {
    fn open(&mut self, partition: i32, start: i64) -> &mut OpenChunk {
        let Self { decoder, partitions } = self;
        partitions.entry(partition).or_insert_with(|| OpenChunk { start, rows: decoder.columns(), dead: 0 })
    }

    fn add(&mut self, record: &KafkaRecord<'_>) {
        let Self { decoder, partitions } = self;
        let open = partitions.get_mut(&record.partition()).expect("a partition is open before its first record");
        let headers = if decoder.needs_headers() { record.headers() } else { Vec::new() };
        let message = RawMessage {
            payload: record.payload(),
            key: record.key(),
            headers: &headers,
            offset: record.offset(),
            timestamp: record.timestamp(),
        };
        if let Verdict::Dead(_) = decoder.decode(&message, &mut open.rows) {
            open.dead += 1;
        }
    }

    /// Takes the chunk of the partition up to `next`, if it covers any offsets.
    fn take(&mut self, partition: i32, next: i64) -> Option<TailChunk> {
        let open = self.open(partition, next);
        let range = OffsetRange::new(open.start, next).ok().filter(|range| !range.is_empty())?;
        open.start = next;
        let dead = mem::take(&mut open.dead);
        let empty = self.decoder.columns();
        let rows = mem::replace(&mut self.partitions.get_mut(&partition)?.rows, empty);
        Some(TailChunk { partition, range, rows, dead, received_at: Utc::now().timestamp_micros() })
    }
}

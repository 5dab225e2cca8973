//! The follower's thread: polls, decodes from the borrowed payloads, and hands over what came at once.

use std::collections::BTreeMap;
use std::mem;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::mpsc;

use super::chunk::{Chunk, Tail};
use crate::decode::{Decoder, Message, Verdict};
use crate::kafka::{Following, News, Record};
use crate::market::{OffsetRange, TickColumns};

const ENDS_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Reading {
    following: Following,
    gathered: Gathered,
    tails: mpsc::Sender<Tail>,
    ends_at: Instant,
    /// As it was said last.
    at_end: bool,
}

/// What was decoded and did not cross the queue yet.
struct Gathered {
    decoder: Decoder,
    partitions: BTreeMap<i32, Open>,
}

/// The chunk of a partition that grows.
struct Open {
    start: i64,
    rows: TickColumns,
    dead: u64,
}

/// Nobody listens any more.
struct Closed;

impl Reading {
    pub(super) fn new(following: Following, decoder: Decoder, tails: mpsc::Sender<Tail>) -> Self {
        let mut gathered = Gathered { decoder, partitions: BTreeMap::new() };
        for (partition, start) in following.positions() {
            gathered.open(partition, start);
        }
        Self { following, gathered, tails, ends_at: Instant::now(), at_end: false }
    }

    pub(super) fn run(mut self) {
        while self.turn().is_ok() {}
    }

    fn turn(&mut self) -> Result<(), Closed> {
        // A send notices as well; but there may be nothing to send.
        if self.tails.is_closed() {
            return Err(Closed);
        }
        let Self { following, gathered, .. } = self;
        let turned = following.turn(|record| gathered.add(record));
        let chunks: Vec<Chunk> =
            following.positions().filter_map(|(partition, next)| gathered.take(partition, next)).collect();
        if !chunks.is_empty() {
            self.at_end = false;
            self.send(Tail::Rows(chunks))?;
        }
        for news in self.following.take_news() {
            match news {
                News::Gap { partition, asked, low, high } => self.send(Tail::Gap { partition, asked, low, high })?,
                News::Trouble(text) => self.send(Tail::Trouble(text))?,
                News::Recovered => self.send(Tail::Recovered)?,
                News::Recreated { id } => {
                    let text = format!("the topic was deleted and created again: its id is {id} now");
                    self.send(Tail::Failed(text))?;
                    return Err(Closed);
                }
            }
        }
        if let Err(error) = turned {
            self.send(Tail::Failed(error.to_string()))?;
            return Err(Closed);
        }
        self.tell_ends()
    }

    fn tell_ends(&mut self) -> Result<(), Closed> {
        let due = self.ends_at.elapsed() >= ENDS_EVERY;
        if self.at_end && !due {
            return Ok(());
        }
        let Some(lag_messages) = self.following.lag() else { return Ok(()) };
        if due || lag_messages == 0 {
            self.ends_at = Instant::now();
            self.at_end = lag_messages == 0;
            self.send(Tail::Ends { lag_messages })?;
        }
        Ok(())
    }

    /// Waits for room: nothing is polled meanwhile, and librdkafka's own queue is bounded.
    fn send(&self, tail: Tail) -> Result<(), Closed> {
        self.tails.blocking_send(tail).map_err(|_| Closed)
    }
}

impl Gathered {
    fn open(&mut self, partition: i32, start: i64) -> &mut Open {
        let Self { decoder, partitions } = self;
        partitions.entry(partition).or_insert_with(|| Open { start, rows: decoder.columns(), dead: 0 })
    }

    fn add(&mut self, record: &Record<'_>) {
        let Self { decoder, partitions } = self;
        let open = partitions.get_mut(&record.partition()).expect("a partition is open before its first record");
        let headers = if decoder.needs_headers() { record.headers() } else { Vec::new() };
        let message = Message {
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

    /// What is there of the partition below `next`, if anything.
    fn take(&mut self, partition: i32, next: i64) -> Option<Chunk> {
        let open = self.open(partition, next);
        let range = OffsetRange::new(open.start, next).ok().filter(|range| !range.is_empty())?;
        open.start = next;
        let dead = mem::take(&mut open.dead);
        let empty = self.decoder.columns();
        let rows = mem::replace(&mut self.partitions.get_mut(&partition)?.rows, empty);
        Some(Chunk { partition, range, rows, dead, received_at: Utc::now().timestamp_micros() })
    }
}

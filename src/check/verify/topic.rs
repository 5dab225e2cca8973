//! Reads the topic again, decodes it with the mapping stored in the lake, and compares the rows with the tables.
//!
//! The calls block. Partitions are read one after the other, so that no record beyond the compared range is fetched.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::digest::{ComparedColumns, digest_dead_letter};
use super::finding::{FindingKind, Findings};
use super::logged::{DEAD_LETTERS, TICKS};
use super::progress::VerifyProgress;
use super::rows::hex;
use super::window::{Digests, OffsetSpan, StoredOffsets};
use crate::decode::{Decoder, RawMessage, Verdict};
use crate::kafka;
use crate::kafka::{KafkaRecord, TopicError, TopicReader};
use crate::market::TickColumns;

/// Result of the comparison of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PartitionComparison {
    pub partition: i32,
    /// The compared range, from the oldest offset that both Kafka and the table have to the end of the table.
    pub start: i64,
    pub next: i64,
    pub records: u64,
    pub rows: u64,
    pub dead_letters: u64,
    pub skipped: u64,
    /// Offsets that neither Kafka nor the tables have.
    pub holes: u64,
    /// Offsets in the tables that Kafka no longer has, for example after the topic was compacted.
    pub gone: u64,
    /// Records whose ticks were all dropped by retention.
    pub expired: u64,
    /// Records that were given up according to the counters, but that Kafka still has.
    pub given_up: u64,
    /// Records that Kafka has and the tables don't.
    pub not_stored: u64,
    /// How many of the records in `not_stored` are below the upper bound of the offsets that the counters don't locate.
    #[serde(skip)]
    pub not_stored_early: u64,
}

/// An offset whose stored rows differ from the decoded ones.
pub(super) struct DifferingRows {
    pub partition: i32,
    pub offset: i64,
    pub decoded: TickColumns,
}

/// Result of all rounds so far.
pub(super) struct TopicComparison {
    pub partitions: BTreeMap<i32, PartitionComparison>,
    pub findings: Findings,
    /// The first differing offsets; `differing_rows` counts all of them.
    pub differing: Vec<DifferingRows>,
    pub differing_rows: u64,
    /// The first records of each partition that are not stored, with a description.
    pub not_stored: BTreeMap<i32, Vec<(i64, String)>>,
    limit: usize,
}

/// Compares the records of a topic with the tables.
pub(super) struct TopicComparer {
    pub reader: TopicReader,
    pub decoder: Decoder,
    pub compared: Arc<ComparedColumns>,
    pub stored: Arc<BTreeMap<i32, StoredOffsets>>,
    pub progress: Arc<VerifyProgress>,
}

impl TopicComparison {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            partitions: BTreeMap::new(),
            findings: Findings::new(limit),
            differing: Vec::new(),
            differing_rows: 0,
            not_stored: BTreeMap::new(),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        }
    }
}

impl TopicComparer {
    /// Compares one round.
    ///
    /// # Errors
    /// Kafka can't be read, or it deleted records before they were read.
    pub(super) fn compare(
        &mut self,
        round: &[OffsetSpan],
        digests: &Digests,
        comparison: &mut TopicComparison,
    ) -> Result<(), TopicError> {
        let none = StoredOffsets::default();
        let Self { reader, decoder, compared, stored, progress } = self;
        for window in round {
            let partition = window.partition;
            let mut at = WindowComparer {
                decoder,
                compared,
                digests,
                stored: stored.get(&partition).unwrap_or(&none),
                window,
                rows: TickColumns::default(),
                next: window.range.start,
                delivered: 0,
                known: 0,
                comparison,
            };
            at.rows = at.decoder.columns();
            reader.start(&[(partition, window.range.start)])?;
            let mut more = kafka::ReadProgress::More;
            let mut reported = at.next;
            while more == kafka::ReadProgress::More && at.next < window.range.end {
                more = reader.read(|record| at.record(record))?;
                progress.read_records((at.next - reported) as u64);
                reported = at.next;
            }
            progress.read_records((window.range.end - reported) as u64);
            at.finish();
        }
        Ok(())
    }
}

/// State of the window that is being read.
struct WindowComparer<'a> {
    decoder: &'a mut Decoder,
    compared: &'a ComparedColumns,
    digests: &'a Digests,
    stored: &'a StoredOffsets,
    window: &'a OffsetSpan,
    rows: TickColumns,
    next: i64,
    delivered: u64,
    /// Delivered offsets that are in one of the tables.
    known: u64,
    comparison: &'a mut TopicComparison,
}

impl WindowComparer<'_> {
    fn record(&mut self, record: &KafkaRecord<'_>) {
        let (partition, offset) = (self.window.partition, record.offset());
        if record.partition() != partition || offset < self.next {
            return;
        }
        if offset >= self.window.range.end {
            self.next = self.window.range.end;
            return;
        }
        self.next = offset + 1;
        self.delivered += 1;
        let counts = self.comparison.partitions.entry(partition).or_default();
        counts.records += 1;
        let (is_dead_letter, has_rows) =
            (self.stored.dead_letters.contains(offset as u64), self.stored.rows.contains(offset as u64));
        self.known += u64::from(is_dead_letter || has_rows);
        if self.stored.twice.contains(offset as u64) {
            return;
        }
        if is_dead_letter {
            counts.dead_letters += 1;
            self.compare_dead_letter(record);
            return;
        }
        if !has_rows && self.stored.lost.contains(offset) {
            counts.given_up += 1;
            return;
        }
        self.rows.clear();
        let headers = if self.decoder.needs_headers() { record.headers() } else { Vec::new() };
        let message = RawMessage {
            payload: record.payload(),
            key: record.key(),
            headers: &headers,
            offset,
            timestamp: record.timestamp(),
        };
        match (self.decoder.decode(&message, &mut self.rows), has_rows) {
            (Verdict::Ticks(rows), true) => {
                counts.rows += rows as u64;
                self.compare_rows(offset);
            }
            (Verdict::Skipped(_), false) => counts.skipped += 1,
            (Verdict::Ticks(rows), false) => match (0..rows).all(|row| self.is_expired(row)) {
                true => self.comparison.partitions.entry(partition).or_default().expired += 1,
                false => self.not_stored(offset, || format!("it holds {rows} ticks")),
            },
            (Verdict::Dead(rejection), false) => {
                self.not_stored(offset, || format!("it is a dead letter ({})", rejection.reason));
            }
            (Verdict::Skipped(kind), true) => self.wrong_verdict(offset, || format!("a skip ({kind})")),
            (Verdict::Dead(rejection), true) => {
                self.wrong_verdict(offset, || format!("a dead letter ({})", rejection.reason));
            }
        }
    }

    fn is_expired(&self, row: usize) -> bool {
        self.compared.is_expired(self.window.partition, self.rows.ts[row])
    }

    fn compare_rows(&mut self, offset: i64) {
        let staying = (0..self.rows.len()).filter(|row| !self.is_expired(*row));
        let digest = staying.fold(0u32, |sum, row| sum.wrapping_add(self.compared.digest(&self.rows, row)));
        if digest == self.digests.of(self.window.partition, offset) {
            return;
        }
        let comparison = &mut *self.comparison;
        comparison.differing_rows += 1;
        if comparison.differing.len() < comparison.limit {
            let decoded = self.rows.clone();
            comparison.differing.push(DifferingRows { partition: self.window.partition, offset, decoded });
        }
    }

    fn compare_dead_letter(&mut self, record: &KafkaRecord<'_>) {
        let payload = record.payload().unwrap_or_default();
        let hash = hex(&Sha256::digest(payload));
        if digest_dead_letter(&hash, payload.len() as i64) != self.digests.of(self.window.partition, record.offset()) {
            self.comparison.findings.add(DEAD_LETTERS, FindingKind::KafkaPayload, || {
                (
                    position(self.window.partition, record.offset()),
                    format!("Kafka's has {} bytes and SHA-256 {hash}", payload.len()),
                )
            });
        }
    }

    fn wrong_verdict(&mut self, offset: i64, decoded: impl FnOnce() -> String) {
        self.comparison.findings.add(TICKS, FindingKind::KafkaVerdict, || {
            (position(self.window.partition, offset), format!("the table has rows, Kafka's record is {}", decoded()))
        });
    }

    fn not_stored(&mut self, offset: i64, decoded: impl FnOnce() -> String) {
        let partition = self.window.partition;
        let counts = self.comparison.partitions.entry(partition).or_default();
        counts.not_stored += 1;
        counts.not_stored_early += u64::from(self.stored.unplaced_before.is_some_and(|before| offset < before));
        let kept = self.comparison.not_stored.entry(partition).or_default();
        if kept.len() < self.comparison.limit {
            kept.push((offset, decoded()));
        }
    }

    fn finish(self) {
        let range = self.window.range.start as u64..self.window.range.end as u64;
        let tables = (&self.stored.rows | &self.stored.dead_letters).range_cardinality(range.clone());
        let counts = self.comparison.partitions.entry(self.window.partition).or_default();
        let gone = tables - self.known;
        counts.gone += gone;
        counts.holes += (range.end - range.start) - self.delivered - gone;
    }
}

pub(super) fn position(partition: i32, offset: i64) -> String {
    format!("partition {partition}, offset {offset}")
}

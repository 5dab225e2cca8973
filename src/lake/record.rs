//! What an ingest commit says about itself: the `tickhouse` object of the Delta commitInfo.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::commit::Advance;

/// Key in commitInfo.
pub(super) const RECORD_KEY: &str = "tickhouse";

/// Offsets of one partition, `[first, next)`, and where each of them is. Cumulative over the epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PartitionCounters {
    pub first: i64,
    pub next: i64,
    pub stored_offsets: i64,
    pub rows: i64,
    pub dead: i64,
    pub skipped: i64,
    pub holes: i64,
    pub lost: i64,
    /// Of the `dead`, those whose ticks were added later, and these rows; they are no part of `rows`.
    #[serde(skip_serializing_if = "is_zero")]
    pub replayed_offsets: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub replayed_rows: i64,
    /// Rows of all of these that left the table with old dates.
    #[serde(skip_serializing_if = "is_zero")]
    pub expired_rows: i64,
    /// Partition values below it left; days since 1970-01-01. Rows that came later may be below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired_before: Option<i32>,
}

fn is_zero(count: &i64) -> bool {
    *count == 0
}

impl PartitionCounters {
    /// Offsets accounted for; equals `next - first`. What a damaged log says may be more than there are numbers for.
    pub fn offsets(&self) -> i64 {
        [self.dead, self.skipped, self.holes, self.lost].into_iter().fold(self.stored_offsets, i64::saturating_add)
    }

    fn advanced(before: Option<Self>, advance: &Advance) -> Self {
        let mut all = before.unwrap_or(Self { first: advance.range.start(), ..Self::default() });
        all.next = advance.range.next();
        all.stored_offsets += advance.counts.stored_offsets;
        all.rows += advance.counts.rows;
        all.dead += advance.counts.dead;
        all.skipped += advance.counts.skipped;
        all.holes += advance.counts.holes;
        all.lost += advance.counts.lost;
        all
    }
}

/// Dead letters that became ticks, and the rows of these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Replayed {
    pub letters: i64,
    pub rows: i64,
}

impl Replayed {
    pub fn add(&mut self, other: Self) {
        self.letters += other.letters;
        self.rows += other.rows;
    }
}

/// Rows of old dates that leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// By epoch and partition; those of earlier epochs have no counters any more.
    pub rows: BTreeMap<(i32, i32), i64>,
    /// See [`PartitionCounters::expired_before`].
    pub before: i32,
}

impl CommitRecord {
    pub(super) fn expire(&mut self, expired: &Expired) {
        let epoch = self.epoch;
        for (partition, counters) in &mut self.partitions {
            counters.expired_rows += expired.rows.get(&(epoch, *partition)).copied().unwrap_or(0);
            counters.expired_before = counters.expired_before.max(Some(expired.before));
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct CommitRecord {
    pub commit_id: String,
    pub epoch: i32,
    /// `[start, next)` of each partition in this commit.
    pub ranges: BTreeMap<i32, [i64; 2]>,
    /// Microseconds since the epoch, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_event_ts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_event_ts: Option<i64>,
    /// Who asked for it and why, where an operator did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Every partition of the epoch, so that the newest commit tells the state.
    pub partitions: BTreeMap<i32, PartitionCounters>,
    /// Of a commit that replayed dead letters; those of earlier epochs have no counters any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replayed>,
    /// Topic of events and the next offset of each of its partitions, in `signals`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_topic_name: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub events_topic: BTreeMap<i32, i64>,
    /// Events that were emitted from then on may not have reached all webhooks; in `signals`. Microseconds since the
    /// epoch, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks_since: Option<i64>,
}

/// The counters after some dead letters were replayed, or the partition that has none.
pub(super) fn with_replayed(
    newest: Option<&CommitRecord>,
    epoch: i32,
    replayed: &BTreeMap<(i32, i32), Replayed>,
) -> Result<BTreeMap<i32, PartitionCounters>, i32> {
    let mut all = advanced(newest, epoch, &[]);
    for ((_, partition), Replayed { letters, rows }) in replayed.iter().filter(|((of, _), _)| *of == epoch) {
        let counters = all.get_mut(partition).ok_or(*partition)?;
        counters.replayed_offsets += letters;
        counters.replayed_rows += rows;
    }
    Ok(all)
}

/// The counters after `advances`; those of an older epoch are not carried over.
pub(super) fn advanced(
    newest: Option<&CommitRecord>,
    epoch: i32,
    advances: &[Advance],
) -> BTreeMap<i32, PartitionCounters> {
    let mut all =
        newest.filter(|record| record.epoch == epoch).map(|record| record.partitions.clone()).unwrap_or_default();
    for advance in advances {
        let counters = PartitionCounters::advanced(all.get(&advance.partition).copied(), advance);
        all.insert(advance.partition, counters);
    }
    all
}

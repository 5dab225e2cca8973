//! What an ingest commit says about itself: the `tickhouse` object of the Delta commitInfo.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::lake::log::lost::LostRanges;
use crate::lake::log::transactions::Advance;

/// Key in commitInfo.
pub(in crate::lake) const RECORD_KEY: &str = "tickhouse";

/// Offsets of one partition, `[first, next)`, and where each of them is. Cumulative over the epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Where the `lost` are. Those of older versions, and of more decisions than are kept, are in none of the ranges.
    #[serde(skip_serializing_if = "LostRanges::is_empty")]
    pub lost_ranges: LostRanges,
    /// Offsets in neither table of which nobody knows why: the counters were lost, and the tables counted again.
    #[serde(skip_serializing_if = "is_zero")]
    pub unknown: i64,
    /// The `unknown`, and the `lost` that are in no range, are below it; `None` where all are below `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unplaced_before: Option<i64>,
    /// Leader epoch of the record before `next`, as Kafka gave it: with `next` it says which log was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader_epoch: Option<i32>,
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
        let parts = [self.dead, self.skipped, self.holes, self.lost, self.unknown];
        parts.into_iter().fold(self.stored_offsets, i64::saturating_add)
    }

    /// Offsets in neither table whose place the counters don't say.
    pub fn unplaced(&self) -> i64 {
        self.unknown.saturating_add(self.lost.saturating_sub(self.lost_ranges.offsets()).max(0))
    }

    /// Those offsets are below it.
    pub fn unplaced_end(&self) -> i64 {
        self.unplaced_before.unwrap_or(self.next)
    }

    fn advanced(before: Option<Self>, advance: &Advance) -> Self {
        let mut all = before.unwrap_or(Self { first: advance.range.start(), ..Self::default() });
        if all.unplaced() > 0 && all.unplaced_before.is_none() {
            all.unplaced_before = Some(all.next);
        }
        if let Some(forgotten) = advance.lost().and_then(|lost| all.lost_ranges.push(lost)) {
            all.unplaced_before = all.unplaced_before.max(Some(forgotten.next()));
        }
        all.leader_epoch = advance.leader_epoch;
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
    /// For a commit that changes no counters and so repeats them: the reason is that of the commit that had it first.
    pub(in crate::lake) fn repeated(self) -> Self {
        Self { reason: None, ..self }
    }

    pub(in crate::lake) fn expire(&mut self, expired: &Expired) {
        let epoch = self.epoch;
        for (partition, counters) in &mut self.partitions {
            counters.expired_rows += expired.rows.get(&(epoch, *partition)).copied().unwrap_or(0);
            counters.expired_before = counters.expired_before.max(Some(expired.before));
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::lake) struct CommitRecord {
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
pub(in crate::lake) fn with_replayed(
    newest: Option<&CommitRecord>,
    epoch: i32,
    replayed: &BTreeMap<(i32, i32), Replayed>,
) -> Result<BTreeMap<i32, PartitionCounters>, i32> {
    let mut all = counted(newest, epoch);
    for ((_, partition), Replayed { letters, rows }) in replayed.iter().filter(|((of, _), _)| *of == epoch) {
        let counters = all.get_mut(partition).ok_or(*partition)?;
        counters.replayed_offsets += letters;
        counters.replayed_rows += rows;
    }
    Ok(all)
}

/// Those of an older epoch are not carried over.
pub(in crate::lake) fn counted(newest: Option<&CommitRecord>, epoch: i32) -> BTreeMap<i32, PartitionCounters> {
    newest.filter(|record| record.epoch == epoch).map(|record| record.partitions.clone()).unwrap_or_default()
}

/// The counters after `advances`, or a partition that the table has offsets of and no counters: they would begin at zero
/// in the middle.
pub(in crate::lake) fn advanced(
    newest: Option<&CommitRecord>,
    epoch: i32,
    advances: &[Advance],
) -> Result<BTreeMap<i32, PartitionCounters>, i32> {
    let mut all = counted(newest, epoch);
    for advance in advances {
        let before = all.remove(&advance.partition);
        if before.is_none() && advance.base.is_some() {
            return Err(advance.partition);
        }
        all.insert(advance.partition, PartitionCounters::advanced(before, advance));
    }
    Ok(all)
}

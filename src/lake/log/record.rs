//! What an ingest commit records about itself: the `tickhouse` object of the Delta commitInfo.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::lake::log::lost_ranges::LostRanges;
use crate::lake::log::transactions::Advance;

/// Key in commitInfo.
pub(in crate::lake) const RECORD_KEY: &str = "tickhouse";

/// Offsets `[first, next)` of one partition, counted by what became of them. Cumulative over the epoch.
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
    /// The ranges of the `lost` offsets. Offsets that an older tickhouse gave up, and those beyond the number of ranges
    /// that are kept, are in none of them.
    #[serde(skip_serializing_if = "LostRanges::is_empty")]
    pub lost_ranges: LostRanges,
    /// Offsets in neither table for an unknown reason: the counters were lost, and the tables were counted again.
    #[serde(skip_serializing_if = "is_zero")]
    pub unknown: i64,
    /// Upper bound of the `unknown` offsets and of the `lost` ones that are in no range; `None` if that bound is
    /// `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unplaced_before: Option<i64>,
    /// Leader epoch of the record before `next`, as Kafka reported it: together with `next` it identifies the log that
    /// was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader_epoch: Option<i32>,
    /// Those of the `dead` offsets whose ticks were added later, and the number of these rows, which `rows` doesn't
    /// include.
    #[serde(skip_serializing_if = "is_zero")]
    pub replayed_offsets: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub replayed_rows: i64,
    /// Rows, replayed ones included, that retention dropped.
    #[serde(skip_serializing_if = "is_zero")]
    pub expired_rows: i64,
    /// Retention dropped the partition values below this one; days since 1970-01-01. Rows that arrived later may be
    /// below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired_before: Option<i32>,
}

fn is_zero(count: &i64) -> bool {
    *count == 0
}

impl PartitionCounters {
    /// Offsets accounted for; equals `next - first`. Sums saturate, as the numbers of a damaged log may overflow.
    pub fn offsets(&self) -> i64 {
        let parts = [self.dead, self.skipped, self.holes, self.lost, self.unknown];
        parts.into_iter().fold(self.stored_offsets, i64::saturating_add)
    }

    /// Offsets in neither table that the counters don't locate.
    pub fn unplaced(&self) -> i64 {
        self.unknown.saturating_add(self.lost.saturating_sub(self.lost_ranges.offsets()).max(0))
    }

    /// Upper bound of the offsets that [`Self::unplaced`] counts.
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

/// Number of dead letters that became ticks, and of the rows that they became.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReplayedDeadLetters {
    #[serde(rename = "letters")]
    pub dead_letters: i64,
    pub rows: i64,
}

impl ReplayedDeadLetters {
    pub fn add(&mut self, other: Self) {
        self.dead_letters += other.dead_letters;
        self.rows += other.rows;
    }
}

/// Rows that a retention commit drops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredRows {
    /// Rows by epoch and partition; partitions of earlier epochs no longer have counters.
    pub rows: BTreeMap<(i32, i32), i64>,
    /// See [`PartitionCounters::expired_before`].
    pub before: i32,
}

impl CommitRecord {
    /// The record for a commit that repeats the counters without a change; it doesn't repeat the reason of the earlier
    /// commit.
    pub(in crate::lake) fn without_reason(self) -> Self {
        Self { reason: None, ..self }
    }

    pub(in crate::lake) fn expire(&mut self, expired: &ExpiredRows) {
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
    /// Who requested the commit and why; `None` unless an operator did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Every partition of the epoch, so that the newest commit has the complete state.
    pub partitions: BTreeMap<i32, PartitionCounters>,
    /// Only a commit that replayed dead letters has it, as those of earlier epochs no longer have counters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayedDeadLetters>,
    /// Topic of events and the next offset of each of its partitions; only `signals` has these fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_topic_name: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub events_topic: BTreeMap<i32, i64>,
    /// Events emitted at or after this time may not have reached all webhooks; only `signals` has this field.
    /// Microseconds since the epoch, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks_since: Option<i64>,
}

/// The counters after some dead letters were replayed. The error is a partition without counters.
pub(in crate::lake) fn with_replayed(
    newest: Option<&CommitRecord>,
    epoch: i32,
    replayed: &BTreeMap<(i32, i32), ReplayedDeadLetters>,
) -> Result<BTreeMap<i32, PartitionCounters>, i32> {
    let mut all = counted(newest, epoch);
    for ((_, partition), ReplayedDeadLetters { dead_letters, rows }) in
        replayed.iter().filter(|((of, _), _)| *of == epoch)
    {
        let counters = all.get_mut(partition).ok_or(*partition)?;
        counters.replayed_offsets += dead_letters;
        counters.replayed_rows += rows;
    }
    Ok(all)
}

/// The counters of the epoch; those of an older epoch are not carried over.
pub(in crate::lake) fn counted(newest: Option<&CommitRecord>, epoch: i32) -> BTreeMap<i32, PartitionCounters> {
    newest.filter(|record| record.epoch == epoch).map(|record| record.partitions.clone()).unwrap_or_default()
}

/// The counters after `advances`. The error is a partition that has a transaction and no counters: its counters would
/// start at zero in the middle.
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

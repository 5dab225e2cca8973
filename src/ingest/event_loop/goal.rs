//! The goal of `--until-latest`: the ends that the partitions of the topic had at the start, no matter which member of
//! the group reads them.
//!
//! Invariant: the goal counts as reached only after a fresh read of the table that has the end of every partition.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::ingest::error::IngestError;
use crate::ingest::event_loop::partitions::OwnedPartitions;
use crate::ingest::event_loop::unreached::{PROGRESS_TIMEOUT, PartitionBehind};
use crate::kafka::{KafkaSettings, TopicEnds, TopicError, topic_ends};
use crate::lake::Lake;

/// Time for which the ends are queried before reading starts; missing ones are queried again later.
const FIRST_ENDS_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a later query of missing ends: the loop waits meanwhile.
const LATER_ENDS_TIMEOUT: Duration = Duration::from_secs(2);
/// Interval of reads of the table while other members of the group have work.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// A rebalance delays reading and so extends the timeout, but not more often than this without progress.
const MAX_REBALANCES_IN_A_ROW: u32 = 5;

/// How far this worker is with its own partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ingest) enum OwnWork {
    Reading,
    /// Its partitions are read to their ends, but not all of it is committed.
    AllRead,
    /// Its partitions are in the table up to their ends; other members of the group may still have work.
    AllCommitted,
}

/// First offset and end of a partition.
type PartitionBounds = (i64, i64);

pub(in crate::ingest) struct Goal {
    kafka: KafkaSettings,
    /// `None` until a leader reports the end.
    ends: BTreeMap<i32, Option<PartitionBounds>>,
    /// Next offsets as of the last read of the table.
    table: BTreeMap<i32, i64>,
    /// Smallest number of missing messages so far.
    fewest_missing: i64,
    rebalances: u32,
    progress_at: Instant,
    pub timeout: Duration,
    /// The group has assigned partitions, or none: other members own the rest.
    pub is_member: bool,
    pub check_at: Instant,
    pub is_reached: bool,
}

impl Goal {
    pub(in crate::ingest) fn new(kafka: KafkaSettings) -> Self {
        let now = Instant::now();
        Self {
            kafka,
            ends: BTreeMap::new(),
            table: BTreeMap::new(),
            fewest_missing: i64::MAX,
            rebalances: 0,
            progress_at: now,
            timeout: PROGRESS_TIMEOUT,
            is_member: false,
            check_at: now,
            is_reached: false,
        }
    }

    /// Queries the ends at the start.
    ///
    /// # Errors
    /// No broker reports how many partitions there are.
    pub(in crate::ingest) async fn capture(&mut self) -> Result<(), IngestError> {
        let ends = self.query_ends(FIRST_ENDS_TIMEOUT).await?;
        self.add_ends(ends);
        self.progress_at = Instant::now();
        Ok(())
    }

    async fn query_ends(&self, patience: Duration) -> Result<TopicEnds, IngestError> {
        let kafka = self.kafka.clone();
        Ok(tokio::task::spawn_blocking(move || topic_ends(&kafka, patience)).await??)
    }

    /// Ends that are known already stay: later messages are not part of the goal.
    fn add_ends(&mut self, ends: TopicEnds) {
        for at in ends.known {
            self.ends.entry(at.partition).or_default().get_or_insert((at.low, at.high));
        }
        for partition in ends.silent {
            self.ends.entry(partition).or_default();
        }
    }

    /// Returns where reading of an assigned partition stops, given its current watermarks. The end of a log that was
    /// truncated moves back, because the old end would never be reached.
    pub(in crate::ingest) fn target(&mut self, partition: i32, low: i64, high: i64) -> i64 {
        let (_, end) = self.ends.entry(partition).or_default().get_or_insert((low, high));
        *end = (*end).min(high);
        *end
    }

    /// Drops the ends when a new epoch starts, as its offsets start from zero.
    pub(in crate::ingest) fn forget_ends(&mut self) {
        self.ends.values_mut().for_each(|end| *end = None);
        self.fewest_missing = i64::MAX;
    }

    /// The group assigned or revoked partitions.
    pub(in crate::ingest) fn on_rebalance(&mut self, now: Instant) {
        self.rebalances += 1;
        if self.rebalances <= MAX_REBALANCES_IN_A_ROW {
            self.progress_at = now;
        }
    }

    /// Restarts the timeout: no progress was possible meanwhile.
    pub(in crate::ingest) fn restart_timeout(&mut self, now: Instant) {
        self.progress_at = now;
    }

    /// Excludes the time of a flush, during which no event is received, from the timeout.
    pub(in crate::ingest) fn exclude(&mut self, flush: Duration) {
        self.progress_at = (self.progress_at + flush).min(Instant::now());
    }

    /// Records the time of the last progress towards the goal.
    pub(in crate::ingest) fn note_progress(&mut self, owned: &OwnedPartitions, now: Instant) {
        let next =
            |partition: &i32| owned.get(*partition).map(|owned| owned.next).or(self.table.get(partition).copied());
        let missing = self.ends.iter().filter_map(|(partition, end)| {
            let (low, end) = (*end)?;
            Some((end - next(partition).unwrap_or(low)).max(0))
        });
        let missing = missing.sum();
        if missing < self.fewest_missing {
            self.fewest_missing = missing;
            self.rebalances = 0;
            self.progress_at = now;
        }
    }

    /// `others`: only work of other members is left; they commit offsets that advanced without rows at this interval.
    pub(in crate::ingest) fn give_up_at(&self, others: Option<Duration>) -> Instant {
        self.progress_at + self.timeout + others.unwrap_or_default()
    }

    /// Refreshes the table and returns the partitions whose ends it doesn't have.
    ///
    /// # Errors
    /// The lake can't be read.
    pub(in crate::ingest) async fn partitions_behind(
        &mut self,
        lake: &mut Lake,
    ) -> Result<Vec<PartitionBehind>, IngestError> {
        if self.ends.values().any(Option::is_none) {
            match self.query_ends(LATER_ENDS_TIMEOUT).await {
                Ok(ends) => self.add_ends(ends),
                Err(IngestError::Topic(error @ TopicError::Read { .. })) => tracing::debug!("{error}"),
                Err(error) => return Err(error),
            }
        }
        lake.refresh_with_retry().await?;
        let mut behind = Vec::new();
        for (&partition, &end) in &self.ends {
            let next = lake.next_offset(partition).await?;
            if let Some(next) = next {
                self.table.insert(partition, next);
            }
            match end {
                Some((low, end)) if next.unwrap_or(low) >= end => {}
                end => behind.push(PartitionBehind { partition, next, end: end.map(|(_, end)| end) }),
            }
        }
        self.check_at = Instant::now() + CHECK_INTERVAL;
        Ok(behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_messages_that_were_not_read_before_are_progress() {
        let mut goal = Goal::new(KafkaSettings::default());
        let known = [0, 1].map(|partition| crate::kafka::PartitionWatermarks { partition, low: 0, high: 100 });
        goal.add_ends(TopicEnds { known: known.to_vec(), silent: vec![2] });
        let started = Instant::now();
        let at = |seconds| started + Duration::from_secs(seconds);
        let nothing = OwnedPartitions::default();
        goal.note_progress(&nothing, at(1));
        goal.table.insert(0, 10);
        goal.note_progress(&nothing, at(2));
        goal.note_progress(&nothing, at(3));
        assert_eq!(goal.give_up_at(None), at(2) + PROGRESS_TIMEOUT);
        assert_eq!(goal.give_up_at(Some(Duration::from_secs(60))), at(62) + PROGRESS_TIMEOUT);
        goal.table.insert(0, 5);
        goal.note_progress(&nothing, at(4));
        assert_eq!(goal.give_up_at(None), at(2) + PROGRESS_TIMEOUT, "read again");
        (5..20).for_each(|second| goal.on_rebalance(at(second)));
        assert_eq!(goal.give_up_at(None), at(9) + PROGRESS_TIMEOUT, "the group only moves partitions");
        assert_eq!((goal.target(0, 0, 150), goal.target(1, 0, 60), goal.target(2, 5, 9)), (100, 60, 9));
    }
}

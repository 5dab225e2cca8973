//! Where `--until-latest` ends: at the ends that the partitions of the topic had when it began, whoever of the group
//! reads them.
//!
//! Invariant: it is reached only by a fresh read of the table, which has every partition's end then.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::ingest::error::IngestError;
use crate::ingest::event_loop::partitions::Partitions;
use crate::ingest::event_loop::unreached::{Behind, SILENCE};
use crate::kafka::{KafkaSettings, TopicEnds, TopicError, topic_ends};
use crate::lake::Lake;

/// Ends are asked for this long before reading begins; those that are missing then are asked for again later.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// The same, of partitions that are still missing: the loop waits meanwhile.
const LATER_ANSWER: Duration = Duration::from_secs(2);
/// Between two readings of the table while others of the group have work.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// A rebalance takes time that brings nothing. More of them in a row are no progress.
const REBALANCES: u32 = 5;

/// What this worker has to do for the goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ingest) enum OwnWork {
    Reads,
    /// Its partitions are read to their ends, and a part of it is not committed.
    Read,
    /// Its partitions are in the table up to their ends; others of the group may have work.
    Committed,
}

/// First offset and end of a partition.
type End = (i64, i64);

pub(in crate::ingest) struct Goal {
    kafka: KafkaSettings,
    /// `None`: no leader has given it yet.
    ends: BTreeMap<i32, Option<End>>,
    /// Next offsets as of the last reading of the table.
    table: BTreeMap<i32, i64>,
    /// Messages that were missing when there were the fewest.
    fewest: i64,
    rebalances: u32,
    progress_at: Instant,
    pub silence: Duration,
    /// The group has answered: what this worker doesn't own is another one's work.
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
            fewest: i64::MAX,
            rebalances: 0,
            progress_at: now,
            silence: SILENCE,
            is_member: false,
            check_at: now,
            is_reached: false,
        }
    }

    /// Asks for the ends, once.
    ///
    /// # Errors
    /// No broker says how many partitions there are.
    pub(in crate::ingest) async fn capture(&mut self) -> Result<(), IngestError> {
        let ends = self.ask(FIRST_ANSWER).await?;
        self.learn(ends);
        self.progress_at = Instant::now();
        Ok(())
    }

    async fn ask(&self, patience: Duration) -> Result<TopicEnds, IngestError> {
        let kafka = self.kafka.clone();
        Ok(tokio::task::spawn_blocking(move || topic_ends(&kafka, patience)).await??)
    }

    /// What was known stays: messages that came later are no part of the work.
    fn learn(&mut self, ends: TopicEnds) {
        for at in ends.known {
            self.ends.entry(at.partition).or_default().get_or_insert((at.low, at.high));
        }
        for partition in ends.silent {
            self.ends.entry(partition).or_default();
        }
    }

    /// Where reading of an assigned partition stops, given its watermarks of now. Of a log that lost its end, the old one
    /// is never reached.
    pub(in crate::ingest) fn target(&mut self, partition: i32, low: i64, high: i64) -> i64 {
        let (_, end) = self.ends.entry(partition).or_default().get_or_insert((low, high));
        *end = (*end).min(high);
        *end
    }

    /// Offsets count from the beginning in a new epoch.
    pub(in crate::ingest) fn forget(&mut self) {
        self.ends.values_mut().for_each(|end| *end = None);
        self.fewest = i64::MAX;
    }

    /// The group gave or took partitions.
    pub(in crate::ingest) fn on_rebalance(&mut self, now: Instant) {
        self.rebalances += 1;
        if self.rebalances <= REBALANCES {
            self.progress_at = now;
        }
    }

    /// The time of silence begins: nothing could come meanwhile.
    pub(in crate::ingest) fn begin_silence(&mut self, now: Instant) {
        self.progress_at = now;
    }

    /// Of which nothing was taken from the queue: no silence.
    pub(in crate::ingest) fn leave_out(&mut self, flush: Duration) {
        self.progress_at = (self.progress_at + flush).min(Instant::now());
    }

    /// Remembers when something was last read or committed that counts.
    pub(in crate::ingest) fn note_progress(&mut self, owned: &Partitions, now: Instant) {
        let next =
            |partition: &i32| owned.get(*partition).map(|owned| owned.next).or(self.table.get(partition).copied());
        let missing = self.ends.iter().filter_map(|(partition, end)| {
            let (low, end) = (*end)?;
            Some((end - next(partition).unwrap_or(low)).max(0))
        });
        let missing = missing.sum();
        if missing < self.fewest {
            self.fewest = missing;
            self.rebalances = 0;
            self.progress_at = now;
        }
    }

    /// `others`: nothing is left but the work of other members, who commit offsets that moved without rows only this
    /// often.
    pub(in crate::ingest) fn give_up_at(&self, others: Option<Duration>) -> Instant {
        self.progress_at + self.silence + others.unwrap_or_default()
    }

    /// Reads the table again: the partitions that are not at their ends there.
    ///
    /// # Errors
    /// The lake can't be read.
    pub(in crate::ingest) async fn behind(&mut self, lake: &mut Lake) -> Result<Vec<Behind>, IngestError> {
        if self.ends.values().any(Option::is_none) {
            match self.ask(LATER_ANSWER).await {
                Ok(ends) => self.learn(ends),
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
                end => behind.push(Behind { partition, next, end: end.map(|(_, end)| end) }),
            }
        }
        self.check_at = Instant::now() + CHECK_EVERY;
        Ok(behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_was_not_read_before_is_progress() {
        let mut goal = Goal::new(KafkaSettings::default());
        let known = [0, 1].map(|partition| crate::kafka::Assigned { partition, low: 0, high: 100 });
        goal.learn(TopicEnds { known: known.to_vec(), silent: vec![2] });
        let started = Instant::now();
        let at = |seconds| started + Duration::from_secs(seconds);
        let nothing = Partitions::default();
        goal.note_progress(&nothing, at(1));
        goal.table.insert(0, 10);
        goal.note_progress(&nothing, at(2));
        goal.note_progress(&nothing, at(3));
        assert_eq!(goal.give_up_at(None), at(2) + SILENCE);
        assert_eq!(goal.give_up_at(Some(Duration::from_secs(60))), at(62) + SILENCE);
        goal.table.insert(0, 5);
        goal.note_progress(&nothing, at(4));
        assert_eq!(goal.give_up_at(None), at(2) + SILENCE, "read again");
        (5..20).for_each(|second| goal.on_rebalance(at(second)));
        assert_eq!(goal.give_up_at(None), at(9) + SILENCE, "the group only moves partitions");
        assert_eq!((goal.target(0, 0, 150), goal.target(1, 0, 60), goal.target(2, 5, 9)), (100, 60, 9));
    }
}

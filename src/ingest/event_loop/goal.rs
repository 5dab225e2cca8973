//! Where `--until-latest` ends: at the ends that the partitions of the topic had when it began, whoever of the group
//! reads them.
//!
//! Invariant: it is reached only by a fresh read of the table, which has every partition's end then.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::ingest::error::IngestError;
use crate::ingest::event_loop::partitions::Partitions;
use crate::kafka::{KafkaSettings, TopicEnds, TopicError, topic_ends};
use crate::lake::{Lake, RetryPolicy};

/// Ends are asked for this long before reading begins; those that are missing then are asked for again later.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// The same, of partitions that are still missing: the loop waits meanwhile.
const LATER_ANSWER: Duration = Duration::from_secs(2);
/// Between two readings of the table while others of the group have work.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// Contract: a one-shot command tries for this long, and so waits this long for a partition without a leader, for brokers
/// that are unreachable, and for an assignment.
const SILENCE: Duration = RetryPolicy::ONE_SHOT;
/// A rebalance takes time that brings nothing. More of them in a row are no progress.
const REBALANCES: u32 = 5;
/// Named in an error.
const NAMED: usize = 20;

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
        lake.refresh_patiently().await?;
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

/// A partition whose end isn't in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    pub partition: i32,
    /// Next offset of the table, if it has the partition.
    pub next: Option<i64>,
    /// `None`: it has no leader that says.
    pub end: Option<i64>,
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, next, end } = self;
        match (next, end) {
            (_, None) => write!(f, "partition {partition}: no leader says where it ends"),
            (Some(next), Some(end)) => {
                write!(f, "partition {partition} by {} messages (the table is at {next} of {end})", end - next)
            }
            (None, Some(end)) => write!(f, "partition {partition} whole (it ends at {end})"),
        }
    }
}

/// Why an `--until-latest` ended before the table had everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    Stopped,
    /// With the last that was reported of them.
    Brokers(Option<String>),
    NotAssigned,
    /// Nothing is left for this worker.
    OtherMembers,
    Silence,
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = SILENCE.as_secs();
        match self {
            Self::Stopped => f.write_str("stopped before the ends of the partitions were reached"),
            Self::Brokers(Some(reported)) => write!(f, "the brokers gave nothing for {seconds} s ({reported})"),
            Self::Brokers(None) => write!(f, "the brokers gave nothing for {seconds} s"),
            Self::NotAssigned => {
                write!(f, "no partition was assigned within {seconds} s; check the brokers and the topic")
            }
            Self::OtherMembers => f.write_str("another member of the group has the rest and makes no progress"),
            Self::Silence => write!(f, "nothing came for {seconds} s"),
        }
    }
}

/// What is missing, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    pub why: Hindrance,
    /// Empty where not even the ends are known.
    pub behind: Vec<Behind>,
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; ", self.why)?;
        if !self.behind.is_empty() {
            let mut named: Vec<String> = self.behind.iter().take(NAMED).map(Behind::to_string).collect();
            if self.behind.len() > NAMED {
                named.push(format!("{} more partitions", self.behind.len() - NAMED));
            }
            write!(f, "behind are {}; ", named.join(", "))?;
        }
        f.write_str("run it again to read the rest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_which_partitions_are_behind_and_by_how_much() {
        let behind = vec![
            Behind { partition: 0, next: Some(40), end: Some(100) },
            Behind { partition: 2, next: None, end: Some(7) },
            Behind { partition: 3, next: Some(5), end: None },
        ];
        let text = Unreached { why: Hindrance::OtherMembers, behind }.to_string();
        assert_eq!(
            text,
            "another member of the group has the rest and makes no progress; behind are partition 0 by 60 messages (the \
             table is at 40 of 100), partition 2 whole (it ends at 7), partition 3: no leader says where it ends; run it \
             again to read the rest"
        );
        let many = (0..50).map(|partition| Behind { partition, next: Some(0), end: Some(1) }).collect();
        let text = Unreached { why: Hindrance::Stopped, behind: many }.to_string();
        assert!(text.contains("partition 19 by 1 messages") && text.contains("30 more partitions"), "{text}");
        assert!(!text.contains("partition 20 "), "{text}");
    }

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

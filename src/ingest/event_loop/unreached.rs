//! Why `--until-latest` ended before its goal was reached, and which partitions are behind.

use std::fmt;
use std::time::Duration;

use crate::lake::RetryPolicy;

/// Contract: a one-shot command retries for this long, so this is how long it waits for a partition without a leader,
/// for unreachable brokers and for an assignment.
pub(in crate::ingest) const PROGRESS_TIMEOUT: Duration = RetryPolicy::ONE_SHOT;
/// Maximum number of partitions that an error names.
const NAMED: usize = 20;

/// A partition whose end isn't in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionBehind {
    pub partition: i32,
    /// Next offset of the table, if it has the partition.
    pub next: Option<i64>,
    /// `None` if no leader reports it.
    pub end: Option<i64>,
}

impl fmt::Display for PartitionBehind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, next, end } = self;
        match (next, end) {
            (_, None) => write!(f, "partition {partition}: no leader says where it ends"),
            (Some(next), Some(end)) => {
                write!(f, "partition {partition} by {} messages (the table is at {next} of {end})", end - next)
            }
            (None, Some(end)) => write!(f, "partition {partition} entirely (it ends at {end})"),
        }
    }
}

/// Why an `--until-latest` ended before its goal was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnreachedReason {
    Stopped,
    /// The brokers are unreachable; with the last error that they caused.
    Brokers(Option<String>),
    NotAssigned,
    /// This worker has finished; other members of the group make no progress.
    OtherMembers,
    NoProgress,
}

impl fmt::Display for UnreachedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = PROGRESS_TIMEOUT.as_secs();
        match self {
            Self::Stopped => f.write_str("stopped before the ends of the partitions were reached"),
            Self::Brokers(Some(reported)) => write!(f, "the brokers gave nothing for {seconds} s ({reported})"),
            Self::Brokers(None) => write!(f, "the brokers gave nothing for {seconds} s"),
            Self::NotAssigned => {
                write!(f, "no partition was assigned within {seconds} s; check the brokers and the topic")
            }
            Self::OtherMembers => f.write_str("another member of the group has the rest and makes no progress"),
            Self::NoProgress => write!(f, "nothing came for {seconds} s"),
        }
    }
}

/// The error of an `--until-latest` that didn't reach its goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoalUnreached {
    pub reason: UnreachedReason,
    /// Empty if not even the ends are known.
    pub behind: Vec<PartitionBehind>,
}

impl fmt::Display for GoalUnreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; ", self.reason)?;
        if !self.behind.is_empty() {
            let mut named: Vec<String> = self.behind.iter().take(NAMED).map(PartitionBehind::to_string).collect();
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
            PartitionBehind { partition: 0, next: Some(40), end: Some(100) },
            PartitionBehind { partition: 2, next: None, end: Some(7) },
            PartitionBehind { partition: 3, next: Some(5), end: None },
        ];
        let text = GoalUnreached { reason: UnreachedReason::OtherMembers, behind }.to_string();
        assert_eq!(
            text,
            "another member of the group has the rest and makes no progress; behind are partition 0 by 60 messages \
             (the table is at 40 of 100), partition 2 entirely (it ends at 7), partition 3: no leader says where it \
             ends; run it again to read the rest"
        );
        let many = (0..50).map(|partition| PartitionBehind { partition, next: Some(0), end: Some(1) }).collect();
        let text = GoalUnreached { reason: UnreachedReason::Stopped, behind: many }.to_string();
        assert!(text.contains("partition 19 by 1 messages") && text.contains("30 more partitions"), "{text}");
        assert!(!text.contains("partition 20 "), "{text}");
    }
}

//! Decisions without effects: when to flush, and where to begin in a partition.

use std::time::Duration;

use crate::ingest::batching::batch::Batch;
use crate::ingest::settings::{DataLossPolicy, IngestSettings, StartPolicy};
use crate::kafka::Assigned;
use crate::market::{OffsetRange, TopicMismatch};

/// When a batch is written.
#[derive(Debug, Clone, Copy)]
pub(in crate::ingest) struct FlushPolicy {
    pub rows: usize,
    pub bytes: usize,
    pub interval: Duration,
    /// For a batch that only moves offsets.
    pub idle: Duration,
}

impl FlushPolicy {
    pub(in crate::ingest) fn new(settings: &IngestSettings) -> Self {
        Self {
            rows: settings.flush_rows,
            bytes: settings.batch_bytes(),
            interval: settings.flush_interval,
            idle: settings.idle_commit_interval.max(settings.flush_interval),
        }
    }

    /// Nothing more goes in.
    pub(in crate::ingest) fn full(&self, batch: &Batch) -> bool {
        batch.rows() >= self.rows || batch.bytes() >= self.bytes
    }

    /// Time from the batch's first chunk to its flush; `None` while there is nothing to write.
    pub(in crate::ingest) fn wait(&self, batch: &Batch) -> Option<Duration> {
        if batch.is_empty() {
            return None;
        }
        Some(match (self.full(batch) || batch.has_beginning(), batch.has_content()) {
            (true, _) => Duration::ZERO,
            (false, true) => self.interval,
            (false, false) => self.idle,
        })
    }
}

/// Where reading of a partition begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ingest) enum Begin {
    At(i64),
    /// Offsets that Kafka no longer holds and the operator gave up.
    After(OffsetRange),
}

/// Kafka and the table disagree in a way that needs a decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataLoss {
    #[error(
        "partition {partition}: the table continues at offset {next}, but Kafka's oldest message is {low}: \
         {} offsets are gone", low - next
    )]
    Expired { partition: i32, next: i64, low: i64 },
    #[error(
        "partition {partition}: the table continues at offset {next}, but Kafka ends at {high}: the topic was recreated \
         or truncated"
    )]
    Shrunk { partition: i32, next: i64, high: i64 },
    /// Of a partition whose leader epoch is known to the table, or was read before.
    #[error(
        "partition {partition}: Kafka lost the end of its log (an unclean election of a leader?): messages that the \
         table holds are gone there, and others may have their offsets ({text})"
    )]
    Truncated { partition: i32, text: String },
    #[error(transparent)]
    TopicMismatch(#[from] TopicMismatch),
}

/// Why a partition can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    #[error(transparent)]
    DataLoss(#[from] DataLoss),
    #[error("partition {partition} is new to the table and --start names no offset for it: add {partition}=OFFSET")]
    Unnamed { partition: i32 },
    #[error("--start {partition}={offset}: Kafka holds [{low}, {high}) there; choose an offset in it")]
    Outside { partition: i32, offset: i64, low: i64, high: i64 },
}

/// `next` is what the table says comes next. A partition that it doesn't have came after the lake began, or the lake
/// begins with the oldest messages: it is read from its first message, unless the operator names an offset for it.
///
/// # Errors
/// Kafka doesn't hold `next` and the policy says stop, the topic ends before it, or the start names an offset that
/// Kafka doesn't hold.
pub(in crate::ingest) fn begin(
    assigned: Assigned,
    next: Option<i64>,
    start: &StartPolicy,
    on_data_loss: DataLossPolicy,
) -> Result<Begin, BeginError> {
    let Assigned { partition, low, high } = assigned;
    let Some(next) = next else {
        return named(assigned, start).map(|offset| Begin::At(offset.unwrap_or(low)));
    };
    if next > high {
        return Err(DataLoss::Shrunk { partition, next, high }.into());
    }
    if next >= low {
        return Ok(Begin::At(next));
    }
    let until = match on_data_loss {
        DataLossPolicy::Stop => return Err(DataLoss::Expired { partition, next, low }.into()),
        DataLossPolicy::Earliest => low,
        DataLossPolicy::Latest => high,
    };
    Ok(Begin::After(OffsetRange::new(next, until).expect("next is below low, low is not above high")))
}

/// The offset that the start names for a partition.
///
/// # Errors
/// Kafka doesn't hold it.
pub(in crate::ingest) fn named(assigned: Assigned, start: &StartPolicy) -> Result<Option<i64>, BeginError> {
    let Assigned { partition, low, high } = assigned;
    let StartPolicy::Offsets(offsets) = start else { return Ok(None) };
    match offsets.get(&partition) {
        Some(&offset) if !(low..=high).contains(&offset) => Err(BeginError::Outside { partition, offset, low, high }),
        offset => Ok(offset.copied()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSIGNED: Assigned = Assigned { partition: 3, low: 100, high: 200 };

    #[test]
    fn the_table_says_where_to_go_on() {
        let begin = |next| begin(ASSIGNED, next, &StartPolicy::Latest, DataLossPolicy::Stop);
        assert_eq!(begin(Some(100)), Ok(Begin::At(100)));
        assert_eq!(begin(Some(200)), Ok(Begin::At(200)));
        assert_eq!(begin(None), Ok(Begin::At(100)), "it came after the lake began");
        assert_eq!(begin(Some(99)), Err(DataLoss::Expired { partition: 3, next: 99, low: 100 }.into()));
        assert_eq!(begin(Some(201)), Err(DataLoss::Shrunk { partition: 3, next: 201, high: 200 }.into()));
    }

    #[test]
    fn what_is_gone_is_lost_only_by_the_operator_s_word() {
        let begin = |policy| begin(ASSIGNED, Some(40), &StartPolicy::Earliest, policy);
        assert_eq!(begin(DataLossPolicy::Earliest), Ok(Begin::After(OffsetRange::new(40, 100).unwrap())));
        assert_eq!(begin(DataLossPolicy::Latest), Ok(Begin::After(OffsetRange::new(40, 200).unwrap())));
    }

    #[test]
    fn a_start_has_to_name_an_offset_that_exists() {
        let begin = |start: &str| begin(ASSIGNED, None, &start.parse().unwrap(), DataLossPolicy::Stop);
        assert_eq!(begin("2=150"), Ok(Begin::At(100)));
        assert!(matches!(begin("3=99"), Err(BeginError::Outside { offset: 99, .. })));
    }

    #[test]
    fn a_start_counts_only_where_the_table_knows_nothing() {
        let explicit: StartPolicy = "3=150".parse().unwrap();
        assert_eq!(begin(ASSIGNED, None, &explicit, DataLossPolicy::Stop), Ok(Begin::At(150)));
        assert_eq!(begin(ASSIGNED, Some(120), &explicit, DataLossPolicy::Stop), Ok(Begin::At(120)));
        assert_eq!(begin(ASSIGNED, None, &StartPolicy::Time(7), DataLossPolicy::Stop), Ok(Begin::At(100)));
    }
}

//! Pure decisions: when to flush, and at which offset to start in a partition.

use std::time::Duration;

use crate::ingest::batching::batch::IngestBatch;
use crate::ingest::settings::{DataLossPolicy, IngestSettings, StartPolicy};
use crate::kafka::PartitionWatermarks;
use crate::market::{OffsetRange, TopicMismatch};

/// Decides when a batch is flushed.
#[derive(Debug, Clone, Copy)]
pub(in crate::ingest) struct FlushPolicy {
    pub rows: usize,
    pub bytes: usize,
    pub interval: Duration,
    /// Interval for a batch that only advances offsets.
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

    /// Returns true if the batch takes no more chunks.
    pub(in crate::ingest) fn full(&self, batch: &IngestBatch) -> bool {
        batch.rows() >= self.rows || batch.bytes() >= self.bytes
    }

    /// Returns the time from the batch's first chunk to its flush; `None` while there is nothing to write.
    pub(in crate::ingest) fn wait(&self, batch: &IngestBatch) -> Option<Duration> {
        if batch.is_empty() {
            return None;
        }
        Some(match (self.full(batch) || batch.has_start_position(), batch.has_content()) {
            (true, _) => Duration::ZERO,
            (false, true) => self.interval,
            (false, false) => self.idle,
        })
    }
}

/// The offset at which reading of a partition starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ingest) enum StartOffset {
    At(i64),
    /// After offsets that Kafka no longer holds and that the policy gives up.
    AfterLoss(OffsetRange),
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
        "partition {partition}: the table continues at offset {next}, but Kafka ends at {high}: the topic was \
         recreated or truncated"
    )]
    Shrunk { partition: i32, next: i64, high: i64 },
    /// Detected by a leader epoch that the table has, or that was read before.
    #[error(
        "partition {partition}: Kafka lost the end of its log (an unclean election of a leader?): messages that the \
         table holds are gone there, and others may have their offsets ({text})"
    )]
    Truncated { partition: i32, text: String },
    #[error(transparent)]
    TopicMismatch(#[from] TopicMismatch),
}

/// Why no start offset can be chosen for a partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartOffsetError {
    #[error(transparent)]
    DataLoss(#[from] DataLoss),
    #[error("partition {partition} is new to the table and --start names no offset for it: add {partition}=OFFSET")]
    Unnamed { partition: i32 },
    #[error("--start {partition}={offset}: Kafka holds [{low}, {high}) there; choose an offset in it")]
    Outside { partition: i32, offset: i64, low: i64, high: i64 },
}

/// Chooses the start offset of a partition; `next` is the next offset of the table. A partition without one was added
/// after the lake was created, or the lake starts at the oldest messages: it is read from its first message, unless the
/// start policy names an offset for it.
///
/// # Errors
/// Kafka doesn't hold `next` and the policy is to stop, the topic ends before it, or the start policy names an offset
/// that Kafka doesn't hold.
pub(in crate::ingest) fn start_offset(
    assigned: PartitionWatermarks,
    next: Option<i64>,
    start: &StartPolicy,
    on_data_loss: DataLossPolicy,
) -> Result<StartOffset, StartOffsetError> {
    let PartitionWatermarks { partition, low, high } = assigned;
    let Some(next) = next else {
        return named_offset(assigned, start).map(|offset| StartOffset::At(offset.unwrap_or(low)));
    };
    if next > high {
        return Err(DataLoss::Shrunk { partition, next, high }.into());
    }
    if next >= low {
        return Ok(StartOffset::At(next));
    }
    let until = match on_data_loss {
        DataLossPolicy::Stop => return Err(DataLoss::Expired { partition, next, low }.into()),
        DataLossPolicy::Earliest => low,
        DataLossPolicy::Latest => high,
    };
    Ok(StartOffset::AfterLoss(OffsetRange::new(next, until).expect("next is below low, low is not above high")))
}

/// Returns the offset that the start policy names for a partition.
///
/// # Errors
/// Kafka doesn't hold it.
pub(in crate::ingest) fn named_offset(
    assigned: PartitionWatermarks,
    start: &StartPolicy,
) -> Result<Option<i64>, StartOffsetError> {
    let PartitionWatermarks { partition, low, high } = assigned;
    let StartPolicy::Offsets(offsets) = start else { return Ok(None) };
    match offsets.get(&partition) {
        Some(&offset) if !(low..=high).contains(&offset) => {
            Err(StartOffsetError::Outside { partition, offset, low, high })
        }
        offset => Ok(offset.copied()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSIGNED: PartitionWatermarks = PartitionWatermarks { partition: 3, low: 100, high: 200 };

    #[test]
    fn reading_continues_at_the_next_offset_of_the_table() {
        let start_offset = |next| start_offset(ASSIGNED, next, &StartPolicy::Latest, DataLossPolicy::Stop);
        assert_eq!(start_offset(Some(100)), Ok(StartOffset::At(100)));
        assert_eq!(start_offset(Some(200)), Ok(StartOffset::At(200)));
        assert_eq!(start_offset(None), Ok(StartOffset::At(100)), "it came after the lake began");
        assert_eq!(start_offset(Some(99)), Err(DataLoss::Expired { partition: 3, next: 99, low: 100 }.into()));
        assert_eq!(start_offset(Some(201)), Err(DataLoss::Shrunk { partition: 3, next: 201, high: 200 }.into()));
    }

    #[test]
    fn missing_offsets_are_given_up_only_by_policy() {
        let start_offset = |policy| start_offset(ASSIGNED, Some(40), &StartPolicy::Earliest, policy);
        assert_eq!(
            start_offset(DataLossPolicy::Earliest),
            Ok(StartOffset::AfterLoss(OffsetRange::new(40, 100).unwrap()))
        );
        assert_eq!(
            start_offset(DataLossPolicy::Latest),
            Ok(StartOffset::AfterLoss(OffsetRange::new(40, 200).unwrap()))
        );
    }

    #[test]
    fn a_start_has_to_name_an_offset_that_exists() {
        let start_offset = |start: &str| start_offset(ASSIGNED, None, &start.parse().unwrap(), DataLossPolicy::Stop);
        assert_eq!(start_offset("2=150"), Ok(StartOffset::At(100)));
        assert!(matches!(start_offset("3=99"), Err(StartOffsetError::Outside { offset: 99, .. })));
    }

    #[test]
    fn a_start_counts_only_where_the_table_knows_nothing() {
        let explicit: StartPolicy = "3=150".parse().unwrap();
        assert_eq!(start_offset(ASSIGNED, None, &explicit, DataLossPolicy::Stop), Ok(StartOffset::At(150)));
        assert_eq!(start_offset(ASSIGNED, Some(120), &explicit, DataLossPolicy::Stop), Ok(StartOffset::At(120)));
        assert_eq!(start_offset(ASSIGNED, None, &StartPolicy::Time(7), DataLossPolicy::Stop), Ok(StartOffset::At(100)));
    }
}

//! Queries the first offset and the end of each partition of a topic, outside of any group. Transient errors, such as
//! the election of a leader, are retried.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::client::KafkaSettings;
use crate::kafka::events::PartitionWatermarks;
use crate::kafka::raw::{RawConsumer, RawError};
use crate::kafka::topic::TopicError;

/// Timeout of a query for one partition, so that a leader that doesn't answer doesn't delay the others.
const PARTITION_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout of a query for the list of partitions.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);
/// Shortest timeout of a query, after the deadline.
const MINIMUM_TIMEOUT: Duration = Duration::from_millis(500);
/// Shortest time for callers that need the ends of all partitions.
const ALL_PARTITIONS_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two rounds of queries.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// librdkafka requires a group name even if no group is joined.
const NO_GROUP: &str = "tickhouse-ends";

/// The watermarks of the partitions of a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicEnds {
    /// In the order of their numbers.
    pub known: Vec<PartitionWatermarks>,
    /// Partitions without a leader that answers.
    pub silent: Vec<i32>,
}

/// Queries all partitions that the topic has now, for up to `patience`. Blocks.
///
/// # Errors
/// The brokers don't report the list of partitions, or deny access.
pub fn topic_ends(settings: &KafkaSettings, patience: Duration) -> Result<TopicEnds, TopicError> {
    let config = settings.consumer_config(NO_GROUP);
    let raw = RawConsumer::new(&config, &settings.topic, 1).map_err(TopicError::Configuration)?;
    ask(&raw, Instant::now() + patience).map_err(|error| failed(settings, error.to_string()))
}

/// Returns the watermarks of every partition.
///
/// # Errors
/// As [`topic_ends`]; or a partition has no leader that answers until then.
pub(in crate::kafka) fn all_ends(
    raw: &RawConsumer,
    settings: &KafkaSettings,
    until: Instant,
) -> Result<Vec<PartitionWatermarks>, TopicError> {
    let until = until.max(Instant::now() + ALL_PARTITIONS_TIMEOUT);
    let TopicEnds { known, silent } = ask(raw, until).map_err(|error| failed(settings, error.to_string()))?;
    match silent.as_slice() {
        [] => Ok(known),
        silent => Err(failed(settings, format!("no leader says where these partitions end: {silent:?}"))),
    }
}

fn failed(settings: &KafkaSettings, detail: String) -> TopicError {
    TopicError::Read { topic: settings.topic.clone(), detail }
}

/// Every partition with a leader is queried in the first round; failed queries are repeated until the deadline.
fn ask(raw: &RawConsumer, until: Instant) -> Result<TopicEnds, RawError> {
    let left = |most: Duration| most.min(until.saturating_duration_since(Instant::now())).max(MINIMUM_TIMEOUT);
    let is_over = || Instant::now() >= until;
    let mut known: BTreeMap<i32, PartitionWatermarks> = BTreeMap::new();
    let mut silent = Vec::new();
    loop {
        match raw.partitions(left(METADATA_TIMEOUT)) {
            Ok(partitions) => {
                silent.clear();
                for (partition, has_leader) in partitions {
                    if known.contains_key(&partition) {
                        continue;
                    }
                    let asked = has_leader.then(|| raw.watermarks(partition, left(PARTITION_TIMEOUT)));
                    match asked {
                        Some(Ok((low, high))) => {
                            known.insert(partition, PartitionWatermarks { partition, low, high });
                        }
                        Some(Err(error)) if is_denied(error.code) => return Err(error),
                        Some(Err(_)) | None => silent.push(partition),
                    }
                }
                if silent.is_empty() || is_over() {
                    return Ok(TopicEnds { known: known.into_values().collect(), silent });
                }
            }
            Err(error) if is_denied(error.code) || is_over() => return Err(error),
            Err(_) => {}
        }
        std::thread::sleep(RETRY_PAUSE);
    }
}

/// Such an error is not transient.
fn is_denied(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::EmbeddedBroker;

    #[test]
    fn partitions_without_a_leader_are_named_and_the_others_are_known() {
        let broker = EmbeddedBroker::start(3, "ticks").unwrap();
        broker.elect("ticks", 1, false).unwrap();
        let settings = broker.settings("ticks");
        let ends = topic_ends(&settings, Duration::from_secs(3)).unwrap();
        let at = |partition| PartitionWatermarks { partition, low: 0, high: 0 };
        assert_eq!(ends, TopicEnds { known: vec![at(0), at(2)], silent: vec![1] });
        broker.elect("ticks", 1, true).unwrap();
        assert!(topic_ends(&settings, Duration::from_secs(30)).unwrap().silent.is_empty());
    }
}

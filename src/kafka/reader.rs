//! Reads a topic from given offsets outside of any group: dry runs, benchmarks, and whoever looks at the tail.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use super::client::KafkaSettings;
use super::events::{Assigned, Record};
use super::raw::RawConsumer;

const BATCH_MESSAGES: usize = 8_192;
const BATCH_WAIT: Duration = Duration::from_millis(50);
const BROKER_ANSWER: Duration = Duration::from_secs(10);
/// A broker that is silent for this long ends the reading with an error.
const SILENCE: Duration = Duration::from_secs(60);
/// librdkafka wants a name even where no group is joined.
const NO_GROUP: &str = "tickhouse-reader";

pub struct Reader {
    raw: RawConsumer,
    open: BTreeSet<i32>,
    heard: Instant,
}

/// After a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    More,
    /// Every partition is at its end.
    End,
}

impl Reader {
    /// # Errors
    /// librdkafka refuses the configuration.
    pub fn new(settings: &KafkaSettings) -> Result<Self, String> {
        let mut config = settings.consumer_config(NO_GROUP);
        // Harmless where nothing pauses or rebalances.
        config.set("enable.partition.eof", "true");
        let raw = RawConsumer::new(&config, &settings.topic, BATCH_MESSAGES)?;
        Ok(Self { raw, open: BTreeSet::new(), heard: Instant::now() })
    }

    /// First offset and end of each partition. Blocks.
    ///
    /// # Errors
    /// The broker doesn't answer.
    pub fn watermarks(&self, partitions: usize) -> Result<Vec<Assigned>, String> {
        let count = i32::try_from(partitions).map_err(|error| error.to_string())?;
        let one = |partition| {
            let (low, high) = self.raw.watermarks(partition, BROKER_ANSWER).map_err(|error| error.to_string())?;
            Ok(Assigned { partition, low, high })
        };
        (0..count).map(one).collect()
    }

    /// First offset at or after a time in milliseconds; `None` past the end. Blocks.
    ///
    /// # Errors
    /// The broker doesn't answer.
    pub fn offset_at(&self, partition: i32, timestamp_ms: i64) -> Result<Option<i64>, String> {
        self.raw.offset_for_time(partition, timestamp_ms, BROKER_ANSWER).map_err(|error| error.to_string())
    }

    /// Begins at these (partition, offset).
    ///
    /// # Errors
    /// librdkafka refuses the partitions.
    pub fn start(&mut self, starts: &[(i32, i64)]) -> Result<(), String> {
        self.raw.assign(starts).map_err(|error| error.to_string())?;
        self.open = starts.iter().map(|(partition, _)| *partition).collect();
        Ok(())
    }

    /// One batch. Blocks, but not for long.
    ///
    /// # Errors
    /// Kafka doesn't hold an offset, or was silent for a minute.
    pub fn read(&mut self, mut on_record: impl FnMut(&Record<'_>)) -> Result<Progress, String> {
        let batch = self.raw.batch(BATCH_WAIT).map_err(|error| error.to_string())?;
        for message in batch.iter() {
            self.heard = Instant::now();
            match message.error() {
                None => on_record(&Record::new(&message)),
                Some(RDKafkaErrorCode::PartitionEOF) => {
                    self.open.remove(&message.partition());
                }
                Some(code) => return Err(format!("partition {}: {code}", message.partition())),
            }
        }
        drop(batch);
        self.raw.take_notices();
        if self.open.is_empty() {
            return Ok(Progress::End);
        }
        match self.heard.elapsed() > SILENCE {
            true => Err(format!("the brokers were silent for {} s", SILENCE.as_secs())),
            false => Ok(Progress::More),
        }
    }
}

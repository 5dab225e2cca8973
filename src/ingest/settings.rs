//! The `[ingest]` section: where to start, when to flush, what to do when Kafka lost data.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use crate::ingest::event_loop::dead_letter_share::DeadLetterShare;
use crate::lake::LogMaintenance;
use crate::market::{MarketZone, PartitionBy};
use crate::util::units;

/// Limits and policies of `ingest`; the defaults are those of the README.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestSettings {
    /// IANA zone of trade dates; fixed when the lake is created.
    pub market_zone: String,
    /// Fixed when the lake is created.
    pub partition_by: PartitionBy,
    /// A missing lake is an error instead of being created: its file system may not be mounted.
    pub must_exist: bool,
    pub start: StartPolicy,
    pub on_data_loss: DataLossPolicy,
    /// The largest share of messages that may become dead letters. If it isn't set, a share above one half ends an
    /// ingest with `--until-latest` and one into a lake without rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_dead_share: Option<DeadLetterShare>,
    /// A batch is flushed as soon as it reaches one of three limits: rows, decoded bytes or age.
    pub flush_rows: usize,
    #[serde(with = "units::size")]
    pub flush_bytes: u64,
    #[serde(with = "units::duration")]
    pub flush_interval: Duration,
    /// Offsets that advanced without rows are committed this often.
    #[serde(with = "units::duration")]
    pub idle_commit_interval: Duration,
    /// Memory limit of the process, the fetch queue included.
    #[serde(with = "units::size")]
    pub memory: u64,
    /// After SIGTERM the ingest flushes and leaves the group within this time.
    #[serde(with = "units::duration")]
    pub stop_timeout: Duration,
    /// What the maintenance task in the process of the ingest does for the table.
    pub maintain: MaintainMode,
    /// Commits between two checkpoints.
    pub checkpoint_commits: u64,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            market_zone: "America/New_York".to_owned(),
            partition_by: PartitionBy::Day,
            must_exist: false,
            start: StartPolicy::Earliest,
            on_data_loss: DataLossPolicy::Stop,
            max_dead_share: None,
            flush_rows: 1_000_000,
            flush_bytes: 64 << 20,
            flush_interval: Duration::from_secs(10),
            idle_commit_interval: Duration::from_secs(60),
            memory: 512 << 20,
            stop_timeout: Duration::from_secs(25),
            maintain: MaintainMode::Compact,
            checkpoint_commits: 100,
        }
    }
}

impl IngestSettings {
    /// The maintenance of the Delta log of a table that this process writes.
    pub fn log_maintenance(&self) -> Option<LogMaintenance> {
        let clean = self.maintain == MaintainMode::Full;
        (self.maintain != MaintainMode::Off).then_some(LogMaintenance { commits: self.checkpoint_commits, clean })
    }
}

/// The offsets at which a new lake starts. Partitions that are added to the topic later start at their first message,
/// unless [`StartPolicy::Offsets`] names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum StartPolicy {
    Earliest,
    Latest,
    /// The first message at or after this time, in milliseconds since the epoch.
    Time(i64),
    /// Offset by partition; a partition that is not named is an error.
    Offsets(BTreeMap<i32, i64>),
}

impl FromStr for StartPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Time(time.timestamp_millis()));
        }
        let offset = |part: &str| {
            let (partition, offset) = part.split_once('=')?;
            let pair = (partition.trim().parse::<i32>().ok()?, offset.trim().parse::<i64>().ok()?);
            (pair.0 >= 0 && pair.1 >= 0).then_some(pair)
        };
        match text.split(',').map(offset).collect::<Option<BTreeMap<_, _>>>() {
            Some(offsets) if !offsets.is_empty() => Ok(Self::Offsets(offsets)),
            _ => Err(format!(
                "'{text}' is not a start; use earliest, latest, a time like 2026-11-20T14:30:00Z, or offsets like \
                 0=100,1=250"
            )),
        }
    }
}

impl TryFrom<String> for StartPolicy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<StartPolicy> for String {
    fn from(start: StartPolicy) -> Self {
        start.to_string()
    }
}

impl fmt::Display for StartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::Time(millis) => match DateTime::from_timestamp_millis(*millis) {
                Some(time) => f.write_str(&time.to_rfc3339()),
                None => write!(f, "{millis} ms"),
            },
            Self::Offsets(offsets) => {
                let parts: Vec<String> =
                    offsets.iter().map(|(partition, offset)| format!("{partition}={offset}")).collect();
                f.write_str(&parts.join(","))
            }
        }
    }
}

/// What to do when Kafka no longer holds the offset that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DataLossPolicy {
    /// Exit with code 3; `tickhouse offsets set` resolves it.
    Stop,
    /// Continue at the first offset that Kafka holds; the missing offsets are recorded as lost.
    Earliest,
    /// Continue at the end of the topic; all offsets before it are recorded as lost.
    Latest,
}

/// Maintenance of the table in the process of the ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum MaintainMode {
    Off,
    /// Checkpoints alone.
    Checkpoint,
    /// Checkpoints, and compaction of small files: needs no permission to delete.
    Compact,
    /// Also deletes log files that are older than a week, and data files of that age that no version needs.
    Full,
}

/// Smallest memory limit in which the fetch queue, the event queue and two small batches fit.
const LEAST_MEMORY: u64 = 192 << 20;
/// Memory for librdkafka's queue and for chunks on their way to the pipeline.
const QUEUES: u64 = 96 << 20;
/// Largest memory of a compaction; it gets less if the memory limit is low.
const COMPACTION: u64 = 128 << 20;

impl IngestSettings {
    /// # Errors
    /// Describes the first setting that is not valid, with the fix.
    pub fn validate(&self) -> Result<MarketZone, String> {
        let zone = self.market_zone.parse().map_err(|_| {
            format!(
                "ingest.market_zone: '{}' is not an IANA time zone; use a name like America/New_York",
                self.market_zone
            )
        })?;
        if self.flush_rows == 0 {
            return Err("ingest.flush_rows: 0 would never hold a row; the default is 1000000".to_owned());
        }
        if self.flush_bytes == 0 || self.flush_interval.is_zero() {
            return Err(
                "ingest.flush_bytes and ingest.flush_interval can't be 0; the defaults are 64MiB and 10s".to_owned()
            );
        }
        if self.memory < LEAST_MEMORY {
            return Err("ingest.memory: less than 192MiB; the default is 512MiB".to_owned());
        }
        if self.checkpoint_commits == 0 {
            return Err("ingest.checkpoint_commits: 0 is no distance; the default is 100".to_owned());
        }
        Ok(MarketZone::new(zone))
    }

    /// The part of the memory limit that a compaction may use.
    pub fn compaction_bytes(&self) -> u64 {
        (self.memory.saturating_sub(QUEUES) / 3).min(COMPACTION)
    }

    /// Decoded bytes at which a batch is full: one batch grows while another one is sorted, encoded and written.
    pub fn batch_bytes(&self) -> usize {
        let compacts = matches!(self.maintain, MaintainMode::Compact | MaintainMode::Full);
        let compaction = if compacts { self.compaction_bytes() } else { 0 };
        let share = self.memory.saturating_sub(QUEUES + compaction) / 4;
        usize::try_from(self.flush_bytes.min(share)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_read_and_written() {
        for text in ["earliest", "latest", "0=100,1=250", "2026-11-20T14:30:00+00:00"] {
            assert_eq!(text.parse::<StartPolicy>().unwrap().to_string(), text);
        }
        for wrong in ["", "first", "0=", "-1=5", "0=-5", "2026-11-20"] {
            assert!(wrong.parse::<StartPolicy>().is_err(), "{wrong}");
        }
    }
}

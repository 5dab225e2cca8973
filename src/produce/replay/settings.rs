//! What is replayed, and how its columns and times are read.

use chrono_tz::Tz;

use super::files::FileFormat;
use super::time::EpochUnit;
use crate::decode::{InputSettings, TimeFormat};

#[derive(Debug, Clone, Default)]
pub struct ReplaySettings {
    /// Paths, patterns with `*` and `?` in the last part, or `-` for standard input.
    pub files: Vec<String>,
    /// The format of all files; without it, the ending of each name decides.
    pub format: Option<FileFormat>,
    pub columns: ColumnNames,
    /// Of numeric times.
    pub time_unit: Option<EpochUnit>,
    /// Of dates, and of times without an offset.
    pub zone: Option<Tz>,
    /// Of times in text that are written in another way.
    pub ts_format: Option<TimeFormat>,
    /// How the messages will be read: columns may have the names of its keys.
    pub input: Option<InputSettings>,
    /// JSON pointer to the Kafka key in a line.
    pub message_key: Option<String>,
    /// JSON pointer to the event time in a line, for pace and Kafka timestamps.
    pub message_time: Option<String>,
}

/// Columns of CSV and Parquet files. A name that the user did not give may be absent, except for symbol, ts and close.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnNames {
    pub symbol: Option<String>,
    pub ts: Option<String>,
    pub open: Option<String>,
    pub high: Option<String>,
    pub low: Option<String>,
    pub close: Option<String>,
    pub volume: Option<String>,
    pub trade_id: Option<String>,
    pub source: Option<String>,
}

//! What a tick is: pure types without I/O, shared by every other module.

mod clock;
mod columns;
mod counts;
mod offsets;
mod time;
mod topic;
mod zone;

pub use clock::LocalClock;
pub use columns::{ExtraColumn, ExtraSpec, ExtraType, StringColumn, TickColumns};
pub use counts::Counts;
pub use offsets::{InvalidRange, OffsetRange};
pub use time::{EARLIEST_MICROS, LATEST_MICROS, date_text, is_plausible_kafka_ts, plausible_kafka_millis, rfc3339};
pub use topic::{TopicIdentity, TopicMismatch};
pub use zone::{EPOCH_DAYS_FROM_CE, MarketZone, PartitionBy};

/// One tick, borrowed from where it was decoded or generated. Times are microseconds since the epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tick<'a> {
    pub symbol: &'a str,
    pub ts: i64,
    pub open: Option<f64>,
    pub high: Option<f64>,
    pub low: Option<f64>,
    pub close: f64,
    pub volume: Option<f64>,
    pub trade_id: Option<&'a str>,
    pub source: Option<&'a str>,
}

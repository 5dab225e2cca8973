//! Times and dates as text.

use chrono::{DateTime, NaiveDate};

use super::EPOCH_DAYS_FROM_CE;

/// 1990-01-01T00:00:00Z: nothing that is read here is older.
pub const EARLIEST_MICROS: i64 = 631_152_000_000_000;
/// 2262-01-01T00:00:00Z, the last year whose nanoseconds fit 64 bits.
pub const LATEST_MICROS: i64 = 9_214_646_400_000_000;

/// A Kafka timestamp in milliseconds that can be one. Producers that set it in seconds or nanoseconds, or to zero, send
/// numbers that say nothing about the time, and that readers of the table can't hold.
pub fn plausible_kafka_millis(millis: Option<i64>) -> Option<i64> {
    millis.filter(|millis| (EARLIEST_MICROS / 1_000..LATEST_MICROS / 1_000).contains(millis))
}

/// Whether the microseconds in a table are plausible: earlier versions stored what the producer had sent.
pub fn is_plausible_kafka_ts(micros: i64) -> bool {
    (EARLIEST_MICROS..LATEST_MICROS).contains(&micros)
}

/// RFC 3339 in UTC with microseconds, which Delta statistics and events have; `None` beyond the calendar.
pub fn rfc3339(micros: i64) -> Option<String> {
    DateTime::from_timestamp_micros(micros).map(|time| time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
}

/// A date as partition values have it, from days since 1970-01-01; `None` beyond the calendar.
pub fn date_text(days: i32) -> Option<String> {
    NaiveDate::from_num_days_from_ce_opt(days.checked_add(EPOCH_DAYS_FROM_CE)?).map(|date| date.to_string())
}

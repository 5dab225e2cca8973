//! Times and dates as text.

use chrono::{DateTime, NaiveDate};

use super::EPOCH_DAYS_FROM_CE;

/// RFC 3339 in UTC with microseconds, which Delta statistics and events have; `None` beyond the calendar.
pub fn rfc3339(micros: i64) -> Option<String> {
    DateTime::from_timestamp_micros(micros).map(|time| time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
}

/// A date as partition values have it, from days since 1970-01-01; `None` beyond the calendar.
pub fn date_text(days: i32) -> Option<String> {
    NaiveDate::from_num_days_from_ce_opt(days.checked_add(EPOCH_DAYS_FROM_CE)?).map(|date| date.to_string())
}

//! Times as text.

use chrono::DateTime;

/// RFC 3339 in UTC with microseconds, which Delta statistics and events have; `None` beyond the calendar.
pub fn rfc3339(micros: i64) -> Option<String> {
    DateTime::from_timestamp_micros(micros).map(|time| time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
}

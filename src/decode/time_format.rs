//! Times in a custom format, such as `%d/%m/%Y %H:%M:%S`: a strftime pattern that is parsed once.

use std::fmt::Write;

use chrono::format::{Item, Numeric, Parsed, StrftimeItems, parse};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// A parsed pattern for an instant, a local time or a day.
#[derive(Debug, Clone)]
pub struct TimeFormat {
    items: Vec<Item<'static>>,
    day: bool,
    offset: bool,
}

/// A time parsed with a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrittenTime {
    Instant(DateTime<FixedOffset>),
    Local(NaiveDateTime),
    /// A date without a time of day.
    Day(NaiveDate),
}

impl TimeFormat {
    /// Parses a pattern.
    ///
    /// # Errors
    /// The pattern has an unknown part, or doesn't describe a complete date.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("'{pattern}' {what}; use a pattern like %Y-%m-%d or %d/%m/%Y %H:%M:%S");
        let items =
            StrftimeItems::new(pattern).parse_to_owned().map_err(|_| wrong("has a part that is no strftime code"))?;
        let sample = DateTime::UNIX_EPOCH.fixed_offset();
        let writes = |written: &dyn std::fmt::Display| {
            let mut text = String::new();
            write!(text, "{written}").is_ok().then_some(text)
        };
        let day = writes(&sample.date_naive().format_with_items(items.iter())).is_some();
        let local = writes(&sample.naive_utc().format_with_items(items.iter())).is_some();
        // Seconds since 1970 have no offset, and don't need one.
        let epoch = items.iter().any(|item| matches!(item, Item::Numeric(Numeric::Timestamp, _)));
        let format = Self { day, offset: !local || epoch, items };
        let text = writes(&sample.format_with_items(format.items.iter())).ok_or_else(|| wrong("can't be written"))?;
        match format.read(&text) {
            Some(_) => Ok(format),
            None => Err(wrong("doesn't name a day, or a time of day")),
        }
    }

    /// Whether the times contain an offset. If they don't, a time zone must be configured.
    pub fn has_offset(&self) -> bool {
        self.offset
    }

    pub fn read(&self, text: &str) -> Option<WrittenTime> {
        let mut parsed = Parsed::new();
        parse(&mut parsed, text, self.items.iter()).ok()?;
        if self.offset {
            return parsed.to_datetime().ok().map(WrittenTime::Instant);
        }
        if self.day {
            return parsed.to_naive_date().ok().map(WrittenTime::Day);
        }
        parsed.to_naive_datetime_with_offset(0).ok().map(WrittenTime::Local)
    }
}

/// Replaces a leap second by the last microsecond before it. Also returns whether it was one.
pub(in crate::decode) fn without_leap_second(time: NaiveTime) -> (NaiveTime, bool) {
    const LAST: u32 = 999_999_000;
    match time.nanosecond() >= 1_000_000_000 {
        true => (time.with_nanosecond(LAST).unwrap_or(time), true),
        false => (time, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_a_day_a_local_time_or_an_instant() {
        let read = |pattern: &str, text: &str| TimeFormat::new(pattern).unwrap().read(text);
        let day = NaiveDate::from_ymd_opt(2023, 11, 14).unwrap();
        let local = day.and_hms_opt(22, 13, 20).unwrap();
        assert_eq!(read("%Y-%m-%d", "2023-11-14"), Some(WrittenTime::Day(day)));
        assert_eq!(read("%d/%m/%Y", "14/11/2023"), Some(WrittenTime::Day(day)));
        assert_eq!(read("%Y%m%d", "20231114"), Some(WrittenTime::Day(day)));
        assert_eq!(read("%d.%m.%Y %H:%M:%S", "14.11.2023 22:13:20"), Some(WrittenTime::Local(local)));
        assert_eq!(
            read("%d/%b/%Y:%H:%M:%S %z", "14/Nov/2023:22:13:20 +0000"),
            Some(WrittenTime::Instant(local.and_utc().fixed_offset()))
        );
        assert_eq!(read("@%s", "@1700000000"), Some(WrittenTime::Instant(local.and_utc().fixed_offset())));
        for (pattern, text) in [("%Y-%m-%d", "2023-02-30"), ("%Y-%m-%d", "2023-11-14T22:13:20"), ("%d/%m/%Y", "")] {
            assert_eq!(read(pattern, text), None, "{text}");
        }
    }

    #[test]
    fn patterns_that_name_no_day_are_refused() {
        for pattern in ["", "%H:%M", "%Y-%m", "%Q", "%Y-%m-%d %H", "date"] {
            assert!(TimeFormat::new(pattern).is_err(), "{pattern}");
        }
    }
}

//! Times as files write them -> microseconds since the epoch, UTC.

use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;

use crate::decode::{RejectionReason, TimeFormat, WrittenTime, scaled_decimal};

/// Unit of numeric times since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum EpochUnit {
    S,
    Ms,
    Us,
    Ns,
}

/// What the user said about times.
#[derive(Debug, Clone, Default)]
pub(super) struct TimeParser {
    pub unit: Option<EpochUnit>,
    pub zone: Option<Tz>,
    /// The format of times in text, which replaces the default ones.
    pub format: Option<TimeFormat>,
}

impl TimeParser {
    pub(super) fn number(&self, value: i64) -> Result<i64, String> {
        self.decimal(&value.to_string())
    }

    /// A decimal, with a fraction or without: exact, digits below a microsecond are cut.
    pub(super) fn decimal(&self, text: &str) -> Result<i64, String> {
        let power = match self.unit {
            Some(EpochUnit::S) => 6,
            Some(EpochUnit::Ms) => 3,
            Some(EpochUnit::Us) => 0,
            Some(EpochUnit::Ns) => -3,
            None => return Err("the time is a number; set --time-unit s, ms, us or ns".to_owned()),
        };
        scaled_decimal(text, power).map_err(|reason| match reason {
            RejectionReason::TsOutOfRange => "the time is beyond the range of microseconds".to_owned(),
            _ => "the time is no number".to_owned(),
        })
    }

    /// RFC 3339, a date and time without an offset, a date, or a number.
    pub(super) fn text(&self, text: &str) -> Result<i64, String> {
        let text = text.trim();
        if let Some(format) = &self.format {
            return match format.read(text).ok_or("the time is not of the form of --ts-format")? {
                WrittenTime::Instant(instant) => Ok(instant.timestamp_micros()),
                WrittenTime::Local(local) => self.local(local),
                WrittenTime::Day(day) => self.date(day),
            };
        }
        if scaled_decimal(text, 0) != Err(RejectionReason::Type) {
            return self.decimal(text);
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(time.timestamp_micros());
        }
        if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return self.date(date);
        }
        let separator = if text.contains('T') { 'T' } else { ' ' };
        match NaiveDateTime::parse_from_str(text, &format!("%Y-%m-%d{separator}%H:%M:%S%.f")) {
            Ok(local) => self.local(local),
            Err(_) => Err("the time is not written as YYYY-MM-DD[THH:MM:SS[.fraction][offset]]; set --ts-format, as \
                in %d/%m/%Y %H:%M:%S"
                .to_owned()),
        }
    }

    pub(super) fn local(&self, local: NaiveDateTime) -> Result<i64, String> {
        let zone = self.zone.ok_or("the time has no offset; set --zone, as in America/New_York")?;
        let instant = zone.from_local_datetime(&local).single();
        let wrong = || format!("local time {local} occurs twice or not at all in {zone}; write an offset");
        Ok(instant.ok_or_else(wrong)?.timestamp_micros())
    }

    /// The first instant of the day.
    pub(super) fn date(&self, date: NaiveDate) -> Result<i64, String> {
        let zone = self.zone.ok_or("the date has no time; set --zone, as in America/New_York")?;
        let midnight = date.and_time(chrono::NaiveTime::MIN);
        let first = |local: NaiveDateTime| zone.from_local_datetime(&local).earliest();
        // Some zones begin summer time at midnight.
        let instant = first(midnight).or_else(|| first(midnight + Duration::hours(1)));
        instant.map(|instant| instant.timestamp_micros()).ok_or_else(|| format!("{zone} has no {date}"))
    }

    pub(super) fn local_micros(&self, micros: i64) -> Result<i64, String> {
        let local = DateTime::<Utc>::from_timestamp_micros(micros).ok_or("the time is beyond the range of dates")?;
        self.local(local.naive_utc())
    }

    /// Days since 1970-01-01.
    pub(super) fn days(&self, days: i32) -> Result<i64, String> {
        let date = NaiveDate::default().checked_add_signed(Duration::days(i64::from(days)));
        self.date(date.ok_or("the date is beyond the range of dates")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let new_york = TimeParser { zone: Some(chrono_tz::America::New_York), ..TimeParser::default() };
        let at = 1_700_000_000_000_000; // 2023-11-14T22:13:20Z
        for text in
            ["2023-11-14T22:13:20Z", "2023-11-14 22:13:20+00:00", "2023-11-14T17:13:20", " 2023-11-14 17:13:20.0"]
        {
            assert_eq!(new_york.text(text), Ok(at), "{text}");
        }
        assert_eq!(new_york.text("2023-11-14"), Ok(at - (17 * 3_600 + 13 * 60 + 20) * 1_000_000));
        assert_eq!(new_york.text("2023-11-14T17:13:20.123456"), Ok(at + 123_456));
        for (text, problem) in [
            ("14/11/2023", "YYYY-MM-DD"),
            ("2024-11-03 01:30:00", "twice"),
            ("2024-03-10 02:30:00", "not at all"),
            ("1700000000", "--time-unit"),
        ] {
            assert!(new_york.text(text).unwrap_err().contains(problem), "{text}");
        }
        assert!(TimeParser::default().text("2023-11-14").unwrap_err().contains("--zone"));
        assert!(TimeParser::default().text("2023-11-14T17:13:20").unwrap_err().contains("--zone"));
    }

    #[test]
    fn numbers_and_days() {
        let unit = |unit| TimeParser { unit: Some(unit), zone: Some(Tz::UTC), format: None };
        let at = 1_700_000_000_000_000;
        assert_eq!(unit(EpochUnit::S).text("1700000000"), Ok(at));
        assert_eq!(unit(EpochUnit::S).text("1619057345.6829"), Ok(1_619_057_345_682_900));
        assert_eq!(unit(EpochUnit::Ms).text("1.6190573456829e12"), Ok(1_619_057_345_682_900));
        let slashes = TimeParser {
            format: Some(TimeFormat::new("%d/%m/%Y").unwrap()),
            zone: Some(Tz::UTC),
            ..TimeParser::default()
        };
        assert_eq!(slashes.text("14/11/2023"), Ok(1_699_920_000_000_000));
        assert!(slashes.text("2023-11-14").unwrap_err().contains("--ts-format"));
        assert_eq!(unit(EpochUnit::Ms).number(1_700_000_000_000), Ok(at));
        assert_eq!(unit(EpochUnit::Us).number(at), Ok(at));
        assert_eq!(unit(EpochUnit::Ns).number(at * 1_000 + 999), Ok(at));
        assert!(unit(EpochUnit::S).number(i64::MAX).is_err());
        assert_eq!(unit(EpochUnit::S).days(1), Ok(86_400_000_000));
        assert_eq!(unit(EpochUnit::S).local_micros(at), Ok(at));
        // Summer time began at midnight there.
        let sao_paulo = TimeParser { zone: Some(chrono_tz::America::Sao_Paulo), ..TimeParser::default() };
        assert_eq!(sao_paulo.text("2018-11-04"), sao_paulo.text("2018-11-04T01:00:00"));
    }
}

//! Points in time as users write them: a date, a time, `2h` ago, `yesterday`.

use std::fmt;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// What relative and local times refer to; one for a whole statement.
#[derive(Debug, Clone, Copy)]
pub struct QueryClock {
    pub zone: Tz,
    pub now: DateTime<Utc>,
}

impl QueryClock {
    pub fn system(zone: Tz) -> Self {
        Self { zone, now: Utc::now() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeExpression {
    Date(NaiveDate),
    /// 0 is today.
    DaysAgo(u64),
    Time(DateTime<Utc>),
    /// In the zone of the clock.
    Local(NaiveDateTime),
    Ago(TimeDelta),
}

/// A day or an instant, with nothing left that depends on the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query) enum ResolvedTime {
    Date(NaiveDate),
    Time(DateTime<Utc>),
}

impl TimeExpression {
    /// # Errors
    /// The text is none of the forms.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "now" => return Ok(Self::Ago(TimeDelta::zero())),
            "today" => return Ok(Self::DaysAgo(0)),
            "yesterday" => return Ok(Self::DaysAgo(1)),
            _ => {}
        }
        if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return Ok(Self::Date(date));
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Time(time.to_utc()));
        }
        let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
        if let Some(local) = local {
            return Ok(Self::Local(local));
        }
        let ago = humantime::parse_duration(text).ok().and_then(|duration| TimeDelta::from_std(duration).ok());
        ago.map(Self::Ago).ok_or_else(|| {
            format!("'{text}' is neither a date nor a time: write 2026-11-20, 2026-11-20T14:30:00Z, yesterday or 2h")
        })
    }

    /// # Errors
    /// A local time that the zone skips or repeats, or one out of range.
    pub(in crate::query) fn fix(self, clock: &QueryClock) -> Result<ResolvedTime, String> {
        let out_of_range = || format!("{self} is too far away");
        let fixed = match self {
            Self::Date(date) => ResolvedTime::Date(date),
            Self::DaysAgo(days) => {
                let today = clock.now.with_timezone(&clock.zone).date_naive();
                ResolvedTime::Date(today.checked_sub_days(Days::new(days)).ok_or_else(out_of_range)?)
            }
            Self::Time(time) => ResolvedTime::Time(time),
            Self::Local(local) => ResolvedTime::Time(local_instant(local, clock.zone)?),
            Self::Ago(ago) => ResolvedTime::Time(clock.now.checked_sub_signed(ago).ok_or_else(out_of_range)?),
        };
        let year = match fixed {
            ResolvedTime::Date(date) => date.year(),
            ResolvedTime::Time(time) => time.year(),
        };
        // A day more or less is still a time then.
        if (1..9_999).contains(&year) { Ok(fixed) } else { Err(out_of_range()) }
    }

    /// As [`Self::fix`]; a day is its midnight in the zone of the clock.
    ///
    /// # Errors
    /// As [`Self::fix`].
    pub fn instant(self, clock: &QueryClock) -> Result<DateTime<Utc>, String> {
        match self.fix(clock)? {
            ResolvedTime::Time(time) => Ok(time),
            ResolvedTime::Date(date) => local_instant(date.and_time(NaiveTime::MIN), clock.zone),
        }
    }
}

fn local_instant(local: NaiveDateTime, zone: Tz) -> Result<DateTime<Utc>, String> {
    let instant = zone.from_local_datetime(&local).single().map(|time| time.to_utc());
    instant.ok_or_else(|| format!("'{local}' does not name one instant in {zone}: write it with its offset"))
}

impl fmt::Display for TimeExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date(date) => write!(f, "{date}"),
            Self::DaysAgo(0) => f.write_str("today"),
            Self::DaysAgo(1) => f.write_str("yesterday"),
            Self::DaysAgo(days) => write!(f, "{days} days ago"),
            Self::Time(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            Self::Local(local) => write!(f, "{}", local.format("%Y-%m-%dT%H:%M:%S%.f")),
            Self::Ago(ago) => write!(f, "{}", humantime::format_duration(ago.to_std().unwrap_or_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_the_zone_of_the_clock() {
        let time = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
        let clock = QueryClock { zone: chrono_tz::America::New_York, now: time("2026-07-02T02:00:00Z") };
        for (text, instant) in [
            ("2026-07-01T09:30", "2026-07-01T13:30:00Z"),
            ("2026-07-01 09:30:00.5", "2026-07-01T13:30:00.5Z"),
            ("2026-07-01T09:30:00+02:00", "2026-07-01T07:30:00Z"),
            ("2026-07-01", "2026-07-01T04:00:00Z"),
            ("today", "2026-07-01T04:00:00Z"),
            ("yesterday", "2026-06-30T04:00:00Z"),
            ("2h", "2026-07-02T00:00:00Z"),
            ("1d 30m", "2026-07-01T01:30:00Z"),
            ("now", "2026-07-02T02:00:00Z"),
        ] {
            assert_eq!(TimeExpression::parse(text).unwrap().instant(&clock), Ok(time(instant)), "{text}");
        }
        let yesterday = TimeExpression::parse("yesterday").unwrap().fix(&clock);
        assert_eq!(yesterday, Ok(ResolvedTime::Date("2026-06-30".parse().unwrap())));
        assert!(TimeExpression::parse("2026-11-01T01:30").unwrap().fix(&clock).unwrap_err().contains("offset"));
        for far in ["-262143-01-01", "+262142-12-31", "0000-12-31", "9999-01-01", "+262142-12-31T23:59:59Z"] {
            let fixed = TimeExpression::parse(far).and_then(|moment| moment.fix(&clock));
            assert!(fixed.as_ref().is_err(), "{far}: {fixed:?}");
        }
        assert!(TimeExpression::parse("100000y").unwrap().fix(&clock).is_err_and(|problem| problem.contains("far")));
        for wrong in ["", "20260701", "5", "2 parsecs", "-2h", "2026-13-01"] {
            assert!(TimeExpression::parse(wrong).unwrap_err().contains("2026-11-20"), "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_reads_as_the_same() {
        for text in ["2026-07-01", "today", "yesterday", "7days", "2h", "2026-07-01T09:30:00Z", "2026-07-01T09:30:00"] {
            let moment = TimeExpression::parse(text).unwrap();
            assert_eq!(TimeExpression::parse(&moment.to_string()), Ok(moment));
        }
    }
}

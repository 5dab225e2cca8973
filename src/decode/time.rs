//! Converts event times, which are numbers in a unit or text, to microseconds since the epoch in UTC.

use chrono::{Duration, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;

use crate::decode::field_source::TimeUnit;
use crate::decode::json::number::JsonNumber;
use crate::decode::time_format::{TimeFormat, WrittenTime, without_leap_second};
use crate::decode::verdict::{Coercions, Rejection, RejectionReason};
use crate::market::{EARLIEST_MICROS as EARLIEST, LATEST_MICROS as LATEST};

const SECOND: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
/// Smallest number that is read as microseconds: it stands for the year 5138 in milliseconds, and for 1973 in
/// microseconds.
const LEAST_MICROS: i64 = 100_000_000_000_000;
/// How far the time of a tick may be ahead of its Kafka timestamp.
const FUTURE_TOLERANCE_MILLIS: i64 = 5 * 60 * 1000;

/// Parses times according to the configuration. The caches keep intermediate results of the last message, and don't
/// change any result.
#[derive(Debug, Clone)]
pub(in crate::decode) struct TimeReader {
    unit: TimeUnit,
    /// Whether numbers of at least [`LEAST_MICROS`] are microseconds although the unit is milliseconds.
    or_micros: bool,
    format: Option<TimeFormat>,
    zone: Option<Tz>,
    date: [u8; 10],
    date_days: i64,
    local_minute: i64,
    minute_offset_seconds: i64,
}

/// The parts of a text: seconds since the epoch as if the time were UTC, the fraction, and the offset if there is one.
struct ParsedTime {
    wall_seconds: i64,
    micros: i64,
    offset_seconds: Option<i64>,
}

impl TimeReader {
    pub(in crate::decode) fn new(unit: TimeUnit, zone: Option<Tz>) -> Self {
        Self {
            unit,
            or_micros: false,
            format: None,
            zone,
            date: *b"1970-01-01",
            date_days: 0,
            local_minute: i64::MIN,
            minute_offset_seconds: 0,
        }
    }

    /// For a feed that sends milliseconds or microseconds, depending on what the client requested.
    pub(in crate::decode) fn or_micros(self) -> Self {
        Self { or_micros: true, ..self }
    }

    /// Sets a custom format for times in text.
    pub(in crate::decode) fn with_format(self, format: Option<TimeFormat>) -> Self {
        Self { format, ..self }
    }

    pub(in crate::decode) fn unit(&self) -> TimeUnit {
        self.unit
    }

    /// Converts a number in the configured unit exactly. Digits below a microsecond are truncated. `literal` is the
    /// scanned text.
    pub(in crate::decode) fn number(
        &self,
        number: JsonNumber,
        literal: &str,
        coercions: &mut Coercions,
    ) -> Result<i64, Rejection> {
        let unit = match self.unit {
            TimeUnit::Auto => {
                coercions.auto_time_unit += 1;
                magnitude_unit(number.scaled(literal, 0))
            }
            TimeUnit::Ms if self.or_micros && number.scaled(literal, 0).is_some_and(|value| value >= LEAST_MICROS) => {
                TimeUnit::Us
            }
            unit => unit,
        };
        let power = match unit {
            TimeUnit::S => 6,
            TimeUnit::Ms => 3,
            TimeUnit::Us => 0,
            TimeUnit::Ns => -3,
            TimeUnit::Rfc3339 | TimeUnit::Naive | TimeUnit::Auto => {
                return Err(Rejection::new(
                    RejectionReason::Type,
                    "ts: a number where a date and time belongs; set input.time_unit",
                ));
            }
        };
        let micros = number.scaled(literal, power);
        micros.ok_or(Rejection::new(RejectionReason::TsOutOfRange, "ts: beyond the range of microseconds"))
    }

    /// Parses `YYYY-MM-DDTHH:MM:SS[.fraction][offset]`, with a space allowed instead of the T. If the offset is
    /// missing, the configured zone applies.
    pub(in crate::decode) fn text(&mut self, text: &str, coercions: &mut Coercions) -> Result<i64, Rejection> {
        if let Some(format) = &self.format {
            let written = format
                .read(text)
                .ok_or(Rejection::new(RejectionReason::TsParse, "ts: not of the form of ts_format"))?;
            return self.written(written, coercions);
        }
        let stamp = self.stamp(text.as_bytes(), coercions).ok_or(Rejection::new(
            RejectionReason::TsParse,
            "ts: not a valid YYYY-MM-DDTHH:MM:SS[.fraction][offset]",
        ))?;
        let offset = match stamp.offset_seconds {
            Some(offset) => offset,
            None => self.local_offset(stamp.wall_seconds)?,
        };
        Ok((stamp.wall_seconds - offset) * SECOND + stamp.micros)
    }

    fn written(&mut self, written: WrittenTime, coercions: &mut Coercions) -> Result<i64, Rejection> {
        let mut clamped = |local: NaiveDateTime| {
            let (time, leap) = without_leap_second(local.time());
            coercions.leap_second += u64::from(leap);
            local.date().and_time(time).and_utc().timestamp_micros()
        };
        match written {
            WrittenTime::Instant(instant) => Ok(clamped(instant.naive_utc())),
            WrittenTime::Local(local) => {
                let micros = clamped(local);
                Ok(micros - self.local_offset(micros.div_euclid(SECOND))? * SECOND)
            }
            WrittenTime::Day(day) => {
                let zone = self.zone.ok_or(naive())?;
                let first = |local: NaiveDateTime| zone.from_local_datetime(&local).earliest();
                let midnight = day.and_time(NaiveTime::MIN);
                // In some zones, daylight saving time begins at midnight, so midnight doesn't exist on that day.
                let instant = first(midnight).or_else(|| first(midnight + Duration::hours(1)));
                let instant = instant.ok_or_else(|| {
                    Rejection::new(RejectionReason::TsParse, format!("ts: the day does not exist in {zone}"))
                })?;
                Ok(instant.timestamp_micros())
            }
        }
    }

    #[inline]
    fn stamp(&mut self, text: &[u8], coercions: &mut Coercions) -> Option<ParsedTime> {
        let (date, rest) = text.split_first_chunk::<10>()?;
        let (clock, mut rest) = rest.split_first_chunk::<9>()?;
        if *date != self.date {
            self.date_days = days(date)?;
            self.date = *date;
        }
        let [b'T' | b't' | b' ', _, _, b':', _, _, b':', _, _] = clock else { return None };
        let (hour, minute) = (two_digits(clock, 1)?, two_digits(clock, 4)?);
        let mut second = two_digits(clock, 7)?;
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let mut micros = 0;
        if let [b'.', fraction @ ..] = rest {
            let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if length == 0 {
                return None;
            }
            let digits = fraction[..length].iter().map(|byte| i64::from(byte - b'0'));
            for digit in digits.chain(std::iter::repeat(0)).take(6) {
                micros = micros * 10 + digit;
            }
            rest = &fraction[length..];
        }
        if second == 60 {
            coercions.leap_second += 1;
            second = 59;
            micros = SECOND - 1;
        }
        let wall_seconds = self.date_days * DAY_SECONDS + hour * 3_600 + minute * 60 + second;
        Some(ParsedTime { wall_seconds, micros, offset_seconds: offset(rest)? })
    }

    /// The offset of a local time. It is constant within a minute, because offsets have changed only at full minutes
    /// since long before [`EARLIEST`].
    fn local_offset(&mut self, wall_seconds: i64) -> Result<i64, Rejection> {
        let Some(zone) = self.zone else {
            return Err(naive());
        };
        let minute = wall_seconds.div_euclid(60);
        if minute == self.local_minute {
            return Ok(self.minute_offset_seconds);
        }
        let local = chrono::DateTime::from_timestamp(wall_seconds, 0)
            .ok_or(Rejection::new(RejectionReason::TsOutOfRange, "ts: beyond the range of dates"))?
            .naive_utc();
        match zone.from_local_datetime(&local) {
            LocalResult::Single(instant) => {
                self.minute_offset_seconds = wall_seconds - instant.timestamp();
                self.local_minute = minute;
                Ok(self.minute_offset_seconds)
            }
            LocalResult::Ambiguous(..) => Err(Rejection::new(
                RejectionReason::AmbiguousTs,
                format!("ts: local time occurs twice in {zone}; send an offset"),
            )),
            LocalResult::None => {
                Err(Rejection::new(RejectionReason::TsParse, format!("ts: local time does not exist in {zone}")))
            }
        }
    }
}

fn naive() -> Rejection {
    Rejection::new(RejectionReason::NaiveTs, "ts: local time without an offset; set input.zone")
}

/// Checks that an event time is in the accepted range. Future times are detected by comparison with the Kafka
/// timestamp, never with a clock.
#[inline]
pub(in crate::decode) fn check_range(ts: i64, kafka_millis: Option<i64>) -> Result<(), Rejection> {
    if ts < EARLIEST {
        return Err(Rejection::new(RejectionReason::TsOutOfRange, "ts: before 1990"));
    }
    if let Some(kafka_millis) = kafka_millis
        && ts > kafka_millis.saturating_add(FUTURE_TOLERANCE_MILLIS).saturating_mul(1_000)
    {
        return Err(Rejection::new(RejectionReason::TsFuture, "ts: more than 5 minutes after the Kafka timestamp"));
    }
    if ts >= LATEST {
        return Err(Rejection::new(RejectionReason::TsOutOfRange, "ts: after 2261"));
    }
    Ok(())
}

/// The unit of a number, derived from ranges that don't overlap for times from 1990 to 5138. `None` is a number beyond
/// 64 bits.
fn magnitude_unit(value: Option<i64>) -> TimeUnit {
    match value.map_or(u64::MAX, i64::unsigned_abs) {
        0..100_000_000_000 => TimeUnit::S,
        100_000_000_000..100_000_000_000_000 => TimeUnit::Ms,
        100_000_000_000_000..100_000_000_000_000_000 => TimeUnit::Us,
        _ => TimeUnit::Ns,
    }
}

#[inline]
fn two_digits(text: &[u8], at: usize) -> Option<i64> {
    let tens = text[at].wrapping_sub(b'0');
    let ones = text[at + 1].wrapping_sub(b'0');
    (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
}

fn days(date: &[u8; 10]) -> Option<i64> {
    let [_, _, _, _, b'-', _, _, b'-', _, _] = date else { return None };
    let year = two_digits(date, 0)? * 100 + two_digits(date, 2)?;
    let (month, day) = (two_digits(date, 5)?, two_digits(date, 8)?);
    let date = NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32)?;
    Some((date - NaiveDate::default()).num_days())
}

/// Parses `Z`, `+hh:mm`, `+hhmm` or `+hh` to seconds. The inner `None` means that there is no offset.
fn offset(text: &[u8]) -> Option<Option<i64>> {
    let sign = match text {
        [] => return Some(None),
        [b'Z' | b'z'] => return Some(Some(0)),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    let minutes_at = match text {
        [_, _, _] => None,
        [_, _, _, _, _] => Some(3),
        [_, _, _, b':', _, _] => Some(4),
        _ => return None,
    };
    let hours = two_digits(text, 1)?;
    let minutes = match minutes_at {
        Some(at) => two_digits(text, at)?,
        None => 0,
    };
    (hours < 24 && minutes < 60).then_some(Some(sign * (hours * 3_600 + minutes * 60)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(zone: Option<Tz>, text: &str) -> Result<i64, RejectionReason> {
        TimeReader::new(TimeUnit::Rfc3339, zone)
            .text(text, &mut Coercions::default())
            .map_err(|rejection| rejection.reason)
    }

    proptest! {
        #[test]
        fn agrees_with_chrono(micros in 0i64..4_000_000_000_000_000, minutes in -839i32..=839) {
            let offset = chrono::FixedOffset::east_opt(minutes * 60).unwrap();
            let text = offset.timestamp_micros(micros).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
            prop_assert_eq!(read(None, &text), Ok(micros));
            prop_assert_eq!(read(None, &text.replace('T', " ")), Ok(micros));
        }

        #[test]
        fn never_panics(text in "[0-9T:.+Z -]{0,40}") {
            let _ignored = read(Some(Tz::UTC), &text);
        }
    }

    #[test]
    fn forms() {
        let at = 1_700_000_000_000_000; // 2023-11-14T22:13:20Z
        for text in [
            "2023-11-14T22:13:20Z",
            "2023-11-14t22:13:20z",
            "2023-11-14 22:13:20.000000999+00:00",
            "2023-11-14T23:13:20+0100",
            "2023-11-15T03:43:20+05:30",
            "2023-11-14T20:13:20-02",
        ] {
            assert_eq!(read(None, text), Ok(at), "{text}");
        }
        for text in [
            "2024-02-30T00:00:00Z",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:60:00Z",
            "2023-11-14T22:13:61Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20+1",
            "2023-11-14T22:13:20+24:00",
            "2023-11-14T22:13:20 Z",
            "2023-11-14",
            "14.11.2023 22:13:20",
            "2023-11-14T22:13Z",
            "",
        ] {
            assert_eq!(read(Some(Tz::UTC), text), Err(RejectionReason::TsParse), "{text}");
        }
        assert_eq!(read(None, "2016-12-31T23:59:60Z"), Ok(1_483_228_799_999_999));
    }

    #[test]
    fn naive_times_need_a_zone_and_a_single_meaning() {
        let new_york = Some(chrono_tz::America::New_York);
        assert_eq!(read(None, "2023-11-14T22:13:20"), Err(RejectionReason::NaiveTs));
        assert_eq!(read(Some(Tz::Asia__Kolkata), "2023-11-15 03:43:20"), Ok(1_700_000_000_000_000));
        assert_eq!(read(new_york, "2024-11-03T01:30:00"), Err(RejectionReason::AmbiguousTs));
        assert_eq!(read(new_york, "2024-11-03T01:30:00-04:00"), Ok(1_730_611_800_000_000));
        assert_eq!(read(new_york, "2024-03-10T02:30:00"), Err(RejectionReason::TsParse));
    }

    #[test]
    fn the_cached_minute_ends_at_a_change_of_offset() {
        let mut reader = TimeReader::new(TimeUnit::Naive, Some(chrono_tz::America::New_York));
        let mut read = |text: &str| reader.text(text, &mut Coercions::default()).map_err(|rejection| rejection.reason);
        assert_eq!(read("2024-11-03 00:59:59"), Ok(1_730_609_999_000_000));
        assert_eq!(read("2024-11-03 01:00:00"), Err(RejectionReason::AmbiguousTs));
        assert_eq!(read("2024-11-03 02:00:00"), Ok(1_730_617_200_000_000));
    }

    #[test]
    fn units() {
        let scale = |unit, value| {
            let literal = i64::to_string(&value);
            let (number, _) = JsonNumber::scan(literal.as_bytes(), 0).unwrap();
            let read = TimeReader::new(unit, None).number(number, &literal, &mut Coercions::default());
            read.map_err(|rejection| rejection.reason)
        };
        let at = 1_700_000_000_000_000;
        assert_eq!(scale(TimeUnit::S, 1_700_000_000), Ok(at));
        assert_eq!(scale(TimeUnit::Ms, 1_700_000_000_000), Ok(at));
        assert_eq!(scale(TimeUnit::Us, at), Ok(at));
        assert_eq!(scale(TimeUnit::Ns, 1_700_000_000_000_000_999), Ok(at));
        for value in [1_700_000_000, 1_700_000_000_000, at, 1_700_000_000_000_000_000] {
            assert_eq!(scale(TimeUnit::Auto, value), Ok(at));
        }
        assert_eq!(scale(TimeUnit::S, i64::MAX), Err(RejectionReason::TsOutOfRange));
        assert_eq!(scale(TimeUnit::Rfc3339, 1), Err(RejectionReason::Type));
    }

    #[test]
    fn days_begin_in_the_zone() {
        let day = |zone, text: &str| {
            let mut reader =
                TimeReader::new(TimeUnit::Rfc3339, zone).with_format(Some(TimeFormat::new("%Y-%m-%d").unwrap()));
            reader.text(text, &mut Coercions::default()).map_err(|rejection| rejection.reason)
        };
        let new_york = Some(chrono_tz::America::New_York);
        assert_eq!(day(new_york, "2023-11-14"), Ok(1_699_938_000_000_000));
        assert_eq!(day(Some(Tz::UTC), "2023-11-14"), Ok(1_699_920_000_000_000));
        // In this zone, daylight saving time began at midnight on that day.
        assert_eq!(day(Some(chrono_tz::America::Sao_Paulo), "2018-11-04"), Ok(1_541_300_400_000_000));
        assert_eq!(day(None, "2023-11-14"), Err(RejectionReason::NaiveTs));
        assert_eq!(day(new_york, "2023-11-14T00:00:00Z"), Err(RejectionReason::TsParse));
        assert_eq!(day(new_york, "2023-02-30"), Err(RejectionReason::TsParse));
    }

    #[test]
    fn bounds() {
        let reason = |ts, kafka| check_range(ts, kafka).map_err(|rejection| rejection.reason);
        assert_eq!(reason(EARLIEST - 1, None), Err(RejectionReason::TsOutOfRange));
        assert_eq!(reason(EARLIEST, None), Ok(()));
        assert_eq!(reason(LATEST, None), Err(RejectionReason::TsOutOfRange));
        let kafka = 1_700_000_000_000;
        assert_eq!(reason((kafka + 300_000) * 1_000, Some(kafka)), Ok(()));
        assert_eq!(reason((kafka + 300_000) * 1_000 + 1, Some(kafka)), Err(RejectionReason::TsFuture));
        assert_eq!(reason((kafka + 300_000) * 1_000 + 1, None), Ok(()));
        assert_eq!(reason(LATEST - 1, Some(i64::MAX)), Ok(()));
    }
}

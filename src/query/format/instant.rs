//! Dates and times as ISO 8601 text, over the whole range of their types.
//!
//! chrono ends at the year 262142, while 64 bits of microseconds reach the year 294247: such values exist in tables of
//! careless writers, and a result that holds one must stay readable in every format.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringArray};
use arrow::datatypes::{
    ArrowTimestampType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;
use chrono::{DateTime, NaiveDateTime, SecondsFormat};
use chrono_tz::Tz;

const SECONDS_OF_DAY: i64 = 86_400;
const MILLISECONDS_OF_DAY: i64 = SECONDS_OF_DAY * 1_000;

/// Instants in `zone`, with its offset; local times, which have no zone, without an offset.
pub(super) fn timestamps(column: &ArrayRef, unit: TimeUnit, zone: Option<Tz>) -> StringArray {
    match unit {
        TimeUnit::Second => texts_of::<TimestampSecondType>(column.as_primitive(), 1, zone),
        TimeUnit::Millisecond => texts_of::<TimestampMillisecondType>(column.as_primitive(), 1_000, zone),
        TimeUnit::Microsecond => texts_of::<TimestampMicrosecondType>(column.as_primitive(), 1_000_000, zone),
        TimeUnit::Nanosecond => texts_of::<TimestampNanosecondType>(column.as_primitive(), 1_000_000_000, zone),
    }
}

/// # Errors
/// The column holds no dates.
pub(super) fn dates(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    if let Some(days) = column.as_primitive_opt::<Date32Type>() {
        return Ok(days.iter().map(|days| days.map(|days| date(i64::from(days)))).collect());
    }
    let milliseconds = column
        .as_primitive_opt::<Date64Type>()
        .ok_or_else(|| ArrowError::CastError(format!("{} is no date", column.data_type())))?;
    Ok(milliseconds.iter().map(|value| value.map(|value| date(value.div_euclid(MILLISECONDS_OF_DAY)))).collect())
}

fn texts_of<T: ArrowTimestampType>(column: &PrimitiveArray<T>, per_second: i64, zone: Option<Tz>) -> StringArray {
    column.iter().map(|value| value.map(|value| timestamp(value, per_second, zone))).collect()
}

fn timestamp(value: i64, per_second: i64, zone: Option<Tz>) -> String {
    let (seconds, fraction) = (value.div_euclid(per_second), value.rem_euclid(per_second));
    let nanoseconds = fraction * (1_000_000_000 / per_second);
    let instant = u32::try_from(nanoseconds).ok().and_then(|nanos| DateTime::from_timestamp(seconds, nanos));
    // Near the ends of chrono's range an offset leads out of it.
    let is_near_end = seconds.unsigned_abs() > 8_210_000_000_000;
    match (instant.filter(|_| !is_near_end), zone) {
        (Some(instant), Some(zone)) => instant.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::AutoSi, true),
        (Some(instant), None) => local(instant.naive_utc()),
        (None, zone) => {
            let second = seconds.rem_euclid(SECONDS_OF_DAY);
            let (hour, minute) = (second / 3_600, second / 60 % 60);
            let day = date(seconds.div_euclid(SECONDS_OF_DAY));
            let fraction = if nanoseconds == 0 { String::new() } else { format!(".{nanoseconds:09}") };
            let utc = if zone.is_some() { "Z" } else { "" };
            format!("{day}T{hour:02}:{minute:02}:{:02}{}{utc}", second % 60, fraction.trim_end_matches('0'))
        }
    }
}

fn local(time: NaiveDateTime) -> String {
    let text = time.and_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true);
    text.strip_suffix('Z').map_or_else(|| text.clone(), str::to_owned)
}

/// The date of the proleptic Gregorian calendar that is so many days after 1970-01-01: a cycle of it has 146,097 days
/// in 400 years, and a year that begins with March has its leap day at the end.
fn date(days: i64) -> String {
    let from_march_of_0 = i128::from(days) + 719_468;
    let (cycle, day_of_cycle) = (from_march_of_0.div_euclid(146_097), from_march_of_0.rem_euclid(146_097));
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = cycle * 400 + year_of_cycle + i128::from(month <= 2);
    match year {
        0..=9_999 => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:+05}-{month:02}-{day:02}"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};

    use super::*;

    #[test]
    fn dates_are_those_of_chrono_where_it_has_them() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        for days in
            (-800_000..2_900_000).step_by(7).chain([-719_529, -719_528, 0, 59, 60, 11_016, 2_932_896, 2_932_897])
        {
            let day = epoch + chrono::TimeDelta::days(days);
            let year = match day.year() {
                year @ 0..=9_999 => format!("{year:04}"),
                year => format!("{year:+05}"),
            };
            assert_eq!(date(days), format!("{year}-{:02}-{:02}", day.month(), day.day()), "{days}");
        }
        assert_eq!(date(-719_529), "-0001-12-31");
    }

    #[test]
    fn times_are_whole_at_the_ends_of_their_types() {
        let new_york = Some(chrono_tz::America::New_York);
        for (value, per_second, zone, expected) in [
            (i64::MAX, 1_000_000, Some(Tz::UTC), "+294247-01-10T04:00:54.775807Z"),
            (i64::MAX, 1_000_000, new_york, "+294247-01-10T04:00:54.775807Z"),
            (i64::MIN, 1_000_000, None, "-290308-12-21T19:59:05.224192"),
            (i64::MAX, 1_000_000_000, Some(Tz::UTC), "2262-04-11T23:47:16.854775807Z"),
            (i64::MAX, 1, Some(Tz::UTC), "+292277026596-12-04T15:30:07Z"),
            (0, 1_000, new_york, "1969-12-31T19:00:00-05:00"),
            (1_500, 1_000, None, "1970-01-01T00:00:01.500"),
            (-1, 1_000_000, Some(Tz::UTC), "1969-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(timestamp(value, per_second, zone), expected);
        }
    }
}

//! Times beyond the calendar of the formatters, such as a Kafka timestamp that an earlier version stored in another unit.
//! One of them must not make a whole result unprintable, so a batch that has any gets the column as text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

const DAY_SECONDS: i128 = 86_400;
/// Seconds from 1970 to the year 262,000, and back: chrono's calendar ends a little later.
const CALENDAR_SECONDS: i128 = 260_000 * 31_556_952;

/// The column as text if it holds a time that can't be formatted.
pub(super) fn as_text(column: &ArrayRef) -> Result<Option<ArrayRef>, ArrowError> {
    let DataType::Timestamp(unit, _) = column.data_type() else { return Ok(None) };
    let per_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => return Ok(None),
    };
    let raw = cast(column, &DataType::Int64)?;
    let raw = raw.as_primitive::<Int64Type>();
    let is_far = |value: i64| (i128::from(value) / i128::from(per_second)).abs() >= CALENDAR_SECONDS;
    if !raw.iter().flatten().any(is_far) {
        return Ok(None);
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(column, &options)?;
    let texts = raw.iter().enumerate().map(|(row, value)| match value {
        None => Ok(None),
        Some(value) if is_far(value) => Ok(Some(iso8601(value, per_second))),
        Some(_) => formatter.value(row).try_to_string().map(Some),
    });
    Ok(Some(Arc::new(texts.collect::<Result<StringArray, ArrowError>>()?)))
}

/// With a signed year of as many digits as it takes, in UTC.
fn iso8601(value: i64, per_second: i64) -> String {
    let (value, per_second) = (i128::from(value), i128::from(per_second));
    let (seconds, fraction) = (value.div_euclid(per_second), value.rem_euclid(per_second));
    let (days, second) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
    let (year, month, day) = civil(days);
    let digits = per_second.ilog10() as usize;
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:0digits$}") };
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:+}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Year, month and day of days since 1970-01-01, in the proleptic Gregorian calendar whose years begin in March.
fn civil(days: i128) -> (i128, i128, i128) {
    const ERA_DAYS: i128 = 146_097;
    const MARCH_OF_YEAR_0: i128 = -719_468;
    let days = days - MARCH_OF_YEAR_0;
    let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i128::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use arrow::array::TimestampMicrosecondArray;
    use chrono::{DateTime, Datelike};

    use super::*;

    #[test]
    fn the_ends_of_64_bits() {
        assert_eq!(iso8601(i64::MAX, 1_000_000), "+294247-01-10T04:00:54.775807Z");
        assert_eq!(iso8601(i64::MIN, 1_000_000), "-290308-12-21T19:59:05.224192Z");
        assert_eq!(iso8601(i64::MAX, 1), "+292277026596-12-04T15:30:07Z");
    }

    #[test]
    fn dates_are_those_of_chrono_where_it_has_them() {
        for days in (-90_000_000i64..90_000_000).step_by(9_973) {
            let date = DateTime::from_timestamp(days * 86_400, 0).unwrap().date_naive();
            let expected = (i128::from(date.year()), i128::from(date.month()), i128::from(date.day()));
            assert_eq!(civil(i128::from(days)), expected);
        }
    }

    #[test]
    fn only_a_column_with_such_a_time_becomes_text() {
        let column = |values: Vec<Option<i64>>| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
        };
        assert!(as_text(&column(vec![Some(0), None, Some(i64::MAX / 40)])).unwrap().is_none());
        let text = as_text(&column(vec![Some(0), None, Some(i64::MAX)])).unwrap().unwrap();
        let texts: Vec<Option<&str>> = text.as_string::<i32>().iter().collect();
        assert_eq!(texts, [Some("1970-01-01T00:00:00Z"), None, Some("+294247-01-10T04:00:54.775807Z")]);
    }
}

//! The market's time zone: event time -> trade date, and the partition value made of it.

use std::fmt;

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;
use clap::ValueEnum;

use super::LocalClock;

/// Days from 0001-01-01 (chrono's common era) to 1970-01-01 (Arrow's Date32).
pub const EPOCH_DAYS_FROM_CE: i32 = 719_163;

const DAY_MICROS: i64 = 24 * 3_600_000_000;

/// An IANA zone that turns event times into trade dates.
#[derive(Debug, Clone)]
pub struct MarketZone {
    clock: LocalClock,
}

impl MarketZone {
    pub fn new(tz: Tz) -> Self {
        Self { clock: LocalClock::new(tz) }
    }

    /// Exchange-local date of an event time, as days since 1970-01-01. `ts` in microseconds UTC,
    /// between the years 1700 and 2262.
    pub fn trade_date(&mut self, ts: i64) -> i32 {
        self.clock.local(ts).unwrap_or(ts).div_euclid(DAY_MICROS) as i32
    }
}

/// How `ticks` is partitioned. The partition value is a pure function of the trade date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum PartitionBy {
    Day,
    Month,
    Year,
}

impl PartitionBy {
    /// Name of the partition column.
    pub fn column(self) -> &'static str {
        match self {
            Self::Day => "trade_date",
            Self::Month => "trade_month",
            Self::Year => "trade_year",
        }
    }

    /// The partitioning whose column has this name.
    pub fn of_column(name: &str) -> Option<Self> {
        [Self::Day, Self::Month, Self::Year].into_iter().find(|by| by.column() == name)
    }

    /// First day of the partition that holds `trade_date`; both are days since 1970-01-01.
    pub fn value(self, trade_date: i32) -> i32 {
        let Some(date) = NaiveDate::from_num_days_from_ce_opt(trade_date + EPOCH_DAYS_FROM_CE) else {
            return trade_date;
        };
        let first = match self {
            Self::Day => Some(date),
            Self::Month => date.with_day(1),
            Self::Year => date.with_ordinal(1),
        };
        first.map_or(trade_date, |first| first.num_days_from_ce() - EPOCH_DAYS_FROM_CE)
    }
}

impl fmt::Display for PartitionBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("no unit is hidden").get_name())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn date(days: i32) -> NaiveDate {
        NaiveDate::from_num_days_from_ce_opt(days + EPOCH_DAYS_FROM_CE).unwrap()
    }

    #[test]
    fn trade_date_is_local_and_agrees_with_chrono_around_every_offset_change() {
        for tz in [chrono_tz::America::New_York, chrono_tz::Asia::Kolkata, chrono_tz::Australia::Lord_Howe, Tz::UTC] {
            let mut zone = MarketZone::new(tz);
            for quarter_hour in 0..(400 * 96) {
                let ts = 1_704_067_200_000_000 + quarter_hour * 900_000_000 + 1;
                let local = tz.timestamp_micros(ts).unwrap().date_naive();
                assert_eq!(date(zone.trade_date(ts)), local, "{tz} {ts}");
            }
        }
    }

    #[test]
    fn partition_values_are_first_days() {
        let day = NaiveDate::from_ymd_opt(2024, 8, 15).unwrap().num_days_from_ce() - EPOCH_DAYS_FROM_CE;
        assert_eq!(date(PartitionBy::Day.value(day)).to_string(), "2024-08-15");
        assert_eq!(date(PartitionBy::Month.value(day)).to_string(), "2024-08-01");
        assert_eq!(date(PartitionBy::Year.value(day)).to_string(), "2024-01-01");
    }
}

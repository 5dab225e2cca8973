//! Local times of a time zone.

use chrono::{Offset, TimeZone};
use chrono_tz::Tz;

const MICROS: i64 = 1_000_000;
/// Since 1990 zones change their offset at full quarters of an hour UTC only.
const SLOT: i64 = 900 * MICROS;

/// Converts event times to local times; caches the offset of the last quarter of an hour.
#[derive(Debug, Clone)]
pub struct LocalClock {
    tz: Tz,
    slot: i64,
    offset_micros: i64,
}

impl LocalClock {
    pub fn new(tz: Tz) -> Self {
        Self { tz, slot: i64::MIN, offset_micros: 0 }
    }

    /// Local time in microseconds since 1970-01-01 00:00 local time. `None` beyond the range of dates.
    pub fn local(&mut self, ts: i64) -> Option<i64> {
        let slot = ts.div_euclid(SLOT);
        if slot != self.slot {
            let utc = chrono::DateTime::from_timestamp_micros(ts)?.naive_utc();
            let offset = self.tz.offset_from_utc_datetime(&utc).fix().local_minus_utc();
            self.offset_micros = i64::from(offset) * MICROS;
            self.slot = slot;
        }
        ts.checked_add(self.offset_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_change_with_the_season() {
        let mut clock = LocalClock::new(chrono_tz::America::New_York);
        let local = |clock: &mut LocalClock, text: &str| {
            let ts = chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
            chrono::DateTime::from_timestamp_micros(clock.local(ts).unwrap()).unwrap().naive_utc().to_string()
        };
        assert_eq!(local(&mut clock, "2024-11-03T05:59:59Z"), "2024-11-03 01:59:59");
        assert_eq!(local(&mut clock, "2024-11-03T06:00:00Z"), "2024-11-03 01:00:00");
        assert_eq!(local(&mut clock, "2024-03-10T07:00:00Z"), "2024-03-10 03:00:00");
        assert_eq!(clock.local(i64::MAX), None);
    }
}

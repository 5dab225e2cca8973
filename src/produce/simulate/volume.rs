//! How much is traded at which time of the day.

const MICROS: i64 = 1_000_000;
const DAY_MICROS: i64 = 86_400 * MICROS;
/// 09:30 and 16:00 on the exchange's clock.
const OPEN: i64 = (9 * 60 + 30) * 60 * MICROS;
const CLOSE: i64 = 16 * 3_600 * MICROS;
/// Of the session's mean, before the opening and after the close.
const OUTSIDE: f64 = 0.15;

/// Volume at a local time, relative to the mean of the session: U-shaped, 2.0 at the opening and the close, 0.5 at
/// the middle, its mean over the session is 1.
pub(super) fn intraday_factor(local_micros: i64) -> f64 {
    let time = local_micros.rem_euclid(DAY_MICROS);
    if !(OPEN..CLOSE).contains(&time) {
        return OUTSIDE;
    }
    let position = (time - OPEN) as f64 / (CLOSE - OPEN) as f64;
    let distance = 2.0 * position - 1.0;
    0.5 + 1.5 * distance * distance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_u_shaped_around_its_mean() {
        let at = |hour: i64, minute: i64| intraday_factor((hour * 60 + minute) * 60 * MICROS);
        assert_eq!((at(9, 30), at(12, 45), at(9, 29), at(16, 0)), (2.0, 0.5, OUTSIDE, OUTSIDE));
        assert!(at(15, 59) > 1.98 && at(11, 0) > at(12, 0));
        let minutes = (CLOSE - OPEN) / (60 * MICROS);
        let sum: f64 = (0..minutes).map(|minute| intraday_factor(OPEN + (2 * minute + 1) * 30 * MICROS)).sum();
        assert!((sum / minutes as f64 - 1.0).abs() < 1e-4);
        assert_eq!(intraday_factor(OPEN - 3 * DAY_MICROS), 2.0);
    }
}

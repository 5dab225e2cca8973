//! JSON text without allocation: numbers, strings, times.

use std::io::Write as _;

use chrono::{DateTime, Datelike, Timelike};

const SECOND: i64 = 1_000_000;
const DIGITS: &[u8; 10] = b"0123456789";

pub(super) fn integer(out: &mut Vec<u8>, value: u64) {
    let mut buffer = [0u8; 20];
    let mut at = buffer.len();
    let mut rest = value;
    loop {
        at -= 1;
        buffer[at] = DIGITS[(rest % 10) as usize];
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&buffer[at..]);
}

/// `value` has `digits` digits, zeros in front included.
fn padded(out: &mut Vec<u8>, value: u64, digits: usize) {
    let mut buffer = [b'0'; 20];
    let mut rest = value;
    for place in buffer[..digits].iter_mut().rev() {
        *place = DIGITS[(rest % 10) as usize];
        rest /= 10;
    }
    out.extend_from_slice(&buffer[..digits]);
}

/// The shortest decimal that reads back as the same double, never with an exponent, with at least `places` digits
/// after the point. The number is finite.
pub(super) fn number(out: &mut Vec<u8>, value: f64, places: usize) {
    // Prices and volumes have few decimals: an integer divided by a power of ten is the nearest double to that
    // decimal, so if the quotient is the value, the decimal is its text.
    let magnitude = value.abs();
    if magnitude < 1e13 {
        for (digits, scale) in [(0, 1u64), (2, 100), (4, 10_000)] {
            let scaled = (magnitude * scale as f64 + 0.5) as u64;
            if scaled as f64 / scale as f64 == magnitude {
                if value < 0.0 {
                    out.push(b'-');
                }
                return decimal(out, scaled, digits, scale, places);
            }
        }
    }
    let start = out.len();
    write!(out, "{value}").expect("a vector takes all bytes");
    match out[start..].iter().position(|byte| *byte == b'.') {
        Some(point) => pad_fraction(out, out.len() - start - point - 1, places),
        None if places > 0 => {
            out.push(b'.');
            pad_fraction(out, 0, places);
        }
        None => {}
    }
}

/// `scaled / scale`, where `scale` is ten to the power of `digits`.
fn decimal(out: &mut Vec<u8>, scaled: u64, digits: usize, scale: u64, places: usize) {
    integer(out, scaled / scale);
    let (mut fraction, mut digits) = (scaled % scale, digits);
    while digits > 0 && fraction % 10 == 0 {
        fraction /= 10;
        digits -= 1;
    }
    if digits.max(places) == 0 {
        return;
    }
    out.push(b'.');
    padded(out, fraction, digits);
    pad_fraction(out, digits, places);
}

fn pad_fraction(out: &mut Vec<u8>, digits: usize, places: usize) {
    out.resize(out.len() + places.saturating_sub(digits), b'0');
}

/// A JSON string with its quotes.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("a vector takes all bytes");
    }
}

/// An identifier as a number where it is one that reads back unchanged, otherwise as a string.
pub(super) fn identifier(out: &mut Vec<u8>, text: &str) {
    let number = text.len() <= 18 && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if number && (text == "0" || !text.starts_with('0')) {
        out.extend_from_slice(text.as_bytes());
    } else {
        string(out, text);
    }
}

/// Writes `YYYY-MM-DDxHH:MM:SS`; remembers the second, as most ticks share theirs with the one before.
#[derive(Debug, Clone)]
pub(super) struct TimestampText {
    separator: u8,
    second: i64,
    text: Vec<u8>,
}

impl TimestampText {
    pub(super) fn new(separator: u8) -> Self {
        Self { separator, second: i64::MIN, text: Vec::new() }
    }

    /// Date, time and six digits of the fraction. False, with nothing written, outside of the years 1 to 9999.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, micros: i64) -> bool {
        let second = micros.div_euclid(SECOND);
        if second != self.second && !self.render(second) {
            return false;
        }
        out.extend_from_slice(&self.text);
        out.push(b'.');
        padded(out, micros.rem_euclid(SECOND) as u64, 6);
        true
    }

    fn render(&mut self, second: i64) -> bool {
        let Some(time) = DateTime::from_timestamp(second, 0) else { return false };
        let Some(year) = u64::try_from(time.year()).ok().filter(|year| (1..=9_999).contains(year)) else {
            return false;
        };
        self.second = second;
        self.text.clear();
        padded(&mut self.text, year, 4);
        let fields = [
            (b'-', time.month()),
            (b'-', time.day()),
            (self.separator, time.hour()),
            (b':', time.minute()),
            (b':', time.second()),
        ];
        for (separator, value) in fields {
            self.text.push(separator);
            padded(&mut self.text, u64::from(value), 2);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: f64, places: usize) -> String {
        let mut out = Vec::new();
        number(&mut out, value, places);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn numbers_read_back(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            prop_assert_eq!(text(value, 0).parse::<f64>().unwrap(), value);
            prop_assert_eq!(text(value, 8).parse::<f64>().unwrap(), value);
        }

        #[test]
        fn prices_read_back_in_their_shortest_form(hundredths in -10_000_000_000i64..10_000_000_000) {
            let value = hundredths as f64 / 10_000.0;
            prop_assert_eq!(text(value, 0), value.to_string());
        }

        #[test]
        fn stamps_agree_with_chrono(micros in -50_000_000_000_000_000i64..200_000_000_000_000_000) {
            let mut out = Vec::new();
            let time = DateTime::from_timestamp_micros(micros).unwrap();
            prop_assert!(TimestampText::new(b'T').write(&mut out, micros));
            prop_assert_eq!(String::from_utf8(out).unwrap(), time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string());
        }

        #[test]
        fn strings_are_valid_json(value in "\\PC*|[\\x00-\\x7f]*") {
            let mut out = Vec::new();
            string(&mut out, &value);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), value);
        }
    }

    #[test]
    fn places_are_filled() {
        for (value, places, expected) in [
            (0.02, 8, "0.02000000"),
            (61_837.63, 8, "61837.63000000"),
            (100.0, 8, "100.00000000"),
            (0.123_456_789, 8, "0.123456789"),
            (1e15, 2, "1000000000000000.00"),
            (101.5, 0, "101.5"),
            (-0.0001, 0, "-0.0001"),
            (0.0, 0, "0"),
        ] {
            assert_eq!(text(value, places), expected);
        }
    }

    #[test]
    fn identifiers_are_numbers_only_if_they_read_back() {
        let show = |text: &str| {
            let mut out = Vec::new();
            identifier(&mut out, text);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(show("123"), "123");
        assert_eq!(show("0"), "0");
        for id in ["", "007", "T1", "-5", "12345678901234567890"] {
            assert_eq!(show(id), format!("\"{id}\""));
        }
    }

    #[test]
    fn years_have_four_digits() {
        let mut out = Vec::new();
        assert!(!TimestampText::new(b'T').write(&mut out, i64::MAX));
        assert!(!TimestampText::new(b'T').write(&mut out, i64::MIN + 1));
        assert!(out.is_empty());
    }
}

//! Parses JSON number literals as doubles and integers. Results are correctly rounded, and every loss of precision is
//! counted.

use crate::decode::verdict::{Coercions, RejectionReason};

/// Limit up to which every integer has an exact double.
const EXACT_INTEGER: u64 = 1 << 53;
/// Number of decimal digits that always fit into a `u64`.
const MANTISSA_DIGITS: usize = 19;
/// Limit of explicit exponents: far beyond the range of a double, and far below an overflow of `i32`.
const EXPONENT_CAP: i32 = 1_000_000;
/// Powers of ten that are exact as doubles.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// A scanned literal with the value `mantissa * 10^exponent`, unless `long` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::decode) struct JsonNumber {
    mantissa: u64,
    exponent: i32,
    pub negative: bool,
    /// Whether the literal has neither a fraction nor an exponent.
    pub integer: bool,
    /// Whether the literal has more digits than the mantissa can hold, so that only its text is exact.
    long: bool,
}

/// Why and where a literal is not a valid number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::decode) struct InvalidNumber {
    pub at: usize,
    pub reason: RejectionReason,
}

impl JsonNumber {
    pub(in crate::decode) const ZERO: Self =
        Self { mantissa: 0, exponent: 0, negative: false, integer: true, long: false };

    /// Scans the literal that begins at `start`. Returns it together with the position after it.
    #[inline]
    pub(in crate::decode) fn scan(bytes: &[u8], start: usize) -> Result<(Self, usize), InvalidNumber> {
        let digit = |at: usize| bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10);
        let syntax = |at: usize| InvalidNumber { at, reason: RejectionReason::Syntax };
        let negative = bytes.get(start) == Some(&b'-');
        let first = start + usize::from(negative);
        let mut at = first;
        let mut mantissa = 0u64;
        while let Some(digit) = digit(at) {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            at += 1;
        }
        let mut digits = at - first;
        if digits == 0 {
            let reason = if is_non_finite_word(&bytes[first.min(bytes.len())..]) {
                RejectionReason::NonFinite
            } else {
                RejectionReason::Syntax
            };
            return Err(InvalidNumber { at, reason });
        }
        if digits > 1 && bytes[first] == b'0' {
            return Err(syntax(first));
        }
        let mut number = Self { mantissa: 0, exponent: 0, negative, integer: true, long: false };
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            let fraction = at;
            while let Some(digit) = digit(at) {
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
                at += 1;
            }
            if at == fraction {
                return Err(syntax(at));
            }
            number.integer = false;
            digits += at - fraction;
            number.exponent = -i32::try_from(at - fraction).unwrap_or(EXPONENT_CAP);
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            let below_one = bytes.get(at) == Some(&b'-');
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            let first = at;
            let mut explicit = 0i32;
            while let Some(digit) = digit(at) {
                explicit = (explicit * 10 + i32::from(digit)).min(EXPONENT_CAP);
                at += 1;
            }
            if at == first {
                return Err(syntax(at));
            }
            number.integer = false;
            number.exponent += if below_one { -explicit } else { explicit };
        }
        number.mantissa = mantissa;
        number.long = digits > MANTISSA_DIGITS;
        Ok((number, at))
    }

    /// The nearest double. `literal` is the scanned text.
    ///
    /// # Errors
    /// `NonFinite` above the range of a double, and `OutOfRange` for a non-zero literal that would round to zero.
    #[inline]
    pub(in crate::decode) fn to_f64(self, literal: &str, coercions: &mut Coercions) -> Result<f64, RejectionReason> {
        if self.integer && (self.long || self.mantissa > EXACT_INTEGER) {
            coercions.precision_loss += 1;
        }
        if !self.long && self.mantissa <= EXACT_INTEGER && self.exponent.unsigned_abs() < POWERS.len() as u32 {
            let power = POWERS[self.exponent.unsigned_abs() as usize];
            let mantissa = self.mantissa as f64;
            let value = if self.exponent < 0 { mantissa / power } else { mantissa * power };
            return Ok(if self.negative { -value } else { value });
        }
        let value: f64 = literal.parse().map_err(|_| RejectionReason::Type)?;
        if value.is_infinite() {
            return Err(RejectionReason::NonFinite);
        }
        let significand = literal.split(['e', 'E']).next().unwrap_or(literal);
        if value == 0.0 && significand.bytes().any(|byte| matches!(byte, b'1'..=b'9')) {
            return Err(RejectionReason::OutOfRange);
        }
        Ok(value)
    }

    /// The integer value of the literal. `1.0` and `1e3` are counted as coerced.
    ///
    /// # Errors
    /// `Type` for a fraction, and `OutOfRange` beyond 64 bits.
    pub(in crate::decode) fn to_i64(self, _literal: &str, coercions: &mut Coercions) -> Result<i64, RejectionReason> {
        if self.long {
            return Err(if self.integer { RejectionReason::OutOfRange } else { RejectionReason::Type });
        }
        let magnitude = if self.exponent == 0 || self.mantissa == 0 {
            self.mantissa
        } else if self.exponent > 0 {
            let power = 10u64.checked_pow(self.exponent.unsigned_abs());
            power.and_then(|power| self.mantissa.checked_mul(power)).ok_or(RejectionReason::OutOfRange)?
        } else {
            let power = 10u64.checked_pow(self.exponent.unsigned_abs()).ok_or(RejectionReason::Type)?;
            if !self.mantissa.is_multiple_of(power) {
                return Err(RejectionReason::Type);
            }
            self.mantissa / power
        };
        let signed = if self.negative { -i128::from(magnitude) } else { i128::from(magnitude) };
        let value = i64::try_from(signed).map_err(|_| RejectionReason::OutOfRange)?;
        if !self.integer {
            coercions.integral_float += 1;
        }
        Ok(value)
    }
}

impl JsonNumber {
    /// Multiplies the literal by `10^power` exactly, and truncates the result to an integer. `None` beyond 64 bits.
    #[inline]
    pub(in crate::decode) fn scaled(self, literal: &str, power: i32) -> Option<i64> {
        let magnitude = if self.long {
            self.scaled_digits(literal, power)?
        } else {
            let exponent = self.exponent.saturating_add(power);
            let factor = 10u64.checked_pow(exponent.unsigned_abs());
            match factor {
                _ if self.mantissa == 0 => 0,
                Some(factor) if exponent < 0 => self.mantissa / factor,
                Some(factor) => self.mantissa.checked_mul(factor)?,
                None if exponent < 0 => 0,
                None => return None,
            }
        };
        let magnitude = i64::try_from(magnitude).ok()?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// Computes the integer digit by digit, for literals with more digits than the mantissa can hold.
    #[cold]
    fn scaled_digits(self, literal: &str, power: i32) -> Option<u64> {
        let significand = literal.split(['e', 'E']).next().unwrap_or(literal).trim_start_matches('-');
        let (whole, fraction) = significand.split_once('.').unwrap_or((significand, ""));
        let explicit = i64::from(self.exponent) + i64::try_from(fraction.len()).ok()?;
        let kept = i64::try_from(whole.len()).ok()? + explicit + i64::from(power);
        let mut digits = whole.bytes().chain(fraction.bytes());
        let mut value = 0u64;
        for _ in 0..kept {
            value = match digits.next() {
                Some(digit) => value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?,
                None if value == 0 => break,
                None => value.checked_mul(10)?,
            };
        }
        Some(value)
    }
}

/// Scans a text that consists only of a number, as in the strings that exchanges send.
///
/// # Errors
/// `NonFinite` for NaN and infinities in upper or lower case, otherwise `Type`.
pub(in crate::decode) fn number_in_text(text: &str) -> Result<JsonNumber, RejectionReason> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match JsonNumber::scan(text.as_bytes(), 0) {
        Ok((number, end)) if end == text.len() => Ok(number),
        Ok(_) => Err(RejectionReason::Type),
        Err(_) if ["nan", "inf", "infinity"].iter().any(|word| unsigned.eq_ignore_ascii_case(word)) => {
            Err(RejectionReason::NonFinite)
        }
        Err(_) => Err(RejectionReason::Type),
    }
}

/// Parses a decimal number, multiplies it by `10^power` exactly, and truncates the result to an integer.
///
/// # Errors
/// The same as for [`number_in_text`], and `TsOutOfRange` beyond 64 bits.
pub fn scaled_decimal(text: &str, power: i32) -> Result<i64, RejectionReason> {
    number_in_text(text)?.scaled(text, power).ok_or(RejectionReason::TsOutOfRange)
}

/// Whether the text begins with a bare word that other languages write for NaN or an infinity.
pub(in crate::decode) fn is_non_finite_word(rest: &[u8]) -> bool {
    let length = rest.iter().take(9).take_while(|byte| byte.is_ascii_alphabetic()).count();
    ["nan", "inf", "infinity"].iter().any(|word| rest[..length].eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn double(literal: &str) -> Result<f64, RejectionReason> {
        let (number, end) = JsonNumber::scan(literal.as_bytes(), 0).map_err(|fault| fault.reason)?;
        assert_eq!(end, literal.len(), "{literal}");
        number.to_f64(literal, &mut Coercions::default())
    }

    fn integer(literal: &str) -> Result<i64, RejectionReason> {
        let (number, _) = JsonNumber::scan(literal.as_bytes(), 0).map_err(|fault| fault.reason)?;
        number.to_i64(literal, &mut Coercions::default())
    }

    proptest! {
        #[test]
        fn doubles_are_what_the_standard_library_reads(
            literal in "-?(0|[1-9][0-9]{0,21})(\\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?"
        ) {
            let expected: f64 = literal.parse().unwrap();
            match double(&literal) {
                Ok(value) => prop_assert_eq!(value.to_bits(), expected.to_bits()),
                Err(RejectionReason::NonFinite) => prop_assert!(expected.is_infinite()),
                Err(RejectionReason::OutOfRange) => prop_assert!(expected == 0.0),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }

        #[test]
        fn every_double_survives_its_shortest_text(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let literal = format!("{value:e}");
            prop_assert_eq!(double(&literal).unwrap().to_bits(), bits);
        }
    }

    fn scaled(literal: &str, power: i32) -> Option<i64> {
        let (number, end) = JsonNumber::scan(literal.as_bytes(), 0).unwrap();
        assert_eq!(end, literal.len(), "{literal}");
        number.scaled(literal, power)
    }

    proptest! {
        #[test]
        fn scaling_is_exact_however_the_number_is_written(
            micros in any::<i64>(), more in "[0-9]{0,30}", shift in 0i32..40,
            power in prop::sample::select(vec![6, 3, 0, -3])
        ) {
            let sign = if micros < 0 { "-" } else { "" };
            let digits = format!("{:07}", micros.unsigned_abs());
            let (whole, fraction) = digits.split_at(digits.len() - 6);
            let expected = micros.checked_neg().map(|_| micros);
            prop_assert_eq!(scaled(&format!("{sign}{whole}.{fraction}{more}"), 6), expected);
            prop_assert_eq!(scaled(&format!("{sign}{}e-{shift}", micros.unsigned_abs()), shift), expected);
            prop_assert_eq!(scaled(&format!("{sign}{}.0{more}e-6", micros.unsigned_abs()), 6), expected);
            let zeros = "0".repeat(usize::try_from(shift).unwrap());
            let shifted = format!("{sign}0.{zeros}{whole}{fraction}e{}", shift + digits.len() as i32);
            prop_assert_eq!(scaled(&shifted, 0), expected);
            let cut = format!("{sign}{}{}", micros.unsigned_abs(), "0".repeat(usize::try_from(-power.min(0)).unwrap()));
            prop_assert_eq!(scaled(&cut, power.min(0)), expected);
        }
    }

    #[test]
    fn scaling_ends_at_64_bits() {
        assert_eq!(scaled("9223372036854775807", 0), Some(i64::MAX));
        assert_eq!(scaled("9223372036854775808", 0), None);
        assert_eq!(scaled("9223372036854.775808", 6), None);
        assert_eq!(scaled("9223372036854775808999", -3), None);
        assert_eq!(scaled("9223372036854775807999", -3), Some(i64::MAX));
        assert_eq!(scaled("1e1000000", 6), None);
        assert_eq!(scaled("0e1000000", 6), Some(0));
        assert_eq!(scaled("0.00000000000000000000000e1000000", 6), Some(0));
        assert_eq!(scaled("1e-1000000", 6), Some(0));
        assert_eq!(scaled("-0.0", 6), Some(0));
    }

    #[test]
    fn integers() {
        assert_eq!(integer("9223372036854775807"), Ok(i64::MAX));
        assert_eq!(integer("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(integer("9223372036854775808"), Err(RejectionReason::OutOfRange));
        assert_eq!(integer("123456789012345678901"), Err(RejectionReason::OutOfRange));
        assert_eq!(integer("1.0"), Ok(1));
        assert_eq!(integer("1.5e1"), Ok(15));
        assert_eq!(integer("1.7"), Err(RejectionReason::Type));
        assert_eq!(integer("0e999999999999"), Ok(0));
        assert_eq!(integer("1e30"), Err(RejectionReason::OutOfRange));
    }

    #[test]
    fn limits_of_doubles() {
        assert_eq!(double("1e400"), Err(RejectionReason::NonFinite));
        assert_eq!(double("1e-400"), Err(RejectionReason::OutOfRange));
        assert_eq!(double("0e400"), Ok(0.0));
        assert_eq!(double("9223372036854775808"), Ok(9_223_372_036_854_775_808.0));
        assert_eq!(double("100000000000000000000"), Ok(1e20));
        assert_eq!(double(&"9".repeat(400)), Err(RejectionReason::NonFinite));
        assert!(double("-0.0").unwrap().is_sign_negative());
        let mut coercions = Coercions::default();
        let literal = "9007199254740993";
        let (number, _) = JsonNumber::scan(literal.as_bytes(), 0).unwrap();
        assert_eq!(number.to_f64(literal, &mut coercions), Ok(9_007_199_254_740_992.0));
        assert_eq!(coercions.precision_loss, 1);
    }

    #[test]
    fn words_are_never_numbers() {
        for word in ["NaN", "inf", "-Infinity", "+inf", "nan"] {
            assert_eq!(number_in_text(word), Err(RejectionReason::NonFinite), "{word}");
        }
        for text in ["", "1,234.5", "0x10", "1_000", " 1", "1 ", "+1", ".5", "1.", "01", "infinit", "1e"] {
            assert_eq!(number_in_text(text), Err(RejectionReason::Type), "{text}");
        }
    }
}

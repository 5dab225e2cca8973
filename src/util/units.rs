//! Sizes and durations as people write them: `64MiB`, `10s`.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, Serializer};

/// Bytes of a text such as `512MiB`, `1.5 GiB`, `64 MB` or `1048576`.
///
/// # Errors
/// The text is not a size; the error shows the format.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    // A unit without its B is of 1,000 to some programs, and of 1,024 to others.
    let is_clear = trimmed.ends_with(|last: char| last.is_ascii_digit() || last.eq_ignore_ascii_case(&'b'));
    let size = trimmed.parse::<ByteSize>().ok().filter(|_| is_clear).map(|size| size.as_u64());
    // What doesn't fit is read as the largest size.
    size.filter(|bytes| *bytes < u64::MAX).ok_or_else(|| {
        format!("'{text}' is not a size; write a number with KiB, MiB, GiB, KB, MB or GB, as in 64MiB or 1.5GiB")
    })
}

/// The text that [`parse_size`] reads: `512MiB`, or a number of bytes where no unit divides it.
pub fn size_text(bytes: u64) -> String {
    let units = [(bytesize::GIB, "GiB"), (bytesize::MIB, "MiB"), (bytesize::KIB, "KiB")];
    match units.into_iter().find(|(factor, _)| bytes > 0 && bytes.is_multiple_of(*factor)) {
        Some((factor, unit)) => format!("{}{unit}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// A duration such as `10s`, `1m 30s` or `250ms`.
///
/// # Errors
/// The text is not a duration; the error shows the format.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim())
        .map_err(|_| format!("'{text}' is not a duration; write a number with ms, s, m, h or d, as in 10s"))
}

pub(crate) mod size {
    use super::{Deserialize, Deserializer, Serializer, parse_size, size_text};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        parse_size(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }

    pub(crate) fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&size_text(*bytes))
    }
}

pub(crate) mod duration {
    use super::{Deserialize, Deserializer, Duration, Serializer, parse_duration};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse_duration(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }

    pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size(" 2 gb "), Ok(2_000_000_000));
        assert_eq!(parse_size("17"), Ok(17));
        assert_eq!(parse_size("17 b"), Ok(17));
        assert_eq!(parse_size("1.5GiB"), Ok(3 << 29));
        assert_eq!(parse_size("0.25 kb"), Ok(250));
        assert_eq!(parse_size("1TiB"), Ok(1 << 40));
        assert_eq!(parse_size("9007199254740993b"), Ok((1 << 53) + 1));
        for wrong in ["", "MiB", "-1", "1.5", "1.5.1MiB", "64M", "64Mi", "1e", "1 XB", "1,5GiB", "99999999999GiB"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_printed_is_read() {
        for (bytes, text) in [
            (0, "0"),
            (1, "1"),
            (1_000, "1000"),
            (1 << 10, "1KiB"),
            (64 << 20, "64MiB"),
            (3 << 29, "1536MiB"),
            (1 << 40, "1024GiB"),
            (u64::MAX - 1, "18446744073709551614"),
        ] {
            assert_eq!(size_text(bytes), text);
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(parse_duration("10").is_err());
    }
}

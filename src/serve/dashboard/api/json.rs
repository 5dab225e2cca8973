//! Writes JSON piece by piece. Numbers that JSON can't represent are null; times are milliseconds, with the
//! microseconds as the fraction.

use serde::Serialize;

/// Writes any value that serde can serialize. A value that can't be serialized becomes null.
pub(in crate::serve::dashboard) fn value(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
}

pub(in crate::serve::dashboard) fn number(out: &mut Vec<u8>, number: f64) {
    value(out, &number);
}

/// Writes microseconds since the epoch as milliseconds. The number is exact from 1700 to 2248.
pub(in crate::serve::dashboard) fn millis(out: &mut Vec<u8>, micros: i64) {
    match micros % 1_000 {
        0 => value(out, &(micros / 1_000)),
        _ => number(out, micros as f64 / 1_000.0),
    }
}

/// Writes the items as a JSON array.
pub(in crate::serve::dashboard) fn list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_json_lacks_is_null_and_times_are_exact() {
        for (micros, text) in [
            (1_763_733_600_123_456, "1763733600123.456"),
            (1_763_733_600_123_000, "1763733600123"),
            (1_763_733_600_123_001, "1763733600123.001"),
            (8_000_000_000_000_123, "8000000000000.123"),
            (-1, "-0.001"),
            (-1_500, "-1.5"),
            (0, "0"),
        ] {
            assert_eq!(written(|out| millis(out, micros)), text);
        }
        assert_eq!(written(|out| list(out, [1.5, f64::NAN, f64::INFINITY], number)), "[1.5,null,null]");
        assert_eq!(written(|out| value(out, "</script>\u{1f4c8}\"\n")), "\"</script>\u{1f4c8}\\\"\\n\"");
    }
}

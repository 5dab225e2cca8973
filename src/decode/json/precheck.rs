//! What the first bytes tell: a payload that is no JSON text at all, and why.

use crate::decode::verdict::{Coercions, Reason, Rejection};

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Checks a payload and returns it as text, without a byte order mark.
///
/// # Errors
/// `TooLarge`, `Compressed`, `AvroMagic`, `Encoding` or `Empty`.
#[inline]
pub(in crate::decode) fn text_of<'p>(
    payload: &'p [u8],
    limit: usize,
    coercions: &mut Coercions,
) -> Result<&'p str, Rejection> {
    if payload.len() > limit {
        let detail = format!("{} bytes, over the limit of {limit} (input.max_message_bytes)", payload.len());
        return Err(Rejection::new(Reason::TooLarge, detail));
    }
    if !matches!(payload, [b'{', second, ..] if *second != 0) {
        check_magic(payload)?;
    }
    let text = std::str::from_utf8(payload)
        .map_err(|fault| Rejection::new(Reason::Encoding, format!("not UTF-8, at byte {}", fault.valid_up_to())))?;
    let text = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(text) => {
            coercions.byte_order_mark += 1;
            text
        }
        None => text,
    };
    if text.bytes().all(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
        return Err(Rejection::new(Reason::Empty, if text.is_empty() { "no bytes" } else { "white space only" }));
    }
    Ok(text)
}

fn check_magic(payload: &[u8]) -> Result<(), Rejection> {
    let (reason, detail) = match payload {
        [0x1f, 0x8b, ..] => (Reason::Compressed, "gzip magic; compress with the Kafka producer instead"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => (Reason::Compressed, "zstd magic; compress with the Kafka producer instead"),
        [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, b'{' | b'[', 0, 0, 0, 1..=255, ..] => {
            (Reason::Encoding, "UTF-32, big endian")
        }
        [0, b'{' | b'[', 0, 1..=255, ..] => (Reason::Encoding, "UTF-16, big endian"),
        [0xff, 0xfe, ..] | [b'{' | b'[' | b' ' | b'\n', 0, ..] => (Reason::Encoding, "UTF-16 or UTF-32, little endian"),
        [0xfe, 0xff, ..] => (Reason::Encoding, "UTF-16, big endian"),
        [0, a, b, c, d, ..] => {
            let schema = u32::from_be_bytes([*a, *b, *c, *d]);
            let detail = format!("schema registry framing, schema {schema}; no registry is configured");
            return Err(Rejection::new(Reason::AvroMagic, detail));
        }
        _ => return Ok(()),
    };
    Err(Rejection::new(reason, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(payload: &[u8]) -> Option<Reason> {
        text_of(payload, 100, &mut Coercions::default()).err().map(|rejection| rejection.reason)
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    fn utf32(text: &str, bytes: fn(u32) -> [u8; 4]) -> Vec<u8> {
        text.chars().flat_map(|character| bytes(character.into())).collect()
    }

    #[test]
    fn foreign_encodings_with_and_without_a_byte_order_mark() {
        for text in ["{\"a\":1}", "[{\"a\":1}]", "\u{feff}{\"a\":1}"] {
            assert_eq!(reason(&utf16(text, u16::to_le_bytes)), Some(Reason::Encoding), "{text}");
            assert_eq!(reason(&utf16(text, u16::to_be_bytes)), Some(Reason::Encoding), "{text}");
            assert_eq!(reason(&utf32(text, u32::to_le_bytes)), Some(Reason::Encoding), "{text}");
            assert_eq!(reason(&utf32(text, u32::to_be_bytes)), Some(Reason::Encoding), "{text}");
        }
        assert_eq!(reason(b"{\"a\":\"\xff\"}"), Some(Reason::Encoding));
        assert_eq!(reason(b"{\"a\":\"\xed\xa0\x80\"}"), Some(Reason::Encoding));
    }

    #[test]
    fn binary_formats() {
        assert_eq!(reason(&[0x1f, 0x8b, 8, 0]), Some(Reason::Compressed));
        assert_eq!(reason(&[0x28, 0xb5, 0x2f, 0xfd, 4]), Some(Reason::Compressed));
        assert_eq!(reason(&[0, 0, 0, 0, 7, 2, 3]), Some(Reason::AvroMagic));
        assert_eq!(reason(&[0, 0, 0, 123, 1, 2, 3]), Some(Reason::AvroMagic));
    }

    #[test]
    fn empty_and_large() {
        assert_eq!(reason(b""), Some(Reason::Empty));
        assert_eq!(reason(b" \r\n\t"), Some(Reason::Empty));
        assert_eq!(reason("\u{feff}".as_bytes()), Some(Reason::Empty));
        assert_eq!(reason(&[b' '; 101]), Some(Reason::TooLarge));
        assert_eq!(reason(b"{}"), None);
    }
}

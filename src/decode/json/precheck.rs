//! Detects payloads that are not JSON text by their first bytes, and reports what they are instead.

use crate::decode::verdict::{Coercions, Rejection, RejectionReason};

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
        return Err(Rejection::new(RejectionReason::TooLarge, detail));
    }
    if !matches!(payload, [b'{', second, ..] if *second != 0) {
        check_magic(payload)?;
    }
    let text = std::str::from_utf8(payload).map_err(|fault| {
        Rejection::new(RejectionReason::Encoding, format!("not UTF-8, at byte {}", fault.valid_up_to()))
    })?;
    let text = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(text) => {
            coercions.byte_order_mark += 1;
            text
        }
        None => text,
    };
    if text.bytes().all(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
        return Err(Rejection::new(
            RejectionReason::Empty,
            if text.is_empty() { "no bytes" } else { "white space only" },
        ));
    }
    Ok(text)
}

fn check_magic(payload: &[u8]) -> Result<(), Rejection> {
    let (reason, detail) = match payload {
        [0x1f, 0x8b, ..] => (RejectionReason::Compressed, "gzip magic; compress with the Kafka producer instead"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            (RejectionReason::Compressed, "zstd magic; compress with the Kafka producer instead")
        }
        [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, b'{' | b'[', 0, 0, 0, 1..=255, ..] => {
            (RejectionReason::Encoding, "UTF-32, big endian")
        }
        [0, b'{' | b'[', 0, 1..=255, ..] => (RejectionReason::Encoding, "UTF-16, big endian"),
        [0xff, 0xfe, ..] | [b'{' | b'[' | b' ' | b'\n', 0, ..] => {
            (RejectionReason::Encoding, "UTF-16 or UTF-32, little endian")
        }
        [0xfe, 0xff, ..] => (RejectionReason::Encoding, "UTF-16, big endian"),
        [0, a, b, c, d, ..] => {
            let schema = u32::from_be_bytes([*a, *b, *c, *d]);
            let detail = format!("schema registry framing, schema {schema}; no registry is configured");
            return Err(Rejection::new(RejectionReason::AvroMagic, detail));
        }
        _ => return Ok(()),
    };
    Err(Rejection::new(reason, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(payload: &[u8]) -> Option<RejectionReason> {
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
            assert_eq!(reason(&utf16(text, u16::to_le_bytes)), Some(RejectionReason::Encoding), "{text}");
            assert_eq!(reason(&utf16(text, u16::to_be_bytes)), Some(RejectionReason::Encoding), "{text}");
            assert_eq!(reason(&utf32(text, u32::to_le_bytes)), Some(RejectionReason::Encoding), "{text}");
            assert_eq!(reason(&utf32(text, u32::to_be_bytes)), Some(RejectionReason::Encoding), "{text}");
        }
        assert_eq!(reason(b"{\"a\":\"\xff\"}"), Some(RejectionReason::Encoding));
        assert_eq!(reason(b"{\"a\":\"\xed\xa0\x80\"}"), Some(RejectionReason::Encoding));
    }

    #[test]
    fn binary_formats() {
        assert_eq!(reason(&[0x1f, 0x8b, 8, 0]), Some(RejectionReason::Compressed));
        assert_eq!(reason(&[0x28, 0xb5, 0x2f, 0xfd, 4]), Some(RejectionReason::Compressed));
        assert_eq!(reason(&[0, 0, 0, 0, 7, 2, 3]), Some(RejectionReason::AvroMagic));
        assert_eq!(reason(&[0, 0, 0, 123, 1, 2, 3]), Some(RejectionReason::AvroMagic));
    }

    #[test]
    fn empty_and_large() {
        assert_eq!(reason(b""), Some(RejectionReason::Empty));
        assert_eq!(reason(b" \r\n\t"), Some(RejectionReason::Empty));
        assert_eq!(reason("\u{feff}".as_bytes()), Some(RejectionReason::Empty));
        assert_eq!(reason(&[b' '; 101]), Some(RejectionReason::TooLarge));
        assert_eq!(reason(b"{}"), None);
    }
}

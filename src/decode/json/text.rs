//! Converts the contents of JSON strings to text.

/// Resolves the escapes of a string whose syntax was already checked. Returns `None` for a lone surrogate.
pub(in crate::decode) fn unescape(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        let code = *rest.as_bytes().get(at + 1)?;
        rest = &rest[at + 2..];
        let character = match code {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = hex(rest)?;
                rest = &rest[4..];
                if (0xd800..0xdc00).contains(&high) {
                    let low = hex(rest.strip_prefix("\\u")?)?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return None;
                    }
                    rest = &rest[6..];
                    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))?
                } else {
                    char::from_u32(high)?
                }
            }
            quoted => char::from(quoted),
        };
        text.push(character);
    }
    text.push_str(rest);
    Some(text)
}

fn hex(text: &str) -> Option<u32> {
    u32::from_str_radix(text.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn surrogates_come_in_pairs() {
        assert_eq!(unescape("a\\ud83d\\ude00b").as_deref(), Some("a😀b"));
        for lone in ["\\ud83d", "\\ud83dx", "\\ude00", "\\ud83d\\u0041", "\\ud83d\\ud83d"] {
            assert_eq!(unescape(lone), None, "{lone}");
        }
    }

    proptest! {
        #[test]
        fn whatever_serde_escapes_comes_back(text in any::<String>()) {
            let quoted = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(unescape(&quoted[1..quoted.len() - 1]), Some(text));
        }
    }
}

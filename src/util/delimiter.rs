//! Detects the delimiter of a CSV file from its header.

/// Delimiters other than a comma that spreadsheets and databases write.
const ALTERNATIVES: [u8; 3] = [b';', b'\t', b'|'];

/// A comma, unless the header has no comma but one of the alternatives. Characters in double quotes are ignored.
pub fn delimiter_of(header: &[u8]) -> u8 {
    let mut is_quoted = false;
    let mut outside = Vec::new();
    for byte in header {
        match byte {
            b'"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            b'\n' | b'\r' => break,
            other => outside.push(*other),
        }
    }
    let others = ALTERNATIVES.into_iter().find(|other| outside.contains(other));
    others.filter(|_| !outside.contains(&b',')).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_comes_first() {
        for (header, delimiter) in [
            ("symbol,ts", b','),
            ("symbol;ts\nA,B", b';'),
            ("symbol\tts", b'\t'),
            ("symbol|ts", b'|'),
            ("\"a,b\";c", b';'),
            ("\"a;b\"", b','),
            ("a;b,c", b','),
            ("a;b\rA,B\r", b';'),
            ("a;b\r\nA,B\r\n", b';'),
            ("\"first\nline\";b\nA,B\n", b';'),
            ("\"a \"\"x\"\"\r\ny,z\"\tb\n1,2", b'\t'),
            ("a", b','),
            ("", b','),
        ] {
            assert_eq!(delimiter_of(header.as_bytes()), delimiter, "{header}");
        }
    }
}

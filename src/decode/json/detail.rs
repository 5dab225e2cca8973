//! The detail of a dead letter that describes a value: its location, its type and its first characters.
//!
//! Details are stored and printed, so they are short and contain no control characters. They are logged at debug level
//! at most.

use crate::decode::json::field_origin::{FieldOrigin, ScannedDocument};
use crate::decode::json::plan::{Capture, CaptureKind};
use crate::decode::json::text::unescape;
use crate::decode::verdict::{Rejection, RejectionReason};

/// Number of characters that are shown of a value, enough to recognise it.
const SHOWN_CHARACTERS: usize = 40;
/// Number of bytes that are shown of the document on each side of a syntax error.
const AROUND_BYTES: usize = 16;

/// The first characters of the text, with control, invisible and bidirectional characters escaped. Quotes are kept.
fn first_characters(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN_CHARACTERS)
        .flat_map(|character| match character {
            '"' | '\'' | '\\' => vec![character],
            other => other.escape_debug().collect(),
        })
        .collect();
    if text.chars().nth(SHOWN_CHARACTERS).is_some() {
        shown.push_str("..");
    }
    shown
}

/// The type of a value, and its first characters unless the type implies the value.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::decode) struct FoundValue {
    kind: &'static str,
    value: Option<String>,
}

impl FoundValue {
    const MISSING: Self = Self { kind: "missing", value: None };

    pub(in crate::decode) fn of(text: &str, capture: Capture) -> Self {
        let raw = capture.text(text);
        let quoted = |text: &str| Some(format!("\"{}\"", first_characters(text)));
        let (kind, value) = match capture.kind {
            CaptureKind::Missing => return Self::MISSING,
            CaptureKind::Null => ("null", None),
            CaptureKind::True | CaptureKind::False => ("a boolean", Some(first_characters(raw))),
            CaptureKind::Number => ("the number", Some(first_characters(raw))),
            CaptureKind::PlainString => ("the string", quoted(raw)),
            CaptureKind::EscapedString => ("the string", quoted(&unescape(raw).unwrap_or_else(|| raw.to_owned()))),
            CaptureKind::Object => ("the object", Some(first_characters(raw))),
            CaptureKind::Array => ("the array", Some(first_characters(raw))),
        };
        Self { kind, value }
    }

    /// Describes a Kafka key or the value of a header.
    fn of_bytes(bytes: Option<&[u8]>) -> Self {
        match bytes.map(std::str::from_utf8) {
            None => Self::MISSING,
            Some(Ok(text)) => Self { kind: "the text", value: Some(format!("\"{}\"", first_characters(text))) },
            Some(Err(_)) => Self { kind: "no UTF-8", value: None },
        }
    }

    /// Appends this description to the detail of a rejection.
    pub(in crate::decode) fn end(self, reason: RejectionReason, mut detail: String) -> Rejection {
        detail.push_str(self.kind);
        let value_at = self.value.as_ref().map(|_| detail.len());
        if let Some(value) = self.value {
            detail.push(' ');
            detail.push_str(&value);
        }
        Rejection { value_at, ..Rejection::new(reason, detail) }
    }
}

/// Adds the source and the value of the field to a rejection.
#[cold]
pub(in crate::decode) fn explain(
    rejection: Rejection,
    origin: &FieldOrigin,
    scanned: ScannedDocument<'_, '_>,
) -> Rejection {
    let message = scanned.message;
    let (path, found) = match origin {
        FieldOrigin::Absent | FieldOrigin::Constant(_) => return rejection,
        FieldOrigin::Slot(slot, pointer) => {
            (pointer.to_string(), FoundValue::of(scanned.text, scanned.captures[*slot]))
        }
        FieldOrigin::KafkaKey => ("kafka.key".to_owned(), FoundValue::of_bytes(message.key)),
        FieldOrigin::KafkaTimestamp => {
            let value = message.timestamp.map(|millis| millis.to_string());
            let kind = if value.is_some() { "the number" } else { "missing" };
            ("kafka.timestamp".to_owned(), FoundValue { kind, value })
        }
        FieldOrigin::Header(name) => {
            let value = message.headers.iter().find(|(key, _)| *key == &**name).and_then(|(_, value)| *value);
            (format!("header:{name}"), FoundValue::of_bytes(value))
        }
    };
    found.end(rejection.reason, format!("{}; {path} is ", rejection.detail))
}

/// The rejection of a frame whose type the preset doesn't know. One of the captures in `kinds` has the type.
#[cold]
pub(in crate::decode) fn unknown_type(text: &str, kinds: &[(&str, Capture)]) -> Rejection {
    const WHAT: &str = "a frame type that the preset doesn't know";
    let found = kinds.iter().find(|(_, capture)| capture.kind != CaptureKind::Missing).or(kinds.first());
    match found {
        Some((pointer, capture)) => {
            FoundValue::of(text, *capture).end(RejectionReason::UnknownType, format!("{WHAT}; {pointer} is "))
        }
        None => Rejection::new(RejectionReason::UnknownType, WHAT),
    }
}

/// Adds the text around the syntax error to a rejection.
#[cold]
pub(in crate::decode) fn near(rejection: Rejection, text: &str) -> Rejection {
    let Some(at) = rejection.at else { return rejection };
    let start = text.floor_char_boundary(at.saturating_sub(AROUND_BYTES));
    let end = text.floor_char_boundary(at.saturating_add(AROUND_BYTES));
    let around = first_characters(text.get(start..end).unwrap_or_default());
    let value_at = Some(rejection.detail.len());
    Rejection { value_at, ..Rejection::new(rejection.reason, format!("{}, in {around}", rejection.detail)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_and_can_not_move_a_cursor() {
        assert_eq!(first_characters("a\"b\\c"), "a\"b\\c");
        assert_eq!(first_characters("a\n\u{1b}[2J\u{202e}\u{ad}"), "a\\n\\u{1b}[2J\\u{202e}\\u{ad}");
        assert_eq!(first_characters(&"é".repeat(41)), format!("{}..", "é".repeat(40)));
        assert_eq!(first_characters(&"é".repeat(40)), "é".repeat(40));
    }

    #[test]
    fn a_masked_detail_ends_before_the_value() {
        let found = FoundValue { kind: "the string", value: Some("\"secret\"".to_owned()) };
        let rejection = found.end(RejectionReason::Type, "close: value of another type; /p is ".to_owned());
        assert_eq!(rejection.detail, "close: value of another type; /p is the string \"secret\"");
        assert_eq!(rejection.masked(), "close: value of another type; /p is the string");
        assert_eq!(Rejection::new(RejectionReason::Empty, "no bytes").masked(), "no bytes");
    }

    #[test]
    fn a_fault_shows_what_is_around_it_whatever_the_text() {
        let text = format!("{}x", "é".repeat(100));
        for at in [0, 1, 17, 100, 199, 200, 201, 10_000] {
            let rejection = Rejection { at: Some(at), ..Rejection::new(RejectionReason::Syntax, "not valid JSON") };
            assert!(near(rejection, &text).detail.starts_with("not valid JSON, in "));
        }
    }
}

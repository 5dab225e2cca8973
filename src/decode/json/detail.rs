//! What a dead letter's detail says about a value: where it is, its type and its first characters.
//!
//! Details are stored and printed, so they are short and hold nothing that moves a cursor; they are never logged above
//! debug.

use crate::decode::json::origin::{Origin, Scanned};
use crate::decode::json::plan::{Capture, Kind};
use crate::decode::json::text::unescape;
use crate::decode::verdict::{Reason, Rejection};

/// Enough of a value to recognise it.
const SHOWN_CHARACTERS: usize = 40;
/// Bytes of the document on both sides of a fault.
const AROUND_BYTES: usize = 16;

/// Without control, invisible and bidirectional characters; quotes stay as they are.
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

/// What a value is, and its first characters where it has some that its type doesn't tell.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::decode) struct Found {
    kind: &'static str,
    value: Option<String>,
}

impl Found {
    const MISSING: Self = Self { kind: "missing", value: None };

    pub(in crate::decode) fn of(text: &str, capture: Capture) -> Self {
        let raw = capture.text(text);
        let quoted = |text: &str| Some(format!("\"{}\"", first_characters(text)));
        let (kind, value) = match capture.kind {
            Kind::Missing => return Self::MISSING,
            Kind::Null => ("null", None),
            Kind::True | Kind::False => ("a boolean", Some(first_characters(raw))),
            Kind::Number => ("the number", Some(first_characters(raw))),
            Kind::PlainString => ("the string", quoted(raw)),
            Kind::EscapedString => ("the string", quoted(&unescape(raw).unwrap_or_else(|| raw.to_owned()))),
            Kind::Object => ("the object", Some(first_characters(raw))),
            Kind::Array => ("the array", Some(first_characters(raw))),
        };
        Self { kind, value }
    }

    /// Of a Kafka key or a header.
    fn of_bytes(bytes: Option<&[u8]>) -> Self {
        match bytes.map(std::str::from_utf8) {
            None => Self::MISSING,
            Some(Ok(text)) => Self { kind: "the text", value: Some(format!("\"{}\"", first_characters(text))) },
            Some(Err(_)) => Self { kind: "no UTF-8", value: None },
        }
    }

    /// The end of a rejection's detail.
    pub(in crate::decode) fn end(self, reason: Reason, mut detail: String) -> Rejection {
        detail.push_str(self.kind);
        let value_at = self.value.as_ref().map(|_| detail.len());
        if let Some(value) = self.value {
            detail.push(' ');
            detail.push_str(&value);
        }
        Rejection { value_at, ..Rejection::new(reason, detail) }
    }
}

/// Adds to a rejection what its field was read from.
#[cold]
pub(in crate::decode) fn explain(rejection: Rejection, origin: &Origin, scanned: Scanned<'_, '_>) -> Rejection {
    let message = scanned.message;
    let (place, found) = match origin {
        Origin::Absent | Origin::Constant(_) => return rejection,
        Origin::Slot(slot, pointer) => (pointer.to_string(), Found::of(scanned.text, scanned.captures[*slot])),
        Origin::KafkaKey => ("kafka.key".to_owned(), Found::of_bytes(message.key)),
        Origin::KafkaTimestamp => {
            let value = message.timestamp.map(|millis| millis.to_string());
            let kind = if value.is_some() { "the number" } else { "missing" };
            ("kafka.timestamp".to_owned(), Found { kind, value })
        }
        Origin::Header(name) => {
            let value = message.headers.iter().find(|(key, _)| *key == &**name).and_then(|(_, value)| *value);
            (format!("header:{name}"), Found::of_bytes(value))
        }
    };
    found.end(rejection.reason, format!("{}; {place} is ", rejection.detail))
}

/// A frame whose type no list of its preset has. `kinds` are where the type may be.
#[cold]
pub(in crate::decode) fn unknown_type(text: &str, kinds: &[(&str, Capture)]) -> Rejection {
    const WHAT: &str = "a frame type that the preset doesn't know";
    let found = kinds.iter().find(|(_, capture)| capture.kind != Kind::Missing).or(kinds.first());
    match found {
        Some((pointer, capture)) => {
            Found::of(text, *capture).end(Reason::UnknownType, format!("{WHAT}; {pointer} is "))
        }
        None => Rejection::new(Reason::UnknownType, WHAT),
    }
}

/// Adds to a fault of a document what stands around it.
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
        let found = Found { kind: "the string", value: Some("\"secret\"".to_owned()) };
        let rejection = found.end(Reason::Type, "close: value of another type; /p is ".to_owned());
        assert_eq!(rejection.detail, "close: value of another type; /p is the string \"secret\"");
        assert_eq!(rejection.masked(), "close: value of another type; /p is the string");
        assert_eq!(Rejection::new(Reason::Empty, "no bytes").masked(), "no bytes");
    }

    #[test]
    fn a_fault_shows_what_is_around_it_whatever_the_text() {
        let text = format!("{}x", "é".repeat(100));
        for at in [0, 1, 17, 100, 199, 200, 201, 10_000] {
            let rejection = Rejection { at: Some(at), ..Rejection::new(Reason::Syntax, "not valid JSON") };
            assert!(near(rejection, &text).detail.starts_with("not valid JSON, in "));
        }
    }
}

//! A survey of the keys of messages and their types, with headers and Kafka keys, for users who write a mapping.
//!
//! Its memory is bounded for any input: keys beyond the limits are not recorded.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::util::suggest::did_you_mean;
use crate::util::text_width::{padded, text_width};

/// Maximum number of distinct JSON pointers, and of distinct headers.
const MAX_POINTERS: usize = 200;
const MAX_DEPTH: usize = 6;
/// Maximum length of a recorded key. Longer keys are unlikely to be mapped.
const MAX_POINTER_BYTES: usize = 200;

/// Number of values of each type.
type TypeCounts = BTreeMap<&'static str, u64>;

/// The keys of the messages, as JSON pointers. For an array only the first element is recorded, because the others
/// usually have the same keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySurvey {
    documents: u64,
    /// Number of messages that are not JSON.
    others: u64,
    /// Number of all messages, including those without a payload.
    messages: u64,
    pointers: BTreeMap<String, TypeCounts>,
    /// Sources other than the payload: `kafka.key` and `header:NAME`.
    alongside: BTreeMap<String, TypeCounts>,
    /// Whether pointers were dropped because of the limits.
    is_cut: bool,
}

impl KeySurvey {
    pub fn add<'a>(
        &mut self,
        payload: Option<&[u8]>,
        key: Option<&[u8]>,
        headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) {
        self.messages += 1;
        if let Some(payload) = payload {
            self.payload(payload);
        }
        if let Some(key) = key {
            self.is_cut |= !count(&mut self.alongside, "kafka.key", kind_of(Some(key)));
        }
        for (name, value) in headers {
            self.is_cut |= !count(&mut self.alongside, &format!("header:{name}"), kind_of(value));
        }
    }

    fn payload(&mut self, payload: &[u8]) {
        let Ok(document) = serde_json::from_slice::<Value>(payload) else {
            self.others += 1;
            return;
        };
        self.documents += 1;
        self.value("", &document, 0);
    }

    fn value(&mut self, pointer: &str, value: &Value, depth: usize) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let has_members = match value {
            Value::Array(elements) => !elements.is_empty(),
            Value::Object(members) => !members.is_empty(),
            _ => false,
        };
        if (!has_members || depth == MAX_DEPTH) && !self.count(pointer, kind) {
            return;
        }
        if depth == MAX_DEPTH {
            return;
        }
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    self.value(&format!("{pointer}/{name}"), member, depth + 1);
                }
            }
            Value::Array(elements) => {
                if let Some(first) = elements.first() {
                    self.value(&format!("{pointer}/0"), first, depth + 1);
                }
            }
            _ => {}
        }
    }

    fn count(&mut self, pointer: &str, kind: &'static str) -> bool {
        let is_kept = count(&mut self.pointers, pointer, kind);
        self.is_cut |= !is_kept;
        is_kept
    }

    /// Whether no message has a value at this pointer or for this header. Returns false if that is not known.
    pub fn is_missing(&self, source: &str) -> bool {
        let names = if source.starts_with('/') { &self.pointers } else { &self.alongside };
        let is_below = |name: &String| name.strip_prefix(source).is_some_and(|rest| rest.starts_with('/'));
        let is_deeper = source.split('/').count() > MAX_DEPTH + 1;
        // Only the first element of an array is recorded, so nothing is known about a pointer such as `/bids/1/px`.
        let is_later =
            source.starts_with('/') && source.split('/').any(|key| key.parse::<u64>().is_ok_and(|at| at > 0));
        let is_known = !self.is_cut && !is_deeper && !is_later && (self.documents > 0 || !source.starts_with('/'));
        is_known && self.messages > 0 && !names.keys().any(|name| name == source || is_below(name))
    }

    /// `; did you mean '/price'?`, or empty.
    pub fn suggestion(&self, source: &str) -> String {
        let names = if source.starts_with('/') { &self.pointers } else { &self.alongside };
        did_you_mean(source, names.keys().map(String::as_str).filter(|name| !name.is_empty()))
    }

    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }
}

/// Counts a value. Returns false if there are too many names or if this one is too long.
fn count(names: &mut BTreeMap<String, TypeCounts>, name: &str, kind: &'static str) -> bool {
    let is_kept = names.contains_key(name) || (names.len() < MAX_POINTERS && name.len() <= MAX_POINTER_BYTES);
    if is_kept {
        *names.entry(name.to_owned()).or_default().entry(kind).or_default() += 1;
    }
    is_kept
}

fn kind_of(value: Option<&[u8]>) -> &'static str {
    match value.map(std::str::from_utf8) {
        None => "null",
        Some(Ok(_)) => "text",
        Some(Err(_)) => "bytes",
    }
}

/// Writes one line per key, such as `  /price  string`, with counts if some messages differ.
impl fmt::Display for KeySurvey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |pointer: &str| -> String {
            if pointer.is_empty() { "(the message)".to_owned() } else { pointer.escape_debug().to_string() }
        };
        let names = self.pointers.keys().chain(self.alongside.keys());
        let width = names.map(|name| text_width(&shown(name))).max().unwrap_or(0);
        let pointers = self.pointers.iter().map(|named| (named, self.documents));
        let alongside = self.alongside.iter().map(|named| (named, self.messages));
        for ((name, kinds), all) in pointers.chain(alongside) {
            let seen: u64 = kinds.values().sum();
            let kinds: Vec<String> = kinds
                .iter()
                .map(|(kind, count)| if *count == all { (*kind).to_owned() } else { format!("{kind} in {count}") })
                .collect();
            let missing = match all - seen.min(all) {
                0 => String::new(),
                missing => format!(", missing in {missing}"),
            };
            writeln!(f, "  {}  {}{missing}", padded(&shown(name), width), kinds.join(", "))?;
        }
        if self.is_cut {
            writeln!(f, "  .. and more keys")?;
        }
        if self.others > 0 {
            writeln!(f, "  {} of {} are no JSON", self.others, self.others + self.documents)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(payloads: &[&str]) -> KeySurvey {
        let mut survey = KeySurvey::default();
        payloads.iter().for_each(|payload| survey.add(Some(payload.as_bytes()), None, std::iter::empty()));
        survey
    }

    #[test]
    fn keys_are_pointers_with_their_types() {
        let survey = survey(&[
            r#"{"pair":"A","q":{"px":[1.5,"x"],"a/b~":true},"n":null}"#,
            r#"{"pair":"B","q":{"px":["1"]}}"#,
            "no JSON",
        ]);
        assert_eq!(
            survey.to_string(),
            "  /n         null in 1, missing in 1\n\
             \x20 /pair      string\n\
             \x20 /q/a~1b~0  boolean in 1, missing in 1\n\
             \x20 /q/px/0    number in 1, string in 1\n\
             \x20 1 of 3 are no JSON\n"
        );
    }

    #[test]
    fn headers_and_the_kafka_key_are_named_without_their_values() {
        let mut survey = KeySurvey::default();
        let headers = [("venue", Some(&b"XNAS"[..])), ("trace", Some(&b"\xff\x00"[..])), ("empty", None)];
        survey.add(Some(b"{\"a\":1}"), Some(b"secret"), headers.into_iter());
        survey.add(None, None, [("venue", Some(&b"XNYS"[..]))].into_iter());
        assert_eq!(
            survey.to_string(),
            "  /a            number\n\
             \x20 header:empty  null in 1, missing in 1\n\
             \x20 header:trace  bytes in 1, missing in 1\n\
             \x20 header:venue  text\n\
             \x20 kafka.key     text in 1, missing in 1\n"
        );
        assert_eq!(survey.suggestion("header:Venue"), "; did you mean 'header:venue'?");
        assert!(survey.is_missing("header:Venue") && !survey.is_missing("header:venue") && survey.is_missing("/b"));
        for number in 0..1_000 {
            let name = format!("h{number}");
            survey.add(None, None, [(name.as_str(), None)].into_iter());
        }
        assert_eq!(survey.alongside.len(), MAX_POINTERS);
        assert!(!survey.is_missing("header:other"), "it may be among those that were not kept");
    }

    #[test]
    fn later_elements_and_empty_containers_may_be_there() {
        let survey = survey(&[r#"{"data":[{"sz":1},{"px":1}],"none":[],"empty":{},"time":1}"#]);
        for (source, lacks) in [
            ("/data/0/px", true),
            ("/data/1/px", false),
            ("/data/1", false),
            ("/data", false),
            ("/none", false),
            ("/empty", false),
            ("/none/0", true),
            ("/tim", true),
        ] {
            assert_eq!(survey.is_missing(source), lacks, "{source}");
        }
        assert!(survey.to_string().contains("  /empty      object\n"), "{survey}");
    }

    #[test]
    fn hostile_names_are_escaped() {
        let name = "venue\u{1b}[2J\n2026-11-20 ERROR forged";
        let mut survey = survey(&[r#"{"clos\ne\u001b":1}"#]);
        survey.add(None, None, [(name, None)].into_iter());
        for text in [survey.to_string(), survey.suggestion("/close"), survey.suggestion(&format!("header:{name}s"))] {
            assert!(text.contains("\\u{1b}") && !text.contains('\u{1b}'), "{text:?}");
            assert!(!text.contains("\ne") && !text.contains("\n2026"), "{text:?}");
        }
    }

    #[test]
    fn a_survey_is_bounded() {
        let many: Vec<String> = (0..1_000).map(|key| format!(r#""k{key}":1"#)).collect();
        let deep = format!("{}1{}", r#"{"a":"#.repeat(50), "}".repeat(50));
        let long = format!(r#"{{"{}":1}}"#, "x".repeat(10_000));
        let survey = survey(&[&format!("{{{}}}", many.join(",")), &deep, &long, "42", "[]"]);
        assert_eq!(survey.pointers.len(), MAX_POINTERS);
        assert!(survey.to_string().ends_with("  .. and more keys\n"));
    }
}

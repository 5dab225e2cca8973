//! Which keys messages have, and of which types: what somebody needs who writes a mapping.
//!
//! Bounded, whatever the messages are: keys beyond the limits are counted together.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// Different JSON pointers that are kept.
const MAX_POINTERS: usize = 200;
const MAX_DEPTH: usize = 6;
/// A key longer than this is no key that somebody maps.
const MAX_POINTER_BYTES: usize = 200;

/// Keys of some messages, as JSON pointers. Of an array only the first element counts: the others are like it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySurvey {
    documents: u64,
    /// Messages that are no JSON.
    others: u64,
    pointers: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// There were more pointers than are kept.
    is_cut: bool,
}

impl KeySurvey {
    pub fn add(&mut self, payload: &[u8]) {
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
        let is_container = matches!(value, Value::Array(_) | Value::Object(_));
        if (!is_container || depth == MAX_DEPTH) && !self.count(pointer, kind) {
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
        let is_known = self.pointers.contains_key(pointer);
        if !is_known && (self.pointers.len() == MAX_POINTERS || pointer.len() > MAX_POINTER_BYTES) {
            self.is_cut = true;
            return false;
        }
        *self.pointers.entry(pointer.to_owned()).or_default().entry(kind).or_default() += 1;
        true
    }

    /// The pointers that were seen.
    pub fn pointers(&self) -> impl Iterator<Item = &str> {
        self.pointers.keys().map(String::as_str)
    }

    pub fn is_empty(&self) -> bool {
        self.documents + self.others == 0
    }
}

/// One line a key: `  /price  string`, with counts where some messages differ.
impl fmt::Display for KeySurvey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |pointer: &str| -> String {
            if pointer.is_empty() { "(the message)".to_owned() } else { pointer.escape_debug().to_string() }
        };
        let width = self.pointers.keys().map(|pointer| shown(pointer).chars().count()).max().unwrap_or(0);
        for (pointer, kinds) in &self.pointers {
            let seen: u64 = kinds.values().sum();
            let kinds: Vec<String> = kinds
                .iter()
                .map(
                    |(kind, count)| {
                        if *count == self.documents { (*kind).to_owned() } else { format!("{kind} in {count}") }
                    },
                )
                .collect();
            let missing = match self.documents - seen.min(self.documents) {
                0 => String::new(),
                missing => format!(", missing in {missing}"),
            };
            writeln!(f, "  {:width$}  {}{missing}", shown(pointer), kinds.join(", "))?;
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
        payloads.iter().for_each(|payload| survey.add(payload.as_bytes()));
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
    fn a_survey_is_bounded() {
        let many: Vec<String> = (0..1_000).map(|key| format!(r#""k{key}":1"#)).collect();
        let deep = format!("{}1{}", r#"{"a":"#.repeat(50), "}".repeat(50));
        let long = format!(r#"{{"{}":1}}"#, "x".repeat(10_000));
        let survey = survey(&[&format!("{{{}}}", many.join(",")), &deep, &long, "42", "[]"]);
        assert_eq!(survey.pointers().count(), MAX_POINTERS);
        assert!(survey.to_string().ends_with("  .. and more keys\n"));
    }
}

//! Compares two input configurations key by key.

use std::collections::BTreeMap;

use serde_json::Value;

/// A key whose configured value differs from that of the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputChange {
    /// Key as in the configuration file: `input.close`, `columns.bid.path`.
    pub key: String,
    /// Value in TOML syntax; `None` if it is not set.
    pub in_lake: Option<String>,
    pub configured: Option<String>,
}

/// Differences between the input of a lake and a configured one, both as JSON. A new extra column doesn't count as a
/// difference.
pub fn input_changes(in_lake: &str, configured: &str) -> Vec<InputChange> {
    let parsed = (serde_json::from_str::<Value>(in_lake), serde_json::from_str::<Value>(configured));
    let (Ok(Value::Object(known)), Ok(Value::Object(wanted))) = parsed else {
        if in_lake == configured {
            return Vec::new();
        }
        let (in_lake, configured) = (Some(in_lake.to_owned()), Some(configured.to_owned()));
        return vec![InputChange { key: "input".to_owned(), in_lake, configured }];
    };
    let is_new = |name: &str| known.get("columns").and_then(|columns| columns.get(name)).is_none();
    let mut all: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    for (key, value) in flat(&known) {
        all.entry(key).or_default().0 = Some(value);
    }
    for (key, value) in flat(&wanted) {
        let column = key.strip_prefix("columns.").and_then(|rest| rest.split('.').next());
        if !column.is_some_and(is_new) {
            all.entry(key).or_default().1 = Some(value);
        }
    }
    let changes = all.into_iter().filter(|(_, (in_lake, configured))| in_lake != configured);
    changes.map(|(key, (in_lake, configured))| InputChange { key, in_lake, configured }).collect()
}

/// Flattened keys as in the configuration file, values in TOML syntax.
fn flat(input: &serde_json::Map<String, Value>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (key, value) in input {
        match (key.as_str(), value) {
            ("columns", Value::Object(columns)) => {
                for (name, column) in columns {
                    match column {
                        Value::Object(parts) => all.extend(
                            parts.iter().map(|(part, value)| (format!("columns.{name}.{part}"), value.to_string())),
                        ),
                        other => all.push((format!("columns.{name}"), other.to_string())),
                    }
                }
            }
            (key, value) => all.push((format!("input.{key}"), value.to_string())),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(in_lake: &str, configured: &str) -> Vec<String> {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let line =
            |change: InputChange| format!("{} {} {}", change.key, shown(change.in_lake), shown(change.configured));
        input_changes(in_lake, configured).into_iter().map(line).collect()
    }

    #[test]
    fn only_what_differs_is_listed() {
        let lake =
            r#"{"symbol":"/s","ts":"/t","close":"/p","zone":"UTC","columns":{"bid":{"path":"/b","type":"double"}}}"#;
        assert_eq!(changes(lake, lake), Vec::<String>::new());
        assert_eq!(
            changes(
                lake,
                r#"{"ts":"/t","symbol":"/s","close":"/last","volume":"/v","columns":{"bid":{"path":"/b2","type":"double"},
                    "ask":{"path":"/a","type":"double"}}}"#
            ),
            [
                r#"columns.bid.path "/b" "/b2""#,
                r#"input.close "/p" "/last""#,
                r#"input.volume - "/v""#,
                r#"input.zone "UTC" -"#,
            ]
        );
        assert_eq!(
            changes(
                r#"{"preset":"canonical"}"#,
                r#"{"preset":"canonical","columns":{"ask":{"path":"/a","type":"double"}}}"#
            ),
            Vec::<String>::new()
        );
        assert_eq!(changes("{", "{"), Vec::<String>::new());
        assert_eq!(changes("{", "{}"), ["input { {}"]);
    }
}

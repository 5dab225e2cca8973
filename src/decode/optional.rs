//! Detects optional fields and extra columns for which no message has a value, because their paths may be wrong: a
//! wrong path looks like an absent field.

use std::fmt;

use crate::decode::input::InputSettings;
use crate::decode::survey::KeySurvey;
use crate::market::{ExtraColumn, TickColumns};

/// The optional fields and columns of a mapping for which no value was seen yet.
#[derive(Debug, Clone)]
pub struct OptionalPaths {
    unseen: Vec<OptionalPath>,
}

#[derive(Debug, Clone)]
struct OptionalPath {
    column: String,
    /// The configured source.
    source: String,
    /// Index among the extra columns.
    extra: Option<usize>,
}

/// A column that was NULL in every row so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeverMatched {
    pub column: String,
    pub source: String,
    /// Number of messages that became rows.
    messages: u64,
    /// `; did you mean '/q/bid'?`, or empty.
    meant: String,
}

impl fmt::Display for NeverMatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, source, messages, meant } = self;
        let first = if *messages == 1 { "message".to_owned() } else { format!("{messages} messages") };
        write!(f, "{column} is NULL in the first {first} of this run: no accepted one has a value at {source}{meant}")
    }
}

impl OptionalPaths {
    pub fn of(input: &InputSettings) -> Self {
        let of_column = |(column, source): (&str, String)| OptionalPath {
            extra: input.columns.keys().position(|name| name == column),
            column: column.to_owned(),
            source,
        };
        Self { unseen: input.optional_sources().map(of_column).collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.unseen.is_empty()
    }

    /// Removes the paths for which one of the rows has a value. The search stops at the first value.
    pub fn add(&mut self, rows: &TickColumns) {
        self.unseen.retain(|path| !path.has_value(rows));
    }

    /// Returns the paths without a value after `messages` accepted messages, each with a suggestion of the intended
    /// key.
    pub fn never_matched(&self, messages: u64, keys: &KeySurvey) -> Vec<NeverMatched> {
        let named = self.unseen.iter().map(|OptionalPath { column, source, .. }| NeverMatched {
            column: column.clone(),
            source: source.clone(),
            messages,
            meant: keys.suggestion(source),
        });
        named.collect()
    }
}

impl OptionalPath {
    fn has_value(&self, rows: &TickColumns) -> bool {
        // These columns represent NULL as NaN.
        let double = |values: &[f64]| values.iter().any(|value| !value.is_nan());
        match (self.column.as_str(), self.extra) {
            (_, Some(extra)) => rows.extras.get(extra).is_some_and(has_value),
            ("open", None) => double(&rows.open),
            ("high", None) => double(&rows.high),
            ("low", None) => double(&rows.low),
            ("volume", None) => double(&rows.volume),
            ("trade_id", None) => rows.trade_id.valid.contains(&true),
            ("source", None) => rows.source.valid.contains(&true),
            // symbol, ts and close have a value in every row.
            _ => !rows.is_empty(),
        }
    }
}

fn has_value(column: &ExtraColumn) -> bool {
    match column {
        ExtraColumn::Double(values) => values.iter().any(Option::is_some),
        ExtraColumn::Bigint(values) => values.iter().any(Option::is_some),
        ExtraColumn::String(values) => values.valid.contains(&true),
        ExtraColumn::Boolean(values) => values.iter().any(Option::is_some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Decoder, RawMessage, Verdict};

    #[test]
    fn an_optional_path_that_never_matched_is_named() {
        let input: InputSettings = serde_json::from_str(
            r#"{"symbol":"/s","ts":"/t","close":"/p","volume":"/vol","open":"/o","time_unit":"s","source":"header:Venue",
                "columns":{"bid":{"path":"/q/bit","type":"double"},"ask":{"path":"/q/ask","type":"double"}}}"#,
        )
        .unwrap();
        let payload = br#"{"s":"A","t":1700000000,"p":1,"o":2,"volume":3,"q":{"bid":1,"ask":2}}"#;
        let headers = [("venue", Some(&b"XNAS"[..]))];
        let zone = crate::market::MarketZone::new(chrono_tz::UTC);
        let mut decoder = Decoder::new(&input, zone).unwrap();
        let mut columns = decoder.columns();
        let message = RawMessage { payload: Some(payload), key: None, headers: &headers, offset: 0, timestamp: None };
        assert_eq!(decoder.decode(&message, &mut columns), Verdict::Ticks(1));
        let mut paths = OptionalPaths::of(&input);
        paths.add(&decoder.columns());
        paths.add(&columns);
        let mut keys = KeySurvey::default();
        keys.add(Some(payload), None, headers.into_iter());
        let named: Vec<String> = paths.never_matched(1, &keys).iter().map(ToString::to_string).collect();
        assert_eq!(
            named,
            [
                "volume is NULL in the first message of this run: no accepted one has a value at /vol",
                "source is NULL in the first message of this run: no accepted one has a value at header:Venue; did \
                 you mean 'header:venue'?",
                "bid is NULL in the first message of this run: no accepted one has a value at /q/bit; did you mean \
                 '/q/bid'?",
            ]
        );
        let canonical = OptionalPaths::of(&InputSettings::preset(crate::decode::Preset::Canonical));
        assert_eq!(canonical.never_matched(1, &keys), [], "nobody configured a path");
    }
}

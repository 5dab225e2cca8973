//! Events of the live task and their identities.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The state of `sma_crossover` changed to Buy, Sell or Hold.
    Signal,
    /// The fast mean crossed the slow one: golden or death.
    Cross,
    /// A z-score beyond the threshold: High or Low.
    Anomaly,
    /// A change from one tick to the next beyond the threshold: Up or Down.
    PriceAlert,
    /// The condition of a rule became true.
    Rule,
}

impl EventKind {
    pub const ALL: [Self; 5] = [Self::Signal, Self::Cross, Self::Anomaly, Self::PriceAlert, Self::Rule];

    pub fn name(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Cross => "cross",
            Self::Anomaly => "anomaly",
            Self::PriceAlert => "price_alert",
            Self::Rule => "rule",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What [`Event::side`] can be.
pub(in crate::live) const SIDES: [&str; 9] = ["Buy", "Sell", "Hold", "golden", "death", "High", "Low", "Up", "Down"];

/// Which tick an event is about: the identity of a row of `ticks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TickId {
    pub epoch: i32,
    pub partition: i32,
    pub offset: i64,
    pub index: i32,
}

/// Something happened with a tick. The same ticks give the same events, so that its identity ([`Event::id`]) is the
/// same after a restart.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub kind: EventKind,
    /// The name of the rule. Events of the other kinds have the name of the named query that finds the same:
    /// `sma_crossover`, `zscore_anomalies` or `price_alerts`.
    pub name: Arc<str>,
    pub symbol: Arc<str>,
    /// Event time of the tick; microseconds since the epoch, UTC.
    pub ts: i64,
    /// Days since 1970-01-01.
    pub trade_date: i32,
    /// Buy, Sell, Hold; golden, death; High, Low; Up, Down. Rules have none.
    pub side: Option<&'static str>,
    /// Whether the volume rose with it. Only `signal` and `cross` have this field.
    pub confirmed: Option<bool>,
    pub severity: Severity,
    pub close: f64,
    /// NaN is unknown.
    pub volume: f64,
    /// The value that caused the event: the difference of the means in percent of the slow one, the z-score, or the
    /// change in percent. NaN for rules.
    pub value: f64,
    pub tick: TickId,
}

impl Event {
    /// `{epoch}-{partition}-{offset}-{index}-{kind}`, and `-{name}` for rules.
    pub fn id(&self) -> EventId<'_> {
        EventId(self)
    }
}

/// See [`Event::id`].
pub struct EventId<'a>(&'a Event);

impl fmt::Display for EventId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event { kind, name, tick, .. } = self.0;
        write!(f, "{}-{}-{}-{}-{}", tick.epoch, tick.partition, tick.offset, tick.index, kind.name())?;
        match kind {
            EventKind::Rule => write!(f, "-{name}"),
            _ => Ok(()),
        }
    }
}

impl Serialize for EventId<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Event {
    /// One line for people: `2026-11-20 14:30:00.123 AAPL golden (sma_crossover, confirmed) close 101.23`.
    pub fn line(&self) -> String {
        let ts = chrono::DateTime::from_timestamp_micros(self.ts);
        let ts = ts.map(|ts| ts.format("%Y-%m-%d %H:%M:%S%.3f").to_string()).unwrap_or_default();
        let what = self.side.unwrap_or(&self.name);
        let confirmed = if self.confirmed == Some(true) { ", confirmed" } else { "" };
        // A z-score has no unit; the others are percents.
        let unit = if self.kind == EventKind::Anomaly { "" } else { " %" };
        let value = if self.value.is_nan() { String::new() } else { format!(" value {:.4}{unit}", self.value) };
        let symbol: String =
            self.symbol.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect();
        let (kind, name) = (self.kind.name(), &self.name);
        format!("{ts} {symbol} {what} ({kind} {name}{confirmed}, {}) close {}{value}", self.severity.name(), self.close)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_have_their_sign_and_a_z_score_has_none() {
        let event = |kind: EventKind, side: &'static str, value: f64| Event {
            kind,
            name: "x".into(),
            symbol: "AAPL".into(),
            ts: 1_795_185_000_123_000,
            trade_date: 20_777,
            side: Some(side),
            confirmed: None,
            severity: Severity::Info,
            close: 101.25,
            volume: 1.0,
            value,
            tick: TickId { epoch: 0, partition: 0, offset: 0, index: 0 },
        };
        let line = event(EventKind::PriceAlert, "Up", 1.5).line();
        assert_eq!(line, "2026-11-20 14:30:00.123 AAPL Up (price_alert x, info) close 101.25 value 1.5000 %");
        assert!(event(EventKind::Cross, "golden", 0.25).line().ends_with(" value 0.2500 %"));
        assert!(event(EventKind::Signal, "Buy", 0.25).line().ends_with(" value 0.2500 %"));
        assert!(event(EventKind::Anomaly, "High", 2.5).line().ends_with(" value 2.5000"));
        assert!(event(EventKind::Rule, "", f64::NAN).line().ends_with(" close 101.25"));
    }
}

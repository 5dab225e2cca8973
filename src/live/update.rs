//! Updates of the live task for displays, and the state of a symbol in them.

use std::sync::Arc;

use crate::live::event::Event;
use crate::live::values::LiveValues;

/// All that changed since the previous update. An update is broadcast at most every 100 ms, also when nothing changed.
/// A subscriber that lags behind starts over from the state of the table.
#[derive(Debug, Clone, Default)]
pub struct LiveUpdate {
    /// Symbols that had a tick.
    pub states: Vec<SymbolState>,
    /// Complete one-second bars that had a tick. A bar that is sent again replaces the earlier one.
    pub bars: Vec<SecondBar>,
    pub events: Vec<Arc<Event>>,
    pub progress: LiveProgress,
}

/// A symbol after its newest tick.
#[derive(Debug, Clone)]
pub struct SymbolState {
    pub symbol: Arc<str>,
    /// Event time of that tick; microseconds since the epoch, UTC.
    pub ts: i64,
    /// In the order of [`crate::live::VALUE_NAMES`]; NaN is unknown.
    pub values: LiveValues,
    /// `Buy`, `Sell` or `Hold`.
    pub signal: &'static str,
}

/// The ticks of a symbol in one second of event time.
#[derive(Debug, Clone)]
pub struct SecondBar {
    pub symbol: Arc<str>,
    /// Seconds since the epoch, UTC.
    pub second: i64,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    /// Unknown volumes count for nothing.
    pub volume: f64,
    pub trades: u64,
}

/// How far the live task is. Counts are since its start.
#[derive(Debug, Clone, Default)]
pub struct LiveProgress {
    pub ticks: u64,
    /// Ticks older than the newest of their symbol (less the re-order buffer): in the table, not in the live values.
    pub late: u64,
    /// Symbols that were seen in more than one partition: their order is not promised.
    pub scattered_symbols: u64,
    pub events: u64,
    /// Messages that Kafka holds beyond what was read.
    pub lag_messages: i64,
    /// Newest event time; microseconds since the epoch, UTC.
    pub newest_ts: Option<i64>,
    /// The current error of the brokers.
    pub broker_error: Option<String>,
}

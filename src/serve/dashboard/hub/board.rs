//! The newest tick of every symbol, and the changes since the last broadcast to the tabs.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::message;
use crate::live::{Event, EventKind, LiveProgress, LiveUpdate, SecondBar, SymbolState};

/// Maximum number of events in one broadcast. The newest events are kept, and events of states are dropped first; the
/// table of signals contains all of them.
const MOST_EVENTS: usize = 500;
/// Number of seconds for which a new tab receives bars, because the table may be this far behind.
const RECENT_SECONDS: usize = 120;
/// Maximum number of bars that are kept for new tabs, over all symbols.
const RECENT_BARS: usize = 200_000;

#[derive(Default)]
pub(super) struct Board {
    states: HashMap<Arc<str>, SymbolState>,
    changed: BTreeSet<Arc<str>>,
    bars: HashMap<Arc<str>, Bars>,
    barred: BTreeSet<Arc<str>>,
    events: VecDeque<Arc<Event>>,
    pub(super) progress: LiveProgress,
}

#[derive(Default)]
struct Bars {
    /// Bars sorted by second.
    recent: VecDeque<SecondBar>,
    changed: BTreeSet<i64>,
}

impl Board {
    pub(super) fn take(&mut self, update: &LiveUpdate) {
        for state in &update.states {
            self.changed.insert(Arc::clone(&state.symbol));
            self.states.insert(Arc::clone(&state.symbol), state.clone());
        }
        let each = (RECENT_BARS / self.states.len().max(1)).clamp(1, RECENT_SECONDS);
        for bar in &update.bars {
            self.barred.insert(Arc::clone(&bar.symbol));
            self.bars.entry(Arc::clone(&bar.symbol)).or_default().take(bar, each);
        }
        for event in &update.events {
            if self.events.len() == MOST_EVENTS {
                let state = self.events.iter().position(|event| event.kind == EventKind::Signal);
                self.events.remove(state.unwrap_or(0));
            }
            self.events.push_back(Arc::clone(event));
        }
        self.progress.clone_from(&update.progress);
    }

    /// Tiles of all symbols; `None` if there are none.
    pub(super) fn all_tiles(&self, now: f64) -> Option<Bytes> {
        let mut states: Vec<&SymbolState> = self.states.values().collect();
        states.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        (!states.is_empty()).then(|| message::tiles(&states, true, now))
    }

    /// Tiles of the symbols that changed since the last call.
    pub(super) fn changed_tiles(&mut self, now: f64) -> Option<Bytes> {
        let changed = std::mem::take(&mut self.changed);
        let states: Vec<&SymbolState> = changed.iter().filter_map(|symbol| self.states.get(symbol)).collect();
        (!states.is_empty()).then(|| message::tiles(&states, false, now))
    }

    /// Events since the last call.
    pub(super) fn new_events(&mut self) -> Option<Bytes> {
        let events = std::mem::take(&mut self.events);
        (!events.is_empty()).then(|| message::events(&events))
    }

    /// Discards the changes, because no tab is open.
    pub(super) fn forget_changes(&mut self) {
        self.changed.clear();
        self.events.clear();
        for symbol in std::mem::take(&mut self.barred) {
            if let Some(bars) = self.bars.get_mut(&symbol) {
                bars.changed.clear();
            }
        }
    }

    /// Bars that changed since the last call, serialized once for each symbol for which `wanted` is true.
    pub(super) fn changed_bars(&mut self, wanted: impl Fn(&str) -> bool) -> HashMap<Arc<str>, Vec<u8>> {
        let mut written = HashMap::new();
        for symbol in std::mem::take(&mut self.barred) {
            let Some(bars) = self.bars.get_mut(&symbol) else { continue };
            let changed = std::mem::take(&mut bars.changed);
            if wanted(&symbol) {
                let changed = bars.recent.iter().filter(|bar| changed.contains(&bar.second));
                written.insert(symbol, message::bar_items(changed));
            }
        }
        written
    }

    /// The newest bars of a symbol.
    pub(super) fn recent_bars(&self, symbol: &str) -> Option<Vec<u8>> {
        let bars = self.bars.get(symbol)?;
        Some(message::bar_items(&bars.recent))
    }
}

impl Bars {
    fn take(&mut self, bar: &SecondBar, most: usize) {
        let at = self.recent.partition_point(|known| known.second < bar.second);
        let is_known = self.recent.get(at).is_some_and(|known| known.second == bar.second);
        if is_known {
            self.recent[at] = bar.clone();
        } else if at > 0 || self.recent.len() < most {
            self.recent.insert(at, bar.clone());
        } else {
            // The bar is older than all bars that are kept, and there is no room. The table contains it.
            return;
        }
        self.changed.insert(bar.second);
        while self.recent.len() > most {
            if let Some(oldest) = self.recent.pop_front() {
                self.changed.remove(&oldest.second);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{Severity, TickId};

    fn bar(second: i64, close: f64) -> SecondBar {
        let symbol = Arc::from("A");
        SecondBar { symbol, second, open: 1.0, high: 2.0, low: 0.5, close, volume: 3.0, trades: 4 }
    }

    fn text(bytes: Option<Vec<u8>>) -> String {
        String::from_utf8(bytes.unwrap_or_default()).unwrap()
    }

    #[test]
    fn a_storm_of_states_hides_no_alert() {
        let event = |kind: EventKind, offset: i64| {
            let tick = TickId { epoch: 0, partition: 0, offset, index: 0 };
            let (name, symbol, severity) = (Arc::from("n"), Arc::from("A"), Severity::Info);
            let (close, volume, value) = (1.0, 1.0, 1.0);
            Arc::new(Event {
                kind,
                name,
                symbol,
                ts: offset,
                trade_date: 0,
                side: None,
                confirmed: None,
                severity,
                close,
                volume,
                value,
                tick,
            })
        };
        let mut board = Board::default();
        let alerts = (0..3).map(|offset| event(EventKind::Rule, offset));
        let states = (3..2_000).map(|offset| event(EventKind::Signal, offset));
        board.take(&LiveUpdate { events: alerts.chain(states).collect(), ..LiveUpdate::default() });
        assert_eq!(board.events.len(), MOST_EVENTS);
        let sent: Vec<i64> = board.events.iter().map(|event| event.ts).collect();
        assert_eq!((&sent[..3], sent[3], sent[MOST_EVENTS - 1]), (&[0, 1, 2][..], 1_503, 1_999));
        board.take(&LiveUpdate {
            events: (0..600).map(|offset| event(EventKind::Rule, offset)).collect(),
            ..LiveUpdate::default()
        });
        assert_eq!(board.events.iter().map(|event| event.ts).next(), Some(100), "the oldest alerts, of too many");
        assert!(board.new_events().is_some() && board.new_events().is_none());
    }

    #[test]
    fn a_bar_takes_the_place_of_the_one_before() {
        let mut board = Board::default();
        board.take(&LiveUpdate {
            bars: vec![bar(10, 1.0), bar(12, 1.0), bar(11, 1.0), bar(10, 1.5)],
            ..LiveUpdate::default()
        });
        let changed = board.changed_bars(|_| true);
        let all =
            r#"["A",10000,1.0,2.0,0.5,1.5,3.0,4],["A",11000,1.0,2.0,0.5,1.0,3.0,4],["A",12000,1.0,2.0,0.5,1.0,3.0,4]"#;
        assert_eq!(text(changed.get("A").cloned()), all);
        assert!(board.changed_bars(|_| true).is_empty());
        board.take(&LiveUpdate { bars: vec![bar(12, 9.0)], ..LiveUpdate::default() });
        let changed = board.changed_bars(|_| true);
        assert_eq!(text(changed.get("A").cloned()), r#"["A",12000,1.0,2.0,0.5,9.0,3.0,4]"#);
        let many = (100..400).map(|second| bar(second, 1.0)).collect();
        board.take(&LiveUpdate { bars: many, ..LiveUpdate::default() });
        assert_eq!(text(board.recent_bars("A")).matches("\"A\"").count(), RECENT_SECONDS);
        board.take(&LiveUpdate { bars: vec![bar(5, 1.0)], ..LiveUpdate::default() });
        assert!(!text(board.recent_bars("A")).contains(",5000,"));
        assert!(board.changed_bars(|_| false).is_empty() && board.recent_bars("B").is_none());
    }
}

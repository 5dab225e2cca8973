//! Ticks in, values and events out: pure, one owner, constant work and bounded memory per tick.
//!
//! Invariants:
//! - What it does with the ticks of a symbol depends on these ticks alone and their order, never on how they were cut
//!   into chunks, on other symbols or on the clock.
//! - A tick older than the newest of its symbol that was taken is late: counted, and in no value.
//!
//! With a re-order buffer, when a tick is taken depends on the other ticks of its partition, too.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::live::event::{Event, EventKind, Severity, TickId};
use crate::live::reorder::{BufferedTick, ReorderBuffer};
use crate::live::rolling::{CrossoverState, RollingValues, TickValues, WindowLengths};
use crate::live::rules::{RuleRows, RuleStates, Rules};
use crate::live::settings::LiveSettings;
use crate::live::update::{LiveProgress, SecondBar, SymbolState};
use crate::live::values::at;
use crate::market::TickColumns;

/// Rules are evaluated on batches of at most this many rows.
const RULE_ROWS: usize = 4_096;
/// A value that misses a threshold by this fraction of it counts as reaching it, as in the named queries.
const TOLERANCE: f64 = 1e-9;
const MICROS: i64 = 1_000_000;

/// The state of one symbol.
struct TrackedSymbol {
    name: Arc<str>,
    rolling: RollingValues,
    rule_states: RuleStates,
    /// The partition of the symbol's first tick.
    partition: i32,
    scattered: bool,
    newest: i64,
    signal: &'static str,
    bar: SecondBar,
    /// The symbol had a tick since [`SignalEngine::changed`] last returned its state.
    touched: bool,
}

/// A row on which the rules are not evaluated yet.
struct PendingRow {
    symbol: u32,
    point: TickValues,
    tick: TickId,
    emits: bool,
}

pub struct SignalEngine {
    windows: WindowLengths,
    settings: LiveSettings,
    /// For each [`EventKind`], whether its events are emitted.
    emitted_kinds: [bool; EventKind::ALL.len()],
    /// How long ticks wait for older ones, in microseconds.
    reorder: i64,
    rules: Rules,
    ids: HashMap<Arc<str>, u32>,
    symbols: Vec<TrackedSymbol>,
    /// One buffer for each partition; empty if re-ordering is off.
    waiting: BTreeMap<i32, ReorderBuffer>,
    touched: Vec<u32>,
    finished_bars: Vec<SecondBar>,
    rows: RuleRows,
    pending: Vec<PendingRow>,
    events: Vec<Event>,
    names: EventNames,
    progress: LiveProgress,
    /// Whether one-second bars are kept.
    keeps_bars: bool,
    /// During the warm-up no bars are reported: the table has them.
    is_warming_up: bool,
}

/// Names of the built-in kinds of events.
struct EventNames {
    crossover: Arc<str>,
    anomalies: Arc<str>,
    alerts: Arc<str>,
}

/// Where ticks come from, for [`SignalEngine::take`].
#[derive(Debug, Clone, Copy)]
pub struct TickPosition {
    pub epoch: i32,
    pub partition: i32,
    /// Events of ticks below this offset were already emitted.
    pub emitted_until: i64,
}

impl SignalEngine {
    pub fn new(settings: &LiveSettings, rules: Rules) -> Self {
        Self {
            windows: WindowLengths::new(settings.fast, settings.slow),
            emitted_kinds: EventKind::ALL.map(|kind| settings.kinds.contains(&kind)),
            reorder: i64::try_from(settings.reorder.as_micros()).unwrap_or(i64::MAX),
            settings: settings.clone(),
            rules,
            ids: HashMap::new(),
            symbols: Vec::new(),
            waiting: BTreeMap::new(),
            touched: Vec::new(),
            finished_bars: Vec::new(),
            rows: RuleRows::default(),
            pending: Vec::new(),
            events: Vec::new(),
            names: EventNames {
                crossover: "sma_crossover".into(),
                anomalies: "zscore_anomalies".into(),
                alerts: "price_alerts".into(),
            },
            progress: LiveProgress::default(),
            keeps_bars: false,
            is_warming_up: false,
        }
    }

    /// Makes [`SignalEngine::changed`] return one-second bars as well.
    #[must_use]
    pub fn with_bars(mut self) -> Self {
        self.keeps_bars = true;
        self
    }

    /// Takes rows of one partition in the order of arrival.
    pub fn take(&mut self, origin: TickPosition, rows: &TickColumns) {
        let ids: Vec<u32> = rows.symbols.iter().map(|name| self.id(name, origin.partition)).collect();
        for row in 0..rows.len() {
            let point = TickValues {
                ts: rows.ts[row],
                trade_date: rows.trade_date[row],
                open: rows.open[row],
                high: rows.high[row],
                low: rows.low[row],
                close: rows.close[row],
                volume: rows.volume[row],
            };
            let (offset, index) = (rows.offset[row], rows.index[row]);
            let tick = TickId { epoch: origin.epoch, partition: origin.partition, offset, index };
            self.on_tick(ids[rows.symbol[row] as usize], point, tick, offset >= origin.emitted_until);
        }
        self.evaluate_rules();
    }

    /// Takes a row of the table. The rows of a symbol come in the order (ts, partition, offset, index).
    pub fn warm_up(&mut self, symbol: &str, point: TickValues, tick: TickId, emits: bool) {
        self.is_warming_up = true;
        let id = self.id(symbol, tick.partition);
        if self.reorder > 0 {
            self.waiting.entry(tick.partition).or_default().passed(point.ts);
        }
        if point.ts >= self.symbols[id as usize].newest {
            self.accept(id, point, tick, emits);
        }
        if self.pending.len() >= RULE_ROWS {
            self.evaluate_rules();
        }
    }

    /// The number of rows that fill the windows of a symbol.
    pub fn rows_needed(&self) -> usize {
        self.windows.kept()
    }

    /// Ends the warm-up after the last row of the table.
    pub fn end_warm_up(&mut self) {
        self.evaluate_rules();
        self.is_warming_up = false;
        self.progress = LiveProgress { newest_ts: self.progress.newest_ts, ..LiveProgress::default() };
    }

    fn id(&mut self, name: &str, partition: i32) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let (id, name): (u32, Arc<str>) = (self.symbols.len() as u32, name.into());
        self.ids.insert(Arc::clone(&name), id);
        self.symbols.push(TrackedSymbol {
            rolling: RollingValues::new(&self.windows),
            rule_states: self.rules.rule_states(&name),
            partition,
            scattered: false,
            newest: i64::MIN,
            signal: "Hold",
            bar: SecondBar::nothing(&name),
            touched: false,
            name,
        });
        id
    }

    #[inline]
    fn on_tick(&mut self, id: u32, point: TickValues, tick: TickId, emits: bool) {
        let symbol = &mut self.symbols[id as usize];
        if symbol.partition != tick.partition && !symbol.scattered {
            symbol.scattered = true;
            self.progress.scattered_symbols += 1;
        }
        if self.reorder == 0 {
            self.accept_in_order(id, point, tick, emits);
        } else {
            let partition = tick.partition;
            self.waiting.entry(partition).or_default().push(BufferedTick { symbol: id, point, tick, emits });
            while let Some(due) = self.waiting.get_mut(&partition).and_then(|waiting| waiting.next_due(self.reorder)) {
                self.accept_in_order(due.symbol, due.point, due.tick, due.emits);
            }
        }
        if self.pending.len() >= RULE_ROWS {
            self.evaluate_rules();
        }
    }

    #[inline]
    fn accept_in_order(&mut self, id: u32, point: TickValues, tick: TickId, emits: bool) {
        if point.ts < self.symbols[id as usize].newest {
            self.progress.late += 1;
        } else {
            self.accept(id, point, tick, emits);
        }
    }

    /// Takes a tick that is not older than the newest one of its symbol.
    #[inline]
    fn accept(&mut self, id: u32, point: TickValues, tick: TickId, emits: bool) {
        let symbol = &mut self.symbols[id as usize];
        symbol.newest = point.ts;
        let turn = symbol.rolling.push(&self.windows, &point);
        self.progress.ticks += 1;
        self.progress.newest_ts = self.progress.newest_ts.max(Some(point.ts));
        if !symbol.touched {
            symbol.touched = true;
            self.touched.push(id);
        }
        if self.keeps_bars
            && let Some(finished) = symbol.bar.push(&point)
            && !self.is_warming_up
        {
            self.finished_bars.push(finished);
        }
        let signal = turn.signal();
        let changed = std::mem::replace(&mut symbol.signal, signal) != signal;
        if emits {
            self.emit_events(id, &point, tick, turn, changed);
        }
        if !self.rules.is_empty() {
            self.rows.push(&self.rules, &self.symbols[id as usize].rolling.values);
            self.pending.push(PendingRow { symbol: id, point, tick, emits });
        }
    }

    #[inline]
    fn emit_events(&mut self, id: u32, point: &TickValues, tick: TickId, turn: CrossoverState, changed: bool) {
        let values = &self.symbols[id as usize].rolling.values;
        let reaches = |value: f64, threshold: f64| value.abs() >= threshold * (1.0 - TOLERANCE);
        let is_anomaly = values[at::ZSCORE].abs() > self.settings.anomaly * (1.0 + TOLERANCE);
        let is_alert = reaches(values[at::CHANGE_PCT], self.settings.change);
        if !(changed || turn.cross != 0 || is_anomaly || is_alert) {
            return;
        }
        let (zscore, change) = (values[at::ZSCORE], values[at::CHANGE_PCT]);
        let distance = 100.0 * (values[at::SMA_FAST] - values[at::SMA_SLOW]) / values[at::SMA_SLOW].abs();
        let EventNames { crossover, anomalies, alerts } = &self.names;
        let about = |kind, name: &Arc<str>, side, value| {
            let symbol = &self.symbols[id as usize];
            Event { side: Some(side), value, ..event(kind, name, symbol, point, tick) }
        };
        let of_means = |kind, side| {
            let means = about(kind, crossover, side, distance);
            Event { confirmed: Some(turn.confirmed), ..means }
        };
        let found = [
            changed.then(|| of_means(EventKind::Signal, turn.signal())),
            (turn.cross != 0).then(|| of_means(EventKind::Cross, if turn.cross > 0 { "golden" } else { "death" })),
            is_anomaly.then(|| {
                let side = if zscore > 0.0 { "High" } else { "Low" };
                Event { severity: Severity::Warning, ..about(EventKind::Anomaly, anomalies, side, zscore) }
            }),
            is_alert.then(|| {
                let side = if change > 0.0 { "Up" } else { "Down" };
                Event { severity: Severity::Warning, ..about(EventKind::PriceAlert, alerts, side, change) }
            }),
        ];
        let emitted_kinds = self.emitted_kinds;
        self.events.extend(found.into_iter().flatten().filter(|event| emitted_kinds[event.kind as usize]));
    }

    /// Evaluates the rules on the pending rows.
    fn evaluate_rules(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let emits_rules = self.emitted_kinds[EventKind::Rule as usize];
        for verdict in self.rules.evaluate(&mut self.rows) {
            for (row, PendingRow { symbol, point, tick, emits }) in self.pending.iter().enumerate() {
                let symbol = &mut self.symbols[*symbol as usize];
                if verdict.fires(row, &mut symbol.rule_states, point.ts, point.trade_date) && *emits && emits_rules {
                    let event = event(EventKind::Rule, verdict.name(), symbol, point, *tick);
                    self.events.push(Event { severity: verdict.severity(), ..event });
                }
            }
        }
        self.pending.clear();
    }

    /// Returns the events since the previous call.
    pub fn events(&mut self) -> Vec<Event> {
        self.progress.events += self.events.len() as u64;
        std::mem::take(&mut self.events)
    }

    /// Returns the symbols that had a tick since the previous call, and their bars.
    pub fn changed(&mut self) -> (Vec<SymbolState>, Vec<SecondBar>) {
        let mut bars = std::mem::take(&mut self.finished_bars);
        let mut states = Vec::with_capacity(self.touched.len());
        for id in std::mem::take(&mut self.touched) {
            let symbol = &mut self.symbols[id as usize];
            symbol.touched = false;
            states.push(symbol.state());
            if self.keeps_bars && symbol.bar.trades > 0 {
                bars.push(symbol.bar.clone());
            }
        }
        (states, bars)
    }

    /// Returns the state of all symbols.
    pub fn states(&self) -> Vec<SymbolState> {
        self.symbols.iter().filter(|symbol| symbol.newest > i64::MIN).map(TrackedSymbol::state).collect()
    }

    /// The lowest offset of the partition whose tick is still in the re-order buffer.
    pub fn first_waiting(&self, partition: i32) -> Option<i64> {
        self.waiting.get(&partition).and_then(ReorderBuffer::first_offset)
    }

    pub fn progress(&self) -> &LiveProgress {
        &self.progress
    }
}

/// An event of a tick, without the fields that only some kinds have.
fn event(kind: EventKind, name: &Arc<str>, symbol: &TrackedSymbol, point: &TickValues, tick: TickId) -> Event {
    Event {
        kind,
        name: Arc::clone(name),
        symbol: Arc::clone(&symbol.name),
        ts: point.ts,
        trade_date: point.trade_date,
        side: None,
        confirmed: None,
        severity: Severity::Info,
        close: point.close,
        volume: point.volume,
        value: f64::NAN,
        tick,
    }
}

impl TrackedSymbol {
    fn state(&self) -> SymbolState {
        let Self { name, rolling, newest, signal, .. } = self;
        SymbolState { symbol: Arc::clone(name), ts: *newest, values: rolling.values, signal }
    }
}

impl SecondBar {
    fn nothing(symbol: &Arc<str>) -> Self {
        let symbol = Arc::clone(symbol);
        Self { symbol, second: i64::MIN, open: 0.0, high: 0.0, low: 0.0, close: 0.0, volume: 0.0, trades: 0 }
    }

    /// Adds a tick and returns the previous bar if the tick begins a new one.
    #[inline]
    fn push(&mut self, point: &TickValues) -> Option<Self> {
        let second = point.ts.div_euclid(MICROS);
        let close = point.close;
        let mut finished = None;
        if second != self.second {
            let next = Self { second, open: close, high: close, low: close, ..Self::nothing(&self.symbol) };
            let before = std::mem::replace(self, next);
            finished = (before.trades > 0).then_some(before);
        }
        self.high = self.high.max(close);
        self.low = self.low.min(close);
        self.close = close;
        self.volume += if point.volume.is_nan() { 0.0 } else { point.volume };
        self.trades += 1;
        finished
    }
}

//! The rolling state of one symbol: its last closes and volumes, and its session so far.
//!
//! Invariant: after [`RollingValues::push`] the values are those that the named queries give for the same row, if they
//! read the same ticks.

use crate::indicators::{LastSign, RecentValues, mean_and_deviation};
use crate::live::values::{LiveValues, VALUES, at};

/// Windows of the means of closes that can't be changed, as in `moving_averages`.
const MEANS: [(usize, usize); 3] = [(5, at::MA_5), (10, at::MA_10), (20, at::MA_20)];
const VOLUME_MEANS: [usize; 2] = [5, 10];
const VOLUME_AT: [usize; 2] = [at::VOLUME_AVG_5, at::VOLUME_AVG_10];
const VOLATILITY_ROWS: usize = 10;
const ZSCORE_ROWS: usize = 20;
/// Means that differ by this part are equal.
const TOLERANCE: f64 = 1e-9;

/// The lengths of all windows; the same for all symbols.
#[derive(Debug, Clone)]
pub struct WindowLengths {
    /// Lengths, sorted.
    lengths: Vec<usize>,
    /// Values that have the mean of each length.
    places: Vec<Vec<usize>>,
    /// Closes that are kept.
    kept: usize,
}

impl WindowLengths {
    pub fn new(fast: usize, slow: usize) -> Self {
        let mut all: std::collections::BTreeMap<usize, Vec<usize>> = std::collections::BTreeMap::new();
        for (rows, place) in MEANS.into_iter().chain([(fast, at::SMA_FAST), (slow, at::SMA_SLOW)]) {
            all.entry(rows).or_default().push(place);
        }
        let kept = all.keys().copied().max().unwrap_or_default().max(ZSCORE_ROWS + 1);
        let (lengths, places) = all.into_iter().unzip();
        Self { lengths, places, kept }
    }

    /// The number of rows that fill all windows of a symbol.
    pub fn kept(&self) -> usize {
        self.kept
    }
}

/// The fields of a tick that the values are computed from. NaN is unknown; times are microseconds since the epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TickValues {
    pub ts: i64,
    pub trade_date: i32,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: f64,
}

/// The moving-average crossover after a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrossoverState {
    /// 1: the fast mean is above the slow one, -1: below, 0: neither.
    pub side: i8,
    /// Volume rose.
    pub confirmed: bool,
    /// 1: golden, -1: death, 0: no crossing.
    pub cross: i8,
}

impl CrossoverState {
    pub fn signal(self) -> &'static str {
        match (self.side, self.confirmed) {
            (1, true) => "Buy",
            (-1, true) => "Sell",
            _ => "Hold",
        }
    }
}

#[derive(Debug, Clone)]
struct SessionTotals {
    trade_date: i32,
    open: f64,
    high: f64,
    low: f64,
    volume: f64,
    turnover: f64,
    has_volume: bool,
}

#[derive(Debug, Clone)]
pub struct RollingValues {
    closes: RecentValues,
    volumes: RecentValues,
    last_sign: LastSign,
    session: SessionTotals,
    pub values: LiveValues,
}

impl RollingValues {
    pub fn new(windows: &WindowLengths) -> Self {
        Self {
            closes: RecentValues::new(windows.kept),
            volumes: RecentValues::new(VOLUME_MEANS[1]),
            last_sign: LastSign::default(),
            session: SessionTotals::new(i32::MIN),
            values: [f64::NAN; VALUES],
        }
    }

    /// Takes the next tick of the symbol.
    #[inline]
    pub fn push(&mut self, windows: &WindowLengths, point: &TickValues) -> CrossoverState {
        let mut values = [f64::NAN; VALUES];
        let (close, volume) = (point.close, point.volume);
        let prev_close = self.closes.newest().unwrap_or(f64::NAN);
        let prev_volume = self.volumes.newest().unwrap_or(f64::NAN);
        if let Some(before) = self.closes.last(ZSCORE_ROWS) {
            let (mean, deviation) = mean_and_deviation(before);
            if deviation > 0.0 {
                values[at::ZSCORE] = (close - mean) / deviation;
            }
        }
        self.closes.push(close);
        self.volumes.push(volume);
        values[at::CLOSE] = close;
        values[at::VOLUME] = volume;
        values[at::PREV_CLOSE] = prev_close;
        values[at::PREV_VOLUME] = prev_volume;
        if prev_close > 0.0 {
            values[at::CHANGE_PCT] = 100.0 * (close - prev_close) / prev_close;
        }
        self.closes.means(&windows.lengths, |window, mean| {
            windows.places[window].iter().for_each(|place| values[*place] = mean);
        });
        self.volumes.means(&VOLUME_MEANS, |window, mean| values[VOLUME_AT[window]] = mean);
        if let Some(last) = self.closes.last(VOLATILITY_ROWS) {
            values[at::VOLATILITY] = mean_and_deviation(last).1;
        }
        self.session.push(point, &mut values);
        self.values = values;
        let side = side(values[at::SMA_FAST], values[at::SMA_SLOW]);
        let before = self.last_sign.push(side);
        CrossoverState { side, confirmed: volume > prev_volume, cross: if side * before < 0 { side } else { 0 } }
    }
}

fn side(fast: f64, slow: f64) -> i8 {
    let tolerance = TOLERANCE * slow.abs();
    i8::from(fast - slow > tolerance) - i8::from(slow - fast > tolerance)
}

impl SessionTotals {
    fn new(trade_date: i32) -> Self {
        Self {
            trade_date,
            open: f64::NAN,
            high: f64::NAN,
            low: f64::NAN,
            volume: 0.0,
            turnover: 0.0,
            has_volume: false,
        }
    }

    #[inline]
    fn push(&mut self, point: &TickValues, values: &mut LiveValues) {
        let or_close = |value: f64| if value.is_nan() { point.close } else { value };
        let (high, low) = (or_close(point.high), or_close(point.low));
        if point.trade_date != self.trade_date {
            *self = Self { open: or_close(point.open), high, low, ..Self::new(point.trade_date) };
        }
        self.high = self.high.max(high);
        self.low = self.low.min(low);
        if !point.volume.is_nan() {
            self.has_volume = true;
            self.volume += point.volume;
            self.turnover += point.close * point.volume;
        }
        values[at::DAY_OPEN] = self.open;
        values[at::DAY_HIGH] = self.high;
        values[at::DAY_LOW] = self.low;
        values[at::DAY_VOLUME] = if self.has_volume { self.volume } else { f64::NAN };
        values[at::VWAP] = if self.volume > 0.0 { self.turnover / self.volume } else { f64::NAN };
    }
}

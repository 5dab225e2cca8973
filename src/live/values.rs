//! What is known live of every symbol, by name: the columns that conditions of rules can use.

/// Number of [`VALUE_NAMES`].
pub const VALUES: usize = 19;

/// One value each of [`VALUE_NAMES`]; NaN is unknown.
pub type LiveValues = [f64; VALUES];

/// The same definitions as in the named queries. `change_pct` is to the tick before; `day_*` and `vwap` are of the
/// session (trade date) so far.
pub const VALUE_NAMES: [&str; VALUES] = [
    "close",
    "volume",
    "prev_close",
    "prev_volume",
    "change_pct",
    "ma_5",
    "sma_fast",
    "ma_10",
    "ma_20",
    "sma_slow",
    "volume_avg_5",
    "volume_avg_10",
    "volatility",
    "zscore",
    "vwap",
    "day_open",
    "day_high",
    "day_low",
    "day_volume",
];

/// Where each value is.
pub mod at {
    pub const CLOSE: usize = 0;
    pub const VOLUME: usize = 1;
    pub const PREV_CLOSE: usize = 2;
    pub const PREV_VOLUME: usize = 3;
    pub const CHANGE_PCT: usize = 4;
    pub const MA_5: usize = 5;
    pub const SMA_FAST: usize = 6;
    pub const MA_10: usize = 7;
    pub const MA_20: usize = 8;
    pub const SMA_SLOW: usize = 9;
    pub const VOLUME_AVG_5: usize = 10;
    pub const VOLUME_AVG_10: usize = 11;
    pub const VOLATILITY: usize = 12;
    pub const ZSCORE: usize = 13;
    pub const VWAP: usize = 14;
    pub const DAY_OPEN: usize = 15;
    pub const DAY_HIGH: usize = 16;
    pub const DAY_LOW: usize = 17;
    pub const DAY_VOLUME: usize = 18;
}

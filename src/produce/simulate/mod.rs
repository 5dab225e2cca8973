//! Invented ticks: correlated prices, volumes that follow the day, anomalies on request.
//!
//! A seed and a start time determine every byte. On the wall clock the seed determines everything but the times and
//! what follows from the time of the day.

mod market;
mod random;
mod volume;

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono_tz::Tz;
use rand::Rng;
use rand_distr::StandardNormal;

use super::wire::MessageEncoder;
use super::{Feed, FeedError, FeedMessage};
use crate::market::{LocalClock, Tick};
use market::{PriceDynamics, SimulatedMarket, to_tick_size};
use random::{SimulationRng, between, index, seeded, uniform};
use volume::intraday_factor;

const FIRST_NAMES: [&str; 8] = ["AAPL", "MSFT", "NVDA", "AMZN", "GOOGL", "META", "TSLA", "JPM"];
const SOURCE: &str = "sim";
const DAY_MICROS: i64 = 86_400_000_000;
/// Spread of single volumes around their median, of the logarithm.
const VOLUME_SPREAD: f64 = 0.8;

/// Event times of a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimulationClock {
    /// The time at which a tick is made.
    Wall,
    /// Begins at a time in microseconds since the epoch and moves by the interval.
    From(i64),
}

#[derive(Debug, Clone, PartialEq)]
pub struct SimulateSettings {
    /// Number of symbols, at least 1.
    pub symbols: u32,
    pub seed: u64,
    pub clock: SimulationClock,
    /// Time from one tick to the next, of whichever symbol; prices move by it.
    pub interval: Duration,
    /// Probability that a tick is an anomaly, 0 to 1.
    pub anomalies: f64,
    /// The exchange's clock, for the session and the day's open, high and low.
    pub zone: Tz,
}

impl Default for SimulateSettings {
    fn default() -> Self {
        Self {
            symbols: 120,
            seed: 1,
            clock: SimulationClock::Wall,
            interval: Duration::from_micros(500),
            anomalies: 0.0,
            zone: chrono_tz::America::New_York,
        }
    }
}

/// Anomalies made so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnomalyCounts {
    /// A price spike of 3 to 8 % in one tick, which the next tick takes back.
    pub price_spikes: u64,
    /// One volume 10 to 50 times as high.
    pub volume_bursts: u64,
}

#[derive(Debug, Clone)]
struct Instrument {
    symbol: Box<str>,
    median_volume: f64,
    /// Local date of open, high and low.
    day: i64,
    open: f64,
    high: f64,
    low: f64,
}

/// An endless row of ticks; buffers are reused.
#[derive(Debug, Clone)]
pub struct Simulator {
    random: SimulationRng,
    market: SimulatedMarket,
    instruments: Vec<Instrument>,
    clock: SimulationClock,
    local: LocalClock,
    interval_micros: f64,
    interval_seconds: f64,
    interval_root: f64,
    anomaly: f64,
    anomalies: AnomalyCounts,
    made: u64,
    ts: i64,
    trade_id: String,
}

impl Simulator {
    pub fn new(settings: &SimulateSettings) -> Self {
        let mut random = seeded(settings.seed);
        let parameters: Vec<(f64, PriceDynamics)> = (0..settings.symbols.max(1))
            .map(|_| {
                let price = between(&mut random, 10f64.ln(), 600f64.ln()).exp();
                let drift = between(&mut random, -0.05, 0.15);
                (
                    price,
                    PriceDynamics {
                        drift,
                        volatility: between(&mut random, 0.15, 0.6),
                        rho: between(&mut random, 0.4, 0.8),
                    },
                )
            })
            .collect();
        let instruments = (0..parameters.len())
            .map(|number| Instrument {
                symbol: symbol_name(number).into(),
                median_volume: between(&mut random, 20f64.ln(), 400f64.ln()).exp(),
                day: i64::MIN,
                open: 0.0,
                high: 0.0,
                low: 0.0,
            })
            .collect();
        let seconds = settings.interval.as_secs_f64();
        Self {
            random,
            market: SimulatedMarket::new(parameters.into_iter()),
            instruments,
            clock: settings.clock,
            local: LocalClock::new(settings.zone),
            interval_micros: seconds * 1e6,
            interval_seconds: seconds,
            interval_root: seconds.sqrt(),
            anomaly: settings.anomalies,
            anomalies: AnomalyCounts::default(),
            made: 0,
            ts: i64::MIN,
            trade_id: String::new(),
        }
    }

    pub fn anomalies(&self) -> AnomalyCounts {
        self.anomalies
    }

    pub fn next_tick(&mut self) -> Tick<'_> {
        let ts = self.next_ts();
        self.made += 1;
        self.market.advance(self.interval_seconds, self.interval_root, &mut self.random);
        let number = index(&mut self.random, self.instruments.len() as u32);
        let mut price = self.market.price(number, &mut self.random);
        let local = self.local.local(ts).unwrap_or(ts);
        let instrument = &mut self.instruments[number];
        let spread = (VOLUME_SPREAD * self.random.sample::<f64, _>(StandardNormal)).exp();
        let mut volume = instrument.median_volume * intraday_factor(local) * spread;
        if self.anomaly > 0.0 && uniform(&mut self.random) < self.anomaly {
            if uniform(&mut self.random) < 0.5 {
                let size = between(&mut self.random, 0.03, 0.08);
                price *= if uniform(&mut self.random) < 0.5 { 1.0 + size } else { 1.0 - size };
                self.anomalies.price_spikes += 1;
            } else {
                volume *= between(&mut self.random, 10.0, 50.0);
                self.anomalies.volume_bursts += 1;
            }
        }
        let close = to_tick_size(price);
        instrument.update_day(local.div_euclid(DAY_MICROS), close);
        self.trade_id.clear();
        write!(self.trade_id, "{}", self.made).expect("a string takes all text");
        Tick {
            symbol: &instrument.symbol,
            ts,
            open: Some(instrument.open),
            high: Some(instrument.high),
            low: Some(instrument.low),
            close,
            volume: Some(volume.round().max(1.0)),
            trade_id: Some(&self.trade_id),
            source: Some(SOURCE),
        }
    }

    /// Times never go back.
    fn next_ts(&mut self) -> i64 {
        let ts = match self.clock {
            SimulationClock::From(start) => start.saturating_add((self.made as f64 * self.interval_micros) as i64),
            SimulationClock::Wall => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
            }
        };
        self.ts = self.ts.max(ts);
        self.ts
    }
}

impl Instrument {
    fn update_day(&mut self, day: i64, close: f64) {
        if day != self.day {
            self.day = day;
            (self.open, self.high, self.low) = (close, close, close);
        }
        self.high = self.high.max(close);
        self.low = self.low.min(close);
    }
}

fn symbol_name(number: usize) -> String {
    match FIRST_NAMES.get(number) {
        Some(name) => (*name).to_owned(),
        None => format!("SYM{:04}", number - FIRST_NAMES.len() + 1),
    }
}

/// The simulator as a feed of encoded messages.
#[derive(Debug, Clone)]
pub struct SimulatedFeed {
    simulator: Simulator,
    encoder: MessageEncoder,
    payload: Vec<u8>,
}

impl SimulatedFeed {
    pub fn new(settings: &SimulateSettings, encoder: MessageEncoder) -> Self {
        Self { simulator: Simulator::new(settings), encoder, payload: Vec::new() }
    }

    pub fn anomalies(&self) -> AnomalyCounts {
        self.simulator.anomalies()
    }
}

impl Feed for SimulatedFeed {
    fn next_message(&mut self) -> Result<Option<FeedMessage<'_>>, FeedError> {
        let tick = self.simulator.next_tick();
        self.payload.clear();
        self.encoder.encode(&tick, &mut self.payload)?;
        Ok(Some(FeedMessage { key: Some(tick.symbol.as_bytes()), payload: &self.payload, ts: Some(tick.ts) }))
    }
}

#[cfg(test)]
mod tests;

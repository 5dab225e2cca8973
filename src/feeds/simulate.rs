//! A seeded market: geometric Brownian motion with one common factor, an intraday volume curve, and anomalies on
//! request. The same settings give the same ticks, byte for byte.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

use crate::market::Tick;

const NAMES: [&str; 12] =
    ["AAPL", "MSFT", "NVDA", "AMZN", "GOOG", "META", "TSLA", "JPM", "XOM", "WMT", "UNH", "BTC-USD"];
/// Of the log price, per square root of a second: 30 % a year of 252 sessions of 6.5 hours.
const VOLATILITY: f64 = 0.30 / 2_428.0;
/// Share of a symbol's variance that the common factor explains.
const COMMON_SHARE: f64 = 0.4;
const SESSION_OPEN_SECONDS: i64 = 14 * 3_600 + 30 * 60;
const SESSION_SECONDS: f64 = 6.5 * 3_600.0;
const DAY_SECONDS: i64 = 86_400;
/// An anomaly moves the price by this part, back at the next tick, and multiplies the volume.
const SPIKE: f64 = 0.03;
const VOLUME_BURST: f64 = 20.0;

#[derive(Debug, Clone, PartialEq)]
pub struct SimulateSettings {
    pub symbols: usize,
    pub seed: u64,
    /// Event time of the first tick, microseconds since the epoch.
    pub start: i64,
    /// Event time between two ticks of the whole market, in microseconds.
    pub step: f64,
    /// Probability that a tick is an anomaly.
    pub anomalies: f64,
}

struct Instrument {
    name: String,
    log_price: f64,
    last_close: f64,
    beta: f64,
    volume: f64,
    /// The common factor and the time when it moved last.
    factor_seen: f64,
    ts: f64,
}

pub struct Simulator {
    settings: SimulateSettings,
    random: StdRng,
    instruments: Vec<Instrument>,
    factor: f64,
    ts: f64,
    count: u64,
    trade_id: String,
    anomalies: u64,
}

impl Simulator {
    pub fn new(settings: SimulateSettings) -> Self {
        let mut random = StdRng::seed_from_u64(settings.seed);
        let start = settings.start as f64;
        let instruments = (0..settings.symbols.max(1))
            .map(|number| {
                let price: f64 = random.random_range(20.0..400.0);
                Instrument {
                    name: NAMES.get(number).map_or_else(|| format!("SYM{number:04}"), |name| (*name).to_owned()),
                    log_price: price.ln(),
                    last_close: cents(price),
                    beta: random.random_range(0.5..1.5),
                    volume: random.random_range(50.0..800.0),
                    factor_seen: 0.0,
                    ts: start,
                }
            })
            .collect();
        let (factor, count, anomalies) = (0.0, 0, 0);
        Self { settings, random, instruments, factor, ts: start, count, trade_id: String::new(), anomalies }
    }

    /// Anomalies so far.
    pub fn anomalies(&self) -> u64 {
        self.anomalies
    }

    /// Never ends.
    pub fn next_tick(&mut self) -> Tick<'_> {
        use std::fmt::Write;
        let normal: f64 = StandardNormal.sample(&mut self.random);
        self.factor += VOLATILITY * COMMON_SHARE.sqrt() * (self.settings.step * 1e-6).sqrt() * normal;
        let at = self.random.random_range(0..self.instruments.len());
        let is_anomaly = self.settings.anomalies > 0.0 && self.random.random_bool(self.settings.anomalies.min(1.0));
        self.anomalies += u64::from(is_anomaly);
        let ts = self.ts;
        let instrument = &mut self.instruments[at];

        let seconds = ((ts - instrument.ts) * 1e-6).max(0.0);
        let normal: f64 = StandardNormal.sample(&mut self.random);
        let own = VOLATILITY * (1.0 - COMMON_SHARE).sqrt() * seconds.sqrt() * normal;
        instrument.log_price += instrument.beta * (self.factor - instrument.factor_seen) + own;
        (instrument.factor_seen, instrument.ts) = (self.factor, ts);

        let spike = match (is_anomaly, self.random.random_bool(0.5)) {
            (false, _) => 1.0,
            (true, true) => 1.0 + SPIKE,
            (true, false) => 1.0 - SPIKE,
        };
        let open = instrument.last_close;
        let close = cents(instrument.log_price.exp() * spike);
        instrument.last_close = close;
        let wick: f64 = self.random.random_range(0.0..0.0005);
        let high = cents(open.max(close) * (1.0 + wick));
        let low = cents(open.min(close) * (1.0 - wick));
        let draw: f64 = StandardNormal.sample(&mut self.random);
        let burst = if is_anomaly { VOLUME_BURST } else { 1.0 };
        let volume = (instrument.volume * (0.6 * draw).exp() * volume_curve(ts as i64) * burst).ceil().max(1.0);

        self.count += 1;
        self.trade_id.clear();
        write!(self.trade_id, "{}", self.count).expect("a string takes all text");
        self.ts += self.settings.step;
        Tick {
            symbol: &instrument.name,
            ts: ts as i64,
            open: Some(open),
            high: Some(high),
            low: Some(low),
            close,
            volume: Some(volume),
            trade_id: Some(&self.trade_id),
            source: Some("sim"),
        }
    }
}

/// Busy at the open and the close, quiet at noon, thin outside of the session (14:30 to 21:00 UTC).
fn volume_curve(ts: i64) -> f64 {
    let second = (ts / 1_000_000).rem_euclid(DAY_SECONDS) - SESSION_OPEN_SECONDS;
    let place = second as f64 / SESSION_SECONDS;
    if !(0.0..=1.0).contains(&place) {
        return 0.3;
    }
    0.6 + 1.6 * (2.0 * place - 1.0).powi(2)
}

/// Never below a cent.
fn cents(price: f64) -> f64 {
    ((price * 100.0).round() / 100.0).max(0.01)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(anomalies: f64) -> SimulateSettings {
        SimulateSettings { symbols: 20, seed: 7, start: 1_795_185_000_000_000, step: 500.0, anomalies }
    }

    #[test]
    fn a_seed_gives_the_same_ticks() {
        let ticks = |seed| {
            let mut market = Simulator::new(SimulateSettings { seed, ..settings(0.01) });
            (0..1_000).map(|_| format!("{:?}", market.next_tick())).collect::<Vec<_>>()
        };
        assert_eq!(ticks(7), ticks(7));
        assert_ne!(ticks(7), ticks(8));
    }

    #[test]
    fn prices_move_as_configured_and_together() {
        const STEPS: usize = 400_000;
        let mut market = Simulator::new(SimulateSettings { step: 1_000_000.0, symbols: 2, ..settings(0.0) });
        let mut returns = [Vec::new(), Vec::new()];
        let mut previous = [None::<f64>; 2];
        let mut latest = [0.0f64; 2];
        for step in 0..STEPS {
            let tick = market.next_tick();
            let at = usize::from(tick.symbol != "AAPL");
            assert!(tick.low <= Some(tick.close) && Some(tick.close) <= tick.high && tick.volume >= Some(1.0));
            latest[at] = tick.close.ln();
            if step % 400 == 399 {
                for at in 0..2 {
                    if let Some(previous) = previous[at] {
                        returns[at].push(latest[at] - previous);
                    }
                    previous[at] = Some(latest[at]);
                }
            }
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let covariance = |a: &[f64], b: &[f64]| {
            let (mean_a, mean_b) = (mean(a), mean(b));
            a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum::<f64>() / a.len() as f64
        };
        let [a, b] = &returns;
        let correlation = covariance(a, b) / (covariance(a, a) * covariance(b, b)).sqrt();
        assert!((0.15..0.75).contains(&correlation), "{correlation}");
        let volatility = covariance(a, a).sqrt() / 400f64.sqrt();
        assert!((0.6..1.6).contains(&(volatility / VOLATILITY)), "{volatility} against {VOLATILITY}");
    }

    #[test]
    fn anomalies_come_as_often_as_asked() {
        let mut market = Simulator::new(settings(0.02));
        for _ in 0..50_000 {
            market.next_tick();
        }
        assert!((800..1_200).contains(&market.anomalies()), "{}", market.anomalies());
    }
}

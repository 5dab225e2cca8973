//! Prices: geometric Brownian motion with one factor that all symbols share.
//!
//! `ln S(t) = ln S(0) + (mu - sigma^2 / 2) t + rho sigma M(t) + sqrt(1 - rho^2) sigma W(t)`, where M is the market's
//! Wiener process and W the symbol's own. Two symbols correlate by the product of their rho. Steps are exact, so the
//! distribution does not depend on how often a symbol ticks.

use rand::Rng;
use rand_distr::StandardNormal;

use super::random::SimulationRng;

/// Trading seconds of a year: 252 sessions of six and a half hours.
pub(super) const YEAR_SECONDS: f64 = 252.0 * 23_400.0;
const LOWEST_PRICE: f64 = 0.0001;

/// Parameters of one symbol. Rates are per year.
#[derive(Debug, Clone, Copy)]
pub(super) struct PriceDynamics {
    pub drift: f64,
    pub volatility: f64,
    /// Correlation with the market.
    pub rho: f64,
}

#[derive(Debug, Clone)]
struct PriceWalk {
    log_start: f64,
    /// `mu - sigma^2 / 2` per second.
    log_drift: f64,
    market_scale: f64,
    own_scale: f64,
    own: f64,
    seconds: f64,
}

/// All prices at the present moment of the simulation.
#[derive(Debug, Clone)]
pub(super) struct SimulatedMarket {
    seconds: f64,
    factor: f64,
    walks: Vec<PriceWalk>,
}

impl SimulatedMarket {
    pub(super) fn new(symbols: impl Iterator<Item = (f64, PriceDynamics)>) -> Self {
        let walk = |(price, dynamics): (f64, PriceDynamics)| {
            let second = 1.0 / YEAR_SECONDS;
            let volatility = dynamics.volatility * second.sqrt();
            PriceWalk {
                log_start: price.ln(),
                log_drift: (dynamics.drift - dynamics.volatility * dynamics.volatility / 2.0) * second,
                market_scale: dynamics.rho * volatility,
                own_scale: (1.0 - dynamics.rho * dynamics.rho).sqrt() * volatility,
                own: 0.0,
                seconds: 0.0,
            }
        };
        Self { seconds: 0.0, factor: 0.0, walks: symbols.map(walk).collect() }
    }

    /// Moves the market on by a time in seconds, whose square root the caller knows.
    #[inline]
    pub(super) fn advance(&mut self, seconds: f64, root: f64, random: &mut SimulationRng) {
        self.seconds += seconds;
        self.factor += root * random.sample::<f64, _>(StandardNormal);
    }

    /// The price of a symbol now, not rounded.
    #[inline]
    pub(super) fn price(&mut self, symbol: usize, random: &mut SimulationRng) -> f64 {
        let (now, factor) = (self.seconds, self.factor);
        let walk = &mut self.walks[symbol];
        walk.own += (now - walk.seconds).sqrt() * random.sample::<f64, _>(StandardNormal);
        walk.seconds = now;
        let log = walk.log_start + walk.log_drift * now + walk.market_scale * factor + walk.own_scale * walk.own;
        log.exp()
    }
}

/// Prices come in cents, below 1 in hundredths of a cent.
#[inline]
pub(super) fn to_tick_size(price: f64) -> f64 {
    let steps = if price >= 1.0 { 100.0 } else { 10_000.0 };
    ((price * steps).round() / steps).max(LOWEST_PRICE)
}

#[cfg(test)]
mod tests {
    use super::super::random::seeded;
    use super::*;

    /// Log returns of two symbols over `steps` steps.
    fn returns(dynamics: [PriceDynamics; 2], steps: usize, step_seconds: f64) -> [Vec<f64>; 2] {
        let mut random = seeded(11);
        let mut market = SimulatedMarket::new(dynamics.into_iter().map(|one| (100.0, one)));
        let mut last = [100.0f64; 2];
        let mut returns = [Vec::new(), Vec::new()];
        for _ in 0..steps {
            market.advance(step_seconds, step_seconds.sqrt(), &mut random);
            for symbol in 0..2 {
                let price = market.price(symbol, &mut random);
                returns[symbol].push((price / last[symbol]).ln());
                last[symbol] = price;
            }
        }
        returns
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn covariance(left: &[f64], right: &[f64]) -> f64 {
        let (left_mean, right_mean) = (mean(left), mean(right));
        left.iter().zip(right).map(|(l, r)| (l - left_mean) * (r - right_mean)).sum::<f64>() / left.len() as f64
    }

    #[test]
    fn returns_have_the_drift_the_volatility_and_the_correlation() {
        let first = PriceDynamics { drift: 0.08, volatility: 0.3, rho: 0.6 };
        let second = PriceDynamics { drift: -0.05, volatility: 0.5, rho: 0.8 };
        let day = YEAR_SECONDS / 252.0;
        let [a, b] = returns([first, second], 200_000, day);
        for (found, expected) in [(&a, first), (&b, second)] {
            let volatility = (covariance(found, found) * 252.0).sqrt();
            assert!((volatility / expected.volatility - 1.0).abs() < 0.01, "{volatility}");
            let drift = mean(found) * 252.0 + expected.volatility.powi(2) / 2.0;
            // Standard error: 0.5 / sqrt(200,000 / 252 years) = 0.018.
            assert!((drift - expected.drift).abs() < 0.06, "{drift}");
        }
        let correlation = covariance(&a, &b) / (covariance(&a, &a) * covariance(&b, &b)).sqrt();
        assert!((correlation - 0.48).abs() < 0.01, "{correlation}");
        let memory = covariance(&a[1..], &a[..a.len() - 1]) / covariance(&a, &a);
        assert!(memory.abs() < 0.01, "{memory}");
    }

    #[test]
    fn prices_have_a_tick_size_and_stay_above_zero() {
        assert_eq!(to_tick_size(101.234_9), 101.23);
        assert_eq!(to_tick_size(0.123_46), 0.1235);
        assert_eq!(to_tick_size(1e-9), LOWEST_PRICE);
    }
}

//! How fast the live engine is, how long an event takes inside of the process, and what it keeps.
//!
//! `cargo bench --bench live`: what 10,000 symbols keep; then 1,000 symbols and 20 rules on one core, all values. Prints medians of
//! 5 runs.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark ends where a test would, and prints")]

use std::time::{Duration, Instant};

use tickhouse::live::{LiveSettings, RuleSettings, Rules, SignalEngine, TickPosition};
use tickhouse::market::{Tick, TickColumns};

const RUNS: usize = 5;
const ORIGIN: TickPosition = TickPosition { epoch: 0, partition: 0, emitted_until: 0 };
const BEGIN: i64 = 1_795_185_000_000_000; // 2026-11-20T14:30:00Z
const TRADE_DATE: i32 = 20_777;
/// A batch of the tail at 50,000 ticks a second.
const SMALL: usize = 250;
const LARGE: usize = 8_192;

fn main() {
    let settings = settings();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rules = |settings: &LiveSettings| runtime.block_on(Rules::plan(&settings.rules)).unwrap();
    // First, while little that was freed can be used again; the program itself and the plans are there.
    let (planned, mut few) = (rules(&settings), SignalEngine::new(&settings, rules(&settings)));
    few.take(ORIGIN, &chunk(10, 0, 1_000));
    let before = resident();
    let mut engine = SignalEngine::new(&settings, planned).with_bars();
    for round in 0..300 {
        engine.take(ORIGIN, &chunk(10_000, round * 1_000, 1_000));
        engine.events();
        engine.changed();
    }
    println!("10,000 symbols, 20 rules, bars: {:.1} MiB", (resident() - before) as f64 / 1_048_576.0);
    for (symbols, batch) in [(1_000, LARGE), (1_000, SMALL)] {
        let chunks = chunks(symbols, 2_000_000, batch);
        let (mut rates, mut latencies, mut events) = (Vec::new(), Vec::new(), 0);
        for _ in 0..RUNS {
            let mut engine = SignalEngine::new(&settings, rules(&settings));
            let begun = Instant::now();
            events = 0;
            for chunk in &chunks {
                let taken = Instant::now();
                engine.take(ORIGIN, chunk);
                events += engine.events().len();
                latencies.push(taken.elapsed());
            }
            rates.push(2_000_000.0 / begun.elapsed().as_secs_f64());
        }
        println!(
            "{symbols} symbols, 20 rules, batches of {batch}: {:.2} million ticks/s, {events} events of 2,000,000 ticks; \
             a batch to its events: median {:.3} ms, p99 {:.3} ms",
            median(&mut rates) / 1e6,
            millis(percentile(&mut latencies, 0.5)),
            millis(percentile(&mut latencies, 0.99)),
        );
    }
}

fn settings() -> LiveSettings {
    let conditions = [
        "change_pct > 1 AND volume > 2 * volume_avg_10",
        "change_pct < -1 AND volume > 2 * volume_avg_10",
        "close > vwap * 1.01",
        "close < vwap * 0.99",
        "zscore > 3",
        "zscore < -3",
        "ma_5 > ma_20 AND sma_fast > sma_slow",
        "ma_5 < ma_20 AND sma_fast < sma_slow",
        "volatility > close * 0.01",
        "day_high - day_low > day_open * 0.05",
        "close >= day_high",
        "close <= day_low",
        "volume > 10 * volume_avg_5",
        "abs(change_pct) > 2",
        "close > 2 * day_open",
        "prev_close > 0 AND close / prev_close > 1.02",
        "day_volume > 1000000",
        "volume_avg_5 > 2 * volume_avg_10",
        "close BETWEEN ma_10 * 0.999 AND ma_10 * 1.001 AND zscore > 1",
        "volume IS NOT NULL AND volume > 100000",
    ];
    let rules = conditions.iter().enumerate().map(|(at, when)| RuleSettings::new(&format!("rule{at}"), when)).collect();
    LiveSettings { rules, ..LiveSettings::default() }
}

fn chunks(symbols: usize, ticks: usize, batch: usize) -> Vec<TickColumns> {
    (0..ticks).step_by(batch).map(|first| chunk(symbols, first, batch.min(ticks - first))).collect()
}

/// Walks of prices with a jump now and then; the same each time.
fn chunk(symbols: usize, first: usize, count: usize) -> TickColumns {
    let mut columns = TickColumns::default();
    for n in first..first + count {
        let symbol = format!("SYM{:05}", n % symbols);
        let phase = (n / symbols) as f64;
        let jump = if n.is_multiple_of(997) { 1.03 } else { 1.0 };
        let close = (100.0 + (phase / 7.0 + (n % symbols) as f64).sin() * 2.0) * jump;
        let tick = Tick {
            symbol: &symbol,
            ts: BEGIN + n as i64 * 20,
            open: None,
            high: None,
            low: None,
            close,
            volume: Some((n * 7 % 113) as f64),
            trade_id: None,
            source: None,
        };
        columns.push(&tick, TRADE_DATE, n as i64, 0, None);
    }
    columns
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn percentile(values: &mut [Duration], part: f64) -> Duration {
    values.sort();
    values[((values.len() - 1) as f64 * part) as usize]
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Bytes of the process in memory.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

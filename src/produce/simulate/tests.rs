//! What a simulation promises: the same bytes for a seed, sensible bars, counted anomalies.

use std::collections::BTreeMap;

use super::*;
use crate::decode::Preset;

/// 2026-11-20T14:30:00Z, the opening in New York.
const OPENING: i64 = 1_795_185_000_000_000;

fn settings(seed: u64) -> SimulateSettings {
    SimulateSettings {
        symbols: 20,
        seed,
        clock: SimulationClock::From(OPENING),
        interval: Duration::from_millis(1),
        ..SimulateSettings::default()
    }
}

fn bytes(settings: &SimulateSettings, count: usize) -> Vec<u8> {
    let encoder = MessageEncoder::new(Preset::Canonical, None).unwrap();
    let mut feed = SimulatedFeed::new(settings, encoder);
    let mut all = Vec::new();
    for _ in 0..count {
        all.extend_from_slice(feed.next_message().unwrap().unwrap().payload);
        all.push(b'\n');
    }
    all
}

#[test]
fn a_seed_determines_every_byte() {
    assert_eq!(bytes(&settings(7), 1_000), bytes(&settings(7), 1_000));
    assert_ne!(bytes(&settings(7), 1_000), bytes(&settings(8), 1_000));
}

/// Computed by another program from the algorithms: a seed that is written down somewhere stays good.
#[test]
fn a_seed_means_the_same_in_every_version() {
    let mut simulator = Simulator::new(&settings(7));
    for expected in [
        ("JPM", 48.33, 49.0),
        ("JPM", 48.33, 65.0),
        ("SYM0009", 154.04, 63.0),
        ("META", 158.99, 83.0),
        ("SYM0011", 195.1, 114.0),
    ] {
        let tick = simulator.next_tick();
        assert_eq!((tick.symbol, tick.close, tick.volume.unwrap()), expected);
    }
}

#[test]
fn messages_are_of_a_real_size() {
    let mean = bytes(&settings(7), 10_000).len() / 10_000;
    assert!((140..165).contains(&mean), "{mean}");
}

#[test]
fn bars_hold_their_prices_and_times_move_by_the_interval() {
    let mut simulator = Simulator::new(&SimulateSettings { anomalies: 0.01, ..settings(3) });
    let mut symbols = BTreeMap::new();
    for number in 0..50_000i64 {
        let tick = simulator.next_tick();
        let (open, high, low) = (tick.open.unwrap(), tick.high.unwrap(), tick.low.unwrap());
        assert!(low <= tick.close && tick.close <= high && low <= open && open <= high, "{tick:?}");
        assert!(tick.close > 0.0 && tick.volume.unwrap() >= 1.0);
        assert_eq!(tick.ts, OPENING + number * 1_000);
        assert_eq!(tick.trade_id, Some((number + 1).to_string().as_str()));
        *symbols.entry(tick.symbol.to_owned()).or_insert(0) += 1;
    }
    assert_eq!(symbols.len(), 20);
    assert!(symbols.contains_key("AAPL") && symbols.contains_key("SYM0001") && symbols.contains_key("SYM0012"));
    assert!(symbols.values().all(|count| (2_200..2_800).contains(count)), "{symbols:?}");
    let anomalies = simulator.anomalies();
    assert!((400..600).contains(&(anomalies.price_spikes + anomalies.volume_bursts)), "{anomalies:?}");
    assert!(anomalies.price_spikes > 150 && anomalies.volume_bursts > 150, "{anomalies:?}");
}

#[test]
fn open_high_and_low_restart_with_the_local_day() {
    let day = SimulateSettings { symbols: 1, interval: Duration::from_secs(60), ..settings(3) };
    let mut simulator = Simulator::new(&day);
    let mut opens = Vec::new();
    for _ in 0..3 * 24 * 60 {
        let tick = simulator.next_tick();
        let local_day = (tick.ts - 5 * 3_600_000_000).div_euclid(DAY_MICROS);
        if opens.last().is_none_or(|(day, _)| *day != local_day) {
            opens.push((local_day, tick.close));
        }
        assert_eq!(tick.open, opens.last().map(|(_, open)| *open));
    }
    assert_eq!(opens.len(), 4);
}

#[test]
fn more_is_traded_at_the_opening_than_at_noon() {
    let session = SimulateSettings { symbols: 1, interval: Duration::from_secs(1), ..settings(5) };
    let mut simulator = Simulator::new(&session);
    let volumes: Vec<f64> = (0..23_400).map(|_| simulator.next_tick().volume.unwrap()).collect();
    let sum = |from: usize| volumes[from..from + 1_800].iter().sum::<f64>();
    let (opening, noon, closing) = (sum(0), sum(10_800), sum(21_600));
    assert!(opening > 2.5 * noon && closing > 2.5 * noon, "{opening} {noon} {closing}");
}

#[test]
fn wall_clock_times_are_now_and_never_go_back() {
    let mut simulator = Simulator::new(&SimulateSettings { clock: SimulationClock::Wall, ..settings(3) });
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
    let times: Vec<i64> = (0..1_000).map(|_| simulator.next_tick().ts).collect();
    assert!(times[0] >= before && times.is_sorted());
}

//! Live against batch: the same ticks through the engine and through the named queries.

mod batch;
mod streams;

use proptest::prelude::*;

use crate::live::{Event, LiveSettings, RuleSettings, Rules, SignalEngine, TickPosition};
use crate::market::{Tick, TickColumns};
use crate::query::tests::{DAY_MICROS, Row, START};

const SYMBOLS: [&str; 4] = ["AAPL", "MSFT", "<script>", "\u{1f4c8}"];

/// Ticks in order of arrival, which is the order of windows: steps of the price, ties, jumps, unknown volumes, three
/// days.
pub(in crate::live) fn rows() -> impl Strategy<Value = Vec<Row>> {
    let one = (0..SYMBOLS.len(), 0i64..3, -40i32..40, 0u32..12, 0..200u8);
    prop::collection::vec(one, 1..400).prop_map(|steps| {
        let mut prices = [100.0, 50.0, 1e6, 0.5];
        let days = 3 * DAY_MICROS / (steps.len() as i64 + 1);
        let row = |(offset, (symbol, pause, step, volume, dice)): (usize, (usize, i64, i32, u32, u8))| {
            let price = &mut prices[symbol];
            let factor = match dice {
                0 => 1.08,
                1 => 0.95,
                // Means that are equal need prices that are.
                2..80 => 1.0,
                _ => 1.0 + f64::from(step) / 10_000.0,
            };
            *price *= factor;
            // Ticks of the same microsecond, too.
            let ts = START + offset as i64 / 3 * days + pause * i64::from(offset % 3 == 2);
            let volume = (volume > 0).then(|| f64::from(volume - 1) * 10.0);
            let row = Row::new(SYMBOLS[symbol], ts, *price, volume, offset as i64);
            let ends = |factor: f64| (dice % 3 > 0).then_some(*price * factor);
            Row { open: ends(1.001), high: ends(1.01), low: ends(0.99), ..row }
        };
        steps.into_iter().enumerate().map(row).collect()
    })
}

pub(in crate::live) fn columns(rows: &[Row]) -> TickColumns {
    let mut columns = TickColumns::default();
    for row in rows {
        let Row { symbol, ts, open, high, low, close, volume, .. } = row;
        let tick = Tick {
            symbol,
            ts: *ts,
            open: *open,
            high: *high,
            low: *low,
            close: *close,
            volume: *volume,
            trade_id: None,
            source: None,
        };
        columns.push(&tick, row.date(), row.offset, row.index, None);
    }
    columns
}

pub(in crate::live) const ORIGIN: TickPosition = TickPosition { epoch: 0, partition: 0, emitted_until: 0 };

pub(in crate::live) fn take(engine: &mut SignalEngine, rows: &[Row]) -> Vec<Event> {
    engine.take(ORIGIN, &columns(rows));
    engine.events()
}

/// Of all kinds, in an order of their own.
pub(in crate::live) fn ids(events: &[Event]) -> Vec<String> {
    let mut ids: Vec<String> = events.iter().map(|event| format!("{} {:?}", event.id(), event.side)).collect();
    ids.sort();
    ids
}

pub(in crate::live) fn settings() -> LiveSettings {
    let rule = |name: &str, when: &str| RuleSettings::new(name, when);
    let until = RuleSettings { until: Some("close > vwap".to_owned()), ..rule("below", "close < vwap * 0.999") };
    let cool = RuleSettings {
        cool_down: std::time::Duration::from_secs(3600),
        symbols: vec!["A*".to_owned(), "M*".to_owned()],
        ..rule("jump", "change_pct > 1 OR change_pct < -1")
    };
    LiveSettings {
        rules: vec![until, cool, rule("trend", "ma_5 > ma_20 AND volume > 2 * volume_avg_10")],
        ..LiveSettings::default()
    }
}

pub(in crate::live) async fn engine(settings: &LiveSettings) -> SignalEngine {
    SignalEngine::new(settings, Rules::plan(&settings.rules).await.unwrap())
}

pub(in crate::live) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

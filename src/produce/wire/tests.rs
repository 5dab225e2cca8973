//! Every format is read back by the decoder as the tick that was written.

use clap::ValueEnum;
use proptest::prelude::*;

use super::*;
use crate::decode::{Decoder, InputSettings, RawMessage, Verdict};
use crate::market::{MarketZone, TickColumns};

/// The part of a tick that a format carries; the source is its name.
fn carried<'a>(preset: Preset, tick: &Tick<'a>) -> Tick<'a> {
    let bare = Tick { open: None, high: None, low: None, trade_id: None, source: None, ..*tick };
    let millis = tick.ts.div_euclid(1_000) * 1_000;
    match preset {
        Preset::Canonical => *tick,
        Preset::SymbolClose | Preset::PriceChange => bare,
        Preset::Binance => Tick { ts: millis, trade_id: tick.trade_id, source: Some("binance"), ..bare },
        Preset::Coinbase => Tick { trade_id: tick.trade_id, source: Some("coinbase"), ..bare },
        Preset::Finnhub => Tick { ts: millis, source: Some("finnhub"), ..bare },
        Preset::Alpaca => Tick { trade_id: tick.trade_id, source: Some("alpaca"), ..bare },
        Preset::Massive => Tick { ts: millis, trade_id: tick.trade_id, source: Some("massive"), ..bare },
    }
}

fn row(rows: &TickColumns, row: usize) -> Tick<'_> {
    let double = |value: f64| (!value.is_nan()).then_some(value);
    Tick {
        symbol: &rows.symbols[rows.symbol[row] as usize],
        ts: rows.ts[row],
        open: double(rows.open[row]),
        high: double(rows.high[row]),
        low: double(rows.low[row]),
        close: rows.close[row],
        volume: double(rows.volume[row]),
        trade_id: rows.trade_id.get(row),
        source: rows.source.get(row),
    }
}

fn check(preset: Preset, tick: &Tick<'_>) {
    // Kolkata has no summer time, so every local time there has one meaning.
    let zone = chrono_tz::Asia::Kolkata;
    let mut settings = InputSettings::preset(preset);
    if matches!(preset, Preset::SymbolClose | Preset::PriceChange) {
        settings.zone = Some(zone.name().to_owned());
    }
    let mut decoder = Decoder::new(&settings, MarketZone::new(zone)).unwrap();
    let mut payload = Vec::new();
    MessageEncoder::new(preset, Some(zone)).unwrap().encode(tick, &mut payload).unwrap();
    let mut rows = decoder.columns();
    let message = RawMessage { payload: Some(&payload), key: None, headers: &[], offset: 0, timestamp: None };
    let verdict = decoder.decode(&message, &mut rows);
    let text = String::from_utf8_lossy(&payload);
    assert_eq!(verdict, Verdict::Ticks(1), "{preset}: {text}");
    assert_eq!(row(&rows, 0), carried(preset, tick), "{preset}: {text}");
    serde_json::from_slice::<serde_json::Value>(&payload).unwrap();
}

proptest! {
    #[test]
    fn every_format_is_read_back(
        symbol in "[A-Z][A-Z0-9./-]{0,11}",
        ts in 631_152_000_000_000i64..4_000_000_000_000_000,
        close in 1i64..1_000_000_000,
        places in prop::sample::select(vec![100.0, 10_000.0, 1e8, 3.0]),
        volume in prop::option::of(0.0f64..1e9),
        around in prop::option::of(0.5f64..1.0),
        trade_id in prop::option::of("[1-9][0-9]{0,17}|[a-z0-9-]{1,20}"),
        source in prop::option::of("[a-z \"\\\\é]{1,8}"),
    ) {
        let close = close as f64 / places;
        let tick = Tick {
            symbol: &symbol,
            ts,
            open: around.map(|part| close * part),
            high: around.map(|part| close / part),
            low: around.map(|part| close * part * part),
            close,
            volume,
            trade_id: trade_id.as_deref(),
            source: source.as_deref(),
        };
        for &preset in Preset::value_variants() {
            check(preset, &tick);
        }
    }
}

const TICK: Tick<'static> = Tick {
    symbol: "AAPL",
    ts: 1_763_649_000_123_456,
    open: Some(100.0),
    high: Some(102.5),
    low: Some(99.98),
    close: 101.23,
    volume: Some(1234.0),
    trade_id: Some("77"),
    source: Some("sim"),
};

#[test]
fn formats() {
    let show = |preset: Preset| {
        let mut out = Vec::new();
        MessageEncoder::new(preset, Some(chrono_tz::America::New_York)).unwrap().encode(&TICK, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    for (preset, expected) in [
        (
            Preset::Canonical,
            r#"{"symbol":"AAPL","ts":"2025-11-20T14:30:00.123456Z","open":100,"high":102.5,"low":99.98,"close":101.23,"volume":1234,"trade_id":"77","source":"sim"}"#,
        ),
        (
            Preset::SymbolClose,
            r#"{"symbol":"AAPL","Date-Time":"2025-11-20 09:30:00.123456","Close":101.23,"Volume":1234}"#,
        ),
        (
            Preset::PriceChange,
            r#"{"symbol":"AAPL","price":101.23,"volume":1234,"timestamp":"2025-11-20T09:30:00.123456","change_percent":1.23}"#,
        ),
        (
            Preset::Binance,
            r#"{"e":"trade","E":1763649000123,"s":"AAPL","t":77,"p":"101.23000000","q":"1234.00000000","T":1763649000123,"m":true,"M":true}"#,
        ),
        (
            Preset::Coinbase,
            r#"{"type":"match","trade_id":77,"sequence":1,"time":"2025-11-20T14:30:00.123456Z","product_id":"AAPL","size":"1234.00000000","price":"101.23000000","side":"sell"}"#,
        ),
        (Preset::Finnhub, r#"{"data":[{"c":["1"],"p":101.23,"s":"AAPL","t":1763649000123,"v":1234}],"type":"trade"}"#),
        (
            Preset::Alpaca,
            r#"[{"T":"t","S":"AAPL","i":77,"x":"V","p":101.23,"s":1234,"t":"2025-11-20T14:30:00.123456Z","c":["@"],"z":"C"}]"#,
        ),
        (
            Preset::Massive,
            r#"[{"ev":"T","sym":"AAPL","x":4,"i":"77","p":101.23,"s":1234,"c":[0],"t":1763649000123,"q":1}]"#,
        ),
    ] {
        assert_eq!(show(preset), expected);
    }
}

#[test]
fn what_json_can_t_hold_is_an_error() {
    let mut encoder = MessageEncoder::new(Preset::Canonical, None).unwrap();
    let wrong = Tick { volume: Some(f64::NAN), ..TICK };
    let error = encoder.encode(&wrong, &mut Vec::new()).unwrap_err();
    assert_eq!(error, EncodeError::NotFinite { symbol: "AAPL".to_owned(), field: "volume" });
    let error = encoder.encode(&Tick { ts: i64::MAX, ..TICK }, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, EncodeError::Time { .. }));
    assert!(matches!(MessageEncoder::new(Preset::PriceChange, None), Err(EncodeError::NoZone(_))));
}

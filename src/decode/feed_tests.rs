//! Tests with literal frames of every feed, and of mappings.

use crate::decode::table_tests::{decoder, message, outcome};
use crate::decode::{InputSettings, Preset, RawMessage, Verdict};

/// The outcome, and then `symbol ts close volume trade_id source` for each row.
fn read(settings: &InputSettings, payload: &str) -> (String, Vec<String>) {
    read_message(settings, &RawMessage { timestamp: None, ..message(payload.as_bytes()) })
}

fn read_message(settings: &InputSettings, message: &RawMessage<'_>) -> (String, Vec<String>) {
    let mut decoder = decoder(settings);
    let mut rows = decoder.columns();
    let verdict = decoder.decode(message, &mut rows);
    let show = |row: usize| {
        format!(
            "{} {} {} {} {} {}",
            rows.symbols[rows.symbol[row] as usize],
            rows.ts[row],
            rows.close[row],
            rows.volume[row],
            rows.trade_id.get(row).unwrap_or("-"),
            rows.source.get(row).unwrap_or("-"),
        )
    };
    (outcome(&verdict), (0..rows.len()).map(show).collect())
}

fn check_rows(preset: Preset, payload: &str, rows: &[&str]) {
    let (verdict, found) = read(&InputSettings::preset(preset), payload);
    assert_eq!(verdict, format!("ok {}", rows.len()), "{payload}");
    assert_eq!(found, rows, "{payload}");
}

fn check(preset: Preset, table: &[(&str, &str)]) {
    for (payload, expected) in table {
        assert_eq!(read(&InputSettings::preset(preset), payload).0, *expected, "{payload}");
    }
}

fn zoned(preset: Preset, zone: &str) -> InputSettings {
    InputSettings { zone: Some(zone.to_owned()), ..InputSettings::preset(preset) }
}

#[test]
fn records_with_local_times() {
    let close = r#"{"symbol":"SYM001","Date-Time":"2025-07-19 23:30:36","Close":525.6,"Volume":4194}"#;
    let (verdict, rows) = read(&zoned(Preset::SymbolClose, "Asia/Kolkata"), close);
    assert_eq!((verdict.as_str(), rows[0].as_str()), ("ok 1", "SYM001 1752948036000000 525.6 4194 - -"));
    assert_eq!(read(&InputSettings::preset(Preset::SymbolClose), close).0, "naive_ts");
    let price = r#"{"symbol":"AAPL","price":151.42,"volume":4821,"timestamp":"2025-06-22T20:50:11.123456","change_percent":0.95}"#;
    let (verdict, rows) = read(&zoned(Preset::PriceChange, "UTC"), price);
    assert_eq!((verdict.as_str(), rows[0].as_str()), ("ok 1", "AAPL 1750625411123456 151.42 4821 - -"));
    assert_eq!(read(&InputSettings::preset(Preset::PriceChange), price).0, "naive_ts");
}

#[test]
fn binance_trades() {
    check_rows(
        Preset::Binance,
        r#"{"e":"aggTrade","E":1672515782136,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","f":100,"l":105,"T":1672515782136,"m":true,"M":true}"#,
        &["BNBBTC 1672515782136000 0.001 100 12345 binance"],
    );
    check_rows(
        Preset::Binance,
        r#"{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12346,"p":"0.001","q":"100","T":1672515782136,"m":true,"M":true}"#,
        &["BNBBTC 1672515782136000 0.001 100 12346 binance"],
    );
    check_rows(
        Preset::Binance,
        r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}"#,
        &["BTCUSDT 1723161255342000 61837.63 0.02 3735683259 binance"],
    );
    check_rows(
        Preset::Binance,
        r#"{"stream":"btcusd_perp@trade","data":{"e":"trade","E":1723161257687,"T":1723161257679,"s":"BTCUSD_PERP","t":849714402,"p":"61804.8","q":"4","X":"MARKET","m":false}}"#,
        &["BTCUSD_PERP 1723161257679000 61804.8 4 849714402 binance"],
    );
}

#[test]
fn binance_frames_without_trades() {
    check(
        Preset::Binance,
        &[
            (
                r#"{"stream":"btcusdt@bookTicker","data":{"u":5,"s":"BTCUSDT","b":"6.3","B":"3.7","a":"6.4","A":"1.5"}}"#,
                "skip bookTicker",
            ),
            (
                r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5,"s":"BTCUSDT","b":"6","B":"2","a":"6","A":"2","T":17,"E":17}}"#,
                "skip bookTicker",
            ),
            (r#"{"u":5,"s":"BTCUSDT","b":"6.3","B":"3.7","a":"6.4","A":"1.5"}"#, "skip bookTicker"),
            (
                r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":17,"s":"BTCUSDT","U":5,"u":6,"b":[["6.0","0.0"]],"a":[]}}"#,
                "skip depthUpdate",
            ),
            (r#"{"lastUpdateId":5,"bids":[["6.3","3.7"]],"asks":[]}"#, "skip depth"),
            (
                r#"{"lastUpdateId":1,"E":1,"T":1,"symbol":"BTCUSD_PERP","pair":"BTCUSD","bids":[],"asks":[]}"#,
                "skip depth",
            ),
            (r#"{"stream":"btcusdt@depth20@100ms","data":{"lastUpdateId":5,"bids":[],"asks":[]}}"#, "skip depth"),
            (r#"{"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker"}]}"#, "skip miniTicker"),
            (r#"{"e":"24hrTicker","E":17,"s":"BNBBTC","p":"0.0015","c":"0.0025"}"#, "skip 24hrTicker"),
            (r#"{"e":"kline","E":17,"s":"BNBBTC","k":{"t":17,"c":"0.0020"}}"#, "skip kline"),
            (r#"{"result":null,"id":1}"#, "skip response"),
            (r#"{"error":{"code":2,"msg":"Invalid request"},"id":1}"#, "skip error"),
            (r#"{"e":"executionReport","s":"BTCUSDT"}"#, "unknown_type"),
            (r#"{"e":5}"#, "unknown_type"),
            (r#"{"symbol":"AAPL"}"#, "unknown_type"),
            (r#"{"e":"trade","s":"BNBBTC","t":1,"p":"NaN","q":"100","T":1672515782136}"#, "non_finite"),
            (r#"{"e":"trade","s":"BNBBTC","t":1,"q":"100","T":1672515782136}"#, "missing_field"),
            (r#"{"e":"trade","s":"BNBBTC","t":1,"p":"1","p":"1","q":"100","T":1672515782136}"#, "duplicate_key"),
            (
                r#"{"stream":"x@trade","data":{"e":"trade","s":"B","t":1,"p":"1","q":"1","q":"1","T":1672515782136}}"#,
                "duplicate_key",
            ),
            (r#"[{"e":"trade"}]"#, "not_object"),
            (r#"[{"e":"24hrMiniTicker","s":"A"},{"e":"24hrMiniTicker","s":"B"}]"#, "skip 24hrMiniTicker"),
            (r#"[{"e":"markPriceUpdate","s":"A","p":"1"}]"#, "skip markPriceUpdate"),
            (r#"[{"e":"24hrTicker"},{"e":"trade","s":"A","t":1,"p":"1","q":"1","T":1672515782136}]"#, "not_object"),
            (r#"[{"e":"24hrTicker"},{"e":"gossip"}]"#, "unknown_type"),
            (r#"[{"e":"24hrTicker"}"#, "syntax"),
            (r#"[{"e":"24hrTicker"}] 1"#, "trailing_data"),
            ("[]", "skip empty"),
            ("[1]", "not_object"),
        ],
    );
}

#[test]
fn coinbase() {
    let matched = r#"{"type":"match","trade_id":10,"sequence":50,"maker_order_id":"ac928c66-ca53-498f-9c13-a110027a60e8","taker_order_id":"132fb6ae-456b-4654-b4e0-d681ac05cea1","time":"2014-11-07T08:19:27.028459Z","product_id":"BTC-USD","size":"5.23512","price":"400.23","side":"sell"}"#;
    let row = "BTC-USD 1415348367028459 400.23 5.23512 10 coinbase";
    check_rows(Preset::Coinbase, matched, &[row]);
    check_rows(Preset::Coinbase, &matched.replace("\"match\"", "\"last_match\""), &[row]);
    check_rows(
        Preset::Coinbase,
        r#"{"channel":"market_trades","client_id":"","timestamp":"2026-04-07T14:30:02.789012Z","sequence_num":5,"events":[{"type":"update","trades":[{"trade_id":"995098700","product_id":"BTC-USD","price":"68900.50","size":"0.00150000","side":"BUY","time":"2026-04-07T14:30:02.789012Z"}]},{"type":"update","trades":[]}]}"#,
        &["BTC-USD 1775572202789012 68900.5 0.0015 995098700 coinbase"],
    );
    check(
        Preset::Coinbase,
        &[
            (r#"{"type":"subscriptions","channels":[]}"#, "skip subscriptions"),
            (r#"{"type":"heartbeat","sequence":90}"#, "skip heartbeat"),
            (r#"{"type":"l2update","product_id":"BTC-USD","changes":[]}"#, "skip l2update"),
            (r#"{"type":"error","message":"Failed to subscribe"}"#, "skip error"),
            (r#"{"channel":"heartbeats","events":[{"current_time":"x"}]}"#, "skip heartbeats"),
            (r#"{"channel":"market_trades","events":[]}"#, "skip empty"),
            (r#"{"channel":"market_trades"}"#, "missing_field"),
            (r#"{"channel":"market_trades","events":[{"type":"update","trades":7}]}"#, "type"),
            (r#"{"channel":"market_trades","events":[7]}"#, "not_object"),
            (r#"{"channel":"gossip","events":[]}"#, "unknown_type"),
            (r#"{"type":"gossip"}"#, "unknown_type"),
            ("{}", "unknown_type"),
        ],
    );
}

#[test]
fn finnhub() {
    check_rows(
        Preset::Finnhub,
        r#"{"data":[{"c":["1","8","24","12"],"p":122.1,"s":"TSLA","t":1672348887195,"v":1}],"type":"trade"}"#,
        &["TSLA 1672348887195000 122.1 1 - finnhub"],
    );
    let twin = "AAPL 1673521938710000 133.55 10 - finnhub";
    check_rows(
        Preset::Finnhub,
        r#"{"data":[{"c":["1","24","12"],"p":133.55,"s":"AAPL","t":1673521938710,"v":10},{"c":["1","24","12"],"p":133.55,"s":"AAPL","t":1673521938710,"v":10}],"type":"trade"}"#,
        &[twin, twin],
    );
    check(
        Preset::Finnhub,
        &[
            (r#"{"type":"ping"}"#, "skip ping"),
            (r#"{"msg":"Subscribing to too many symbols","type":"error"}"#, "skip error"),
            (r#"{"type":"trade","data":[]}"#, "skip empty"),
            (r#"{"type":"trade","data":null}"#, "missing_field"),
            (r#"{"type":"trade","data":[[]]}"#, "not_object"),
            (r#"{"type":"gossip"}"#, "unknown_type"),
            (r#"{"type":"trade","data":[{"p":1,"p":1,"s":"A","t":1673521938710,"v":1}]}"#, "duplicate_key"),
        ],
    );
}

#[test]
fn alpaca() {
    check_rows(
        Preset::Alpaca,
        r#"[{"T":"b","S":"AAPL","o":177.94,"h":178.005,"l":177.94,"c":178.005,"v":8547,"t":"2021-02-22T19:15:00Z","n":66,"vw":177.987562}]"#,
        &["AAPL 1614021300000000 178.005 8547 - alpaca"],
    );
    check_rows(
        Preset::Alpaca,
        r#"[{"T":"t","S":"AAPL","i":96921,"x":"D","p":126.55,"s":1,"t":"2021-02-22T15:51:44.208Z","c":["@","I"],"z":"C"},{"T":"q","S":"AAPL"},{"T":"u","S":"AAPL","o":1,"h":1,"l":1,"c":1,"v":5,"t":"2021-02-22T19:15:00Z"}]"#,
        &["AAPL 1614009104208000 126.55 1 96921 alpaca", "AAPL 1614021300000000 1 5 - alpaca"],
    );
    check(
        Preset::Alpaca,
        &[
            (
                r#"[{"T":"x","S":"DJT","i":4868,"x":"D","p":36.18,"s":31800,"a":"C","z":"C","t":"2024-03-26T14:00:00Z"}]"#,
                "skip cancel",
            ),
            (
                r#"[{"T":"c","S":"IWM","x":"D","oi":79372207866957,"op":208.65,"oc":[" ","7","V"],"t":"2022-01-20T17:26:08.000760661Z"}]"#,
                "skip correction",
            ),
            (r#"[{"T":"success","msg":"connected"}]"#, "skip success"),
            (r#"[{"T":"error","code":400,"msg":"invalid syntax"}]"#, "skip error"),
            ("[]", "skip empty"),
            (r#"[{"T":"gossip"}]"#, "unknown_type"),
            (r#"[{}]"#, "unknown_type"),
            ("[1]", "not_object"),
            ("[[]]", "not_object"),
            ("42", "not_object"),
            (r#"[{"T":"q"}"#, "syntax"),
            (r#"[{"T":"q"}] {}"#, "trailing_data"),
        ],
    );
}

#[test]
fn binance_frames_in_microseconds() {
    check_rows(
        Preset::Binance,
        r#"{"e":"trade","E":1672515782136123,"s":"BNBBTC","t":12346,"p":"0.001","q":"100","T":1672515782136456,"m":true,"M":true}"#,
        &["BNBBTC 1672515782136456 0.001 100 12346 binance"],
    );
    check(Preset::Binance, &[(r#"{"e":"trade","s":"B","t":1,"p":"1","q":"1","T":1672515782}"#, "ts_out_of_range")]);
}

#[test]
fn massive_pairs_and_indices() {
    check_rows(
        Preset::Massive,
        r#"[{"ev":"XT","pair":"BTC-USD","p":33021.9,"t":1610462007425,"s":0.01616617,"c":[2],"i":"14272084","x":3,"r":1610462007576}]"#,
        &["BTC-USD 1610462007425000 33021.9 0.01616617 14272084 massive"],
    );
    check_rows(
        Preset::Massive,
        r#"[{"ev":"XA","pair":"BTC-USD","v":951.6112,"vw":33060.17,"o":33060,"c":33061,"h":33062,"l":33059,"s":1610463240000,"e":1610463300000},
            {"ev":"CA","pair":"USD/EUR","o":0.86,"c":0.87,"h":0.88,"l":0.85,"v":4,"s":1611082800000,"e":1611082860000},
            {"ev":"V","val":3988.5,"T":"I:SPX","t":1678220098130}]"#,
        &[
            "BTC-USD 1610463240000000 33061 951.6112 - massive",
            "USD/EUR 1611082800000000 0.87 4 - massive",
            "I:SPX 1678220098130000 3988.5 NaN - massive",
        ],
    );
}

/// Times of Kraken, of OANDA and of Python's `time.time()`: numbers and strings in every unit, exact to the
/// microsecond.
#[test]
fn times_with_a_fraction() {
    let read = |unit: &str, ts: &str| {
        let mapping = format!(r#"{{"symbol":"/pair","ts":"/time","close":"/price","time_unit":"{unit}"}}"#);
        let settings: InputSettings = serde_json::from_str(&mapping).unwrap();
        let payload = format!(r#"{{"pair":"XXBTZEUR","time":{ts},"price":"44196.00000"}}"#);
        let mut decoder = decoder(&settings);
        let mut rows = decoder.columns();
        let message = RawMessage { timestamp: None, ..message(payload.as_bytes()) };
        match decoder.decode(&message, &mut rows) {
            Verdict::Ticks(1) => Ok(rows.ts[0]),
            other => Err(outcome(&other)),
        }
    };
    let at = 1_619_057_345_682_900;
    for (unit, ts, expected) in [
        ("s", "1619057345.6829", at),
        ("s", "\"1619057345.682900000\"", at),
        ("s", "1619057345.0", 1_619_057_345_000_000),
        ("s", "1.6190573456829e9", at),
        ("s", "16190573456829e-4", at),
        ("s", "1619057345.682900999999999999999", at),
        ("s", "1619057345.6828999999", at - 1),
        // As a double, this would be rounded to .123457.
        ("s", "9007199254.123456", 9_007_199_254_123_456),
        ("ms", "1619057345682.9", at),
        ("ms", "\"1619057345682.900\"", at),
        ("ms", "1619057345682.9009999999999999999", at),
        ("us", "1619057345682900.75", at),
        ("ns", "1619057345682900000", at),
        ("ns", "1619057345682900999.5", at),
        ("ns", "1.6190573456829e18", at),
        ("auto", "1619057345.6829", at),
        ("auto", "\"1619057345.682900000\"", at),
        ("auto", "1619057345682.9", at),
        ("auto", "1619057345682900.0", at),
        ("auto", "1.6190573456829e18", at),
    ] {
        assert_eq!(read(unit, ts), Ok(expected), "{unit} {ts}");
    }
    for (unit, ts, reason) in [
        ("s", "1e300", "ts_out_of_range"),
        ("ms", "1619057345.6829", "ts_out_of_range"),
        ("auto", "1e-5", "ts_out_of_range"),
        ("s", "\"1,619\"", "type"),
        ("s", "true", "type"),
        ("rfc3339", "1619057345.6829", "type"),
    ] {
        assert_eq!(read(unit, ts), Err(reason.to_owned()), "{unit} {ts}");
    }
}

#[test]
fn days_and_other_forms_of_time() {
    let read = |more: &str, ts: &str| {
        let mapping = format!(r#"{{"symbol":"/s","ts":"/d","close":"/c",{more}}}"#);
        let settings: InputSettings = serde_json::from_str(&mapping).unwrap();
        let (verdict, rows) = read(&settings, &format!(r#"{{"s":"A","d":"{ts}","c":1}}"#));
        (verdict, rows.first().and_then(|row| row.split(' ').nth(1)?.parse::<i64>().ok()))
    };
    let days = r#""ts_format":"%Y-%m-%d","zone":"America/New_York""#;
    assert_eq!(read(days, "2023-11-14"), ("ok 1".to_owned(), Some(1_699_938_000_000_000)));
    assert_eq!(read(days, "2023-11-14T22:13:20Z").0, "ts_parse");
    assert_eq!(read(r#""zone":"America/New_York""#, "2023-11-14").0, "ts_parse");
    let local = r#""ts_format":"%d/%m/%Y %H:%M:%S%.f","zone":"Asia/Kolkata""#;
    assert_eq!(read(local, "15/11/2023 03:43:20.5"), ("ok 1".to_owned(), Some(1_700_000_000_500_000)));
    for (settings, key) in [
        (r#"{"preset":"binance","ts_format":"%Y"}"#, "input.ts_format"),
        (r#"{"symbol":"/s","ts":"/d","close":"/c","ts_format":"%Y-%m-%d"}"#, "input.zone"),
        (r#"{"symbol":"/s","ts":"/d","close":"/c","ts_format":"%Y-%m","zone":"UTC"}"#, "input.ts_format"),
        (
            r#"{"symbol":"/s","ts":"/d","close":"/c","ts_format":"%Y-%m-%d","zone":"UTC","time_unit":"ms"}"#,
            "input.ts_format",
        ),
    ] {
        let settings: InputSettings = serde_json::from_str(settings).unwrap();
        assert_eq!(settings.validate().unwrap_err().key, key);
    }
}

#[test]
fn massive() {
    check_rows(
        Preset::Massive,
        r#"[{"ev":"A","sym":"SPCE","v":200,"av":8642007,"op":25.66,"vw":25.3981,"o":25.39,"c":25.39,"h":25.39,"l":25.39,"a":25.3714,"z":50,"s":1610144868000,"e":1610144869000}]"#,
        &["SPCE 1610144868000000 25.39 200 - massive"],
    );
    check_rows(
        Preset::Massive,
        r#"[{"ev":"T","sym":"MSFT","x":4,"i":"12345","z":3,"p":114.125,"s":100,"c":[0,12],"t":1536036818784,"q":3681328}]"#,
        &["MSFT 1536036818784000 114.125 100 12345 massive"],
    );
    check(
        Preset::Massive,
        &[
            (r#"[{"ev":"status","status":"auth_success","message":"authenticated"}]"#, "skip status"),
            (r#"[{"ev":"Q","sym":"MSFT","bp":114.125}]"#, "skip quote"),
            (r#"[{"ev":"XQ","pair":"BTC-USD","bp":33052.79}]"#, "skip quote"),
            (r#"[{"ev":"C","p":"USD/CNH","x":"44","a":6.83,"b":6.82,"t":1536036818784}]"#, "skip quote"),
            (r#"[{"ev":"XL2","pair":"BTC-USD","b":[]}]"#, "skip orderbook"),
            (r#"[{"ev":"ZZ"}]"#, "unknown_type"),
        ],
    );
}

#[test]
fn one_bad_tick_takes_its_frame_back_and_the_detail_names_the_index() {
    let good = r#"{"p":133.55,"s":"AAPL","t":1673521938710,"v":10}"#;
    let bad = r#"{"p":0,"s":"AAPL","t":1673521938710,"v":10}"#;
    let mut decoder = decoder(&InputSettings::preset(Preset::Finnhub));
    let mut rows = decoder.columns();
    let mut read = |payload: String| decoder.decode(&message(payload.as_bytes()), &mut rows);
    assert_eq!(read(format!(r#"{{"type":"trade","data":[{good},{good}]}}"#)), Verdict::Ticks(2));
    let Verdict::Dead(rejection) = read(format!(r#"{{"type":"trade","data":[{good},{good},{bad},{good}]}}"#)) else {
        panic!("a price of zero");
    };
    assert_eq!(rejection.reason.as_str(), "out_of_range");
    assert!(rejection.detail.starts_with("element 2: close"), "{}", rejection.detail);
    assert_eq!((rows.len(), rows.index.as_slice()), (2, &[0, 1][..]));
}

#[test]
fn a_mapping_takes_fields_from_anywhere() {
    let settings: InputSettings = serde_json::from_str(
        r#"{"symbol":"kafka.key","ts":"/t","close":"/q/0/px","volume":"header:volume","source":"constant:NYSE","time_unit":"auto"}"#,
    )
    .unwrap();
    assert!(decoder(&settings).needs_headers());
    fn keyed(payload: &[u8]) -> RawMessage<'_> {
        RawMessage { key: Some(b"AAPL"), headers: &[("volume", Some(b"12"))], timestamp: None, ..message(payload) }
    }
    for ts in ["1700000000", "1700000000000", "\"1700000000\"", "\"2023-11-14T22:13:20Z\"", "1.7e9"] {
        let payload = format!(r#"{{"t":{ts},"q":[{{"px":"1.5"}},7]}}"#);
        let (verdict, rows) = read_message(&settings, &keyed(payload.as_bytes()));
        assert_eq!((verdict.as_str(), rows[0].as_str()), ("ok 1", "AAPL 1700000000000000 1.5 12 - NYSE"), "{ts}");
    }
    let payload = br#"{"t":1700000000,"q":[{"px":1.5}]}"#;
    assert_eq!(read_message(&settings, &RawMessage { key: None, ..keyed(payload) }).0, "missing_field");
    assert_eq!(read_message(&settings, &RawMessage { key: Some(b"\xff"), ..keyed(payload) }).0, "encoding");
    assert_eq!(read_message(&settings, &keyed(br#"{"t":1.5,"q":[{"px":1.5}]}"#)).0, "ts_out_of_range");
    assert_eq!(read_message(&settings, &keyed(br#"{"t":-1,"q":[{"px":1.5}]}"#)).0, "ts_out_of_range");
    assert_eq!(read_message(&settings, &keyed(br#"{"t":1700000000,"q":[{"px":1.5,"px":1}]}"#)).0, "duplicate_key");
    assert_eq!(read_message(&settings, &keyed(br#"{"t":1700000000,"q":{"0":{"px":1.5}}}"#)).0, "ok 1");
    assert_eq!(read_message(&settings, &keyed(br#"{"t":1700000000,"q":"x"}"#)).0, "missing_field");
}

#[test]
fn the_kafka_timestamp_can_be_the_event_time() {
    let settings: InputSettings =
        serde_json::from_str(r#"{"symbol":"/s","ts":"kafka.timestamp","close":"/p"}"#).unwrap();
    let payload = br#"{"s":"AAPL","p":1.5}"#;
    let at = RawMessage { timestamp: Some(1_700_000_000_001), ..message(payload) };
    assert_eq!(read_message(&settings, &at).1, ["AAPL 1700000000001000 1.5 NaN - -"]);
    assert_eq!(read_message(&settings, &RawMessage { timestamp: None, ..at }).0, "missing_field");
    assert_eq!(read_message(&settings, &RawMessage { timestamp: Some(0), ..at }).0, "ts_out_of_range");
}

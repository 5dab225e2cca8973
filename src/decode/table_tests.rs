//! Tests of the verdict table for canonical messages, row by row.

use chrono_tz::Tz;

use crate::market::{ExtraColumn, MarketZone, TickColumns};

use crate::decode::{Coercions, Decoder, InputSettings, Preset, RawMessage, SkipKind, Verdict};

const KAFKA_MILLIS: i64 = 1_795_185_000_000; // 2026-11-20T14:30:00Z

pub(in crate::decode) fn decoder(settings: &InputSettings) -> Decoder {
    Decoder::new(settings, MarketZone::new(chrono_tz::America::New_York)).unwrap()
}

pub(in crate::decode) fn message(payload: &[u8]) -> RawMessage<'_> {
    RawMessage { payload: Some(payload), key: None, headers: &[], offset: 7, timestamp: Some(KAFKA_MILLIS) }
}

/// The outcome as `ok 2`, a reason code, or `skip KIND`.
pub(in crate::decode) fn outcome(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Ticks(ticks) => format!("ok {ticks}"),
        Verdict::Dead(rejection) => rejection.reason.to_string(),
        Verdict::Skipped(SkipKind::NotATick(kind)) => format!("skip {kind}"),
        Verdict::Skipped(SkipKind::Tombstone) => "skip tombstone".to_owned(),
        Verdict::Skipped(SkipKind::Filtered) => "skip filtered".to_owned(),
    }
}

fn canonical(payload: &[u8]) -> (String, TickColumns, Coercions) {
    let mut decoder = decoder(&InputSettings::preset(Preset::Canonical));
    let mut rows = decoder.columns();
    let verdict = decoder.decode(&message(payload), &mut rows);
    let ticks = if let Verdict::Ticks(ticks) = verdict { ticks } else { 0 };
    assert_eq!(rows.len(), ticks);
    (outcome(&verdict), rows, *decoder.coercions())
}

/// A valid tick with one additional member, which may duplicate a key or make the tick invalid.
fn with(member: &str) -> Vec<u8> {
    format!(r#"{{"symbol":"AAPL","ts":"2026-11-20T14:30:00Z","close":101.25,{member}}}"#).into_bytes()
}

/// A valid tick padded to this number of bytes.
fn padded(bytes: usize) -> Vec<u8> {
    let bare = with(r#""a":"""#).len();
    with(&format!(r#""a":"{}""#, "x".repeat(bytes - bare)))
}

fn priced(close: &str) -> Vec<u8> {
    format!(r#"{{"symbol":"AAPL","ts":"2026-11-20T14:30:00Z","close":{close}}}"#).into_bytes()
}

fn timed(ts: &str) -> Vec<u8> {
    format!(r#"{{"symbol":"AAPL","ts":{ts},"close":101.25}}"#).into_bytes()
}

fn named(symbol: &str) -> Vec<u8> {
    format!(r#"{{"symbol":{symbol},"ts":"2026-11-20T14:30:00Z","close":101.25}}"#).into_bytes()
}

fn check(table: &[(&str, Vec<u8>, &str)]) {
    for (name, payload, expected) in table {
        assert_eq!(canonical(payload).0, *expected, "{name}");
    }
}

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

#[test]
fn documents() {
    let good = with(r#""volume":1"#);
    let utf16: Vec<u8> = String::from_utf8(good.clone()).unwrap().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let many = |keys: usize| (0..keys).map(|key| format!(r#""k{key}":0"#)).collect::<Vec<_>>().join(",");
    let deep = |levels: usize| with(&format!(r#""x":{}{}"#, "[".repeat(levels), "]".repeat(levels)));
    check(&[
        ("empty", bytes(""), "empty"),
        ("white space only", bytes(" \r\n\t "), "empty"),
        ("null", bytes("null"), "not_object"),
        ("number", bytes("42"), "not_object"),
        ("string", bytes("\"x\""), "not_object"),
        ("true", bytes(" true "), "not_object"),
        ("array", bytes("[{}]"), "not_object"),
        ("positional array", bytes(r#"["AAPL","2026-11-20T14:30:00Z",1,1,1,1,1]"#), "not_object"),
        ("two documents", [good.clone(), good.clone()].concat(), "trailing_data"),
        ("trailing bytes", [good.clone(), bytes(" x")].concat(), "trailing_data"),
        ("trailing NUL", [good.clone(), bytes("\0")].concat(), "trailing_data"),
        ("trailing white space", [good.clone(), bytes(" \n")].concat(), "ok 1"),
        ("no JSON", bytes("hello"), "syntax"),
        ("truncated", good[..good.len() - 1].to_vec(), "syntax"),
        ("truncated in a string", good[..12].to_vec(), "syntax"),
        ("trailing comma", with(""), "syntax"),
        ("missing comma", with(r#""a":1 "b":2"#), "syntax"),
        ("raw control character", with("\"a\":\"x\ny\""), "syntax"),
        ("raw control character in a key", with("\"a\ty\":1"), "syntax"),
        ("leading zeros", priced("0101.5"), "syntax"),
        ("plus", priced("+1"), "syntax"),
        ("no digit before the point", priced(".5"), "syntax"),
        ("no digit after the point", priced("5."), "syntax"),
        ("hexadecimal", priced("0x10"), "syntax"),
        ("empty exponent", priced("1e"), "syntax"),
        ("single quotes", with("'a':1"), "syntax"),
        ("comment", with("/* */\"a\":1"), "syntax"),
        ("bad escape in an unknown field", with(r#""a":"\x""#), "syntax"),
        ("half an escape", with(r#""a":"\u12"#), "syntax"),
        ("mismatched brackets", with(r#""a":[1}"#), "syntax"),
        ("byte order mark", [b"\xef\xbb\xbf".to_vec(), good.clone()].concat(), "ok 1"),
        ("UTF-16", utf16, "encoding"),
        ("invalid UTF-8 in an unknown field", [&good[..good.len() - 1], b",\"a\":\"\xff\"}"].concat(), "encoding"),
        ("lone surrogate in a mapped string", with(r#""source":"\ud800""#), "encoding"),
        ("lone surrogate in the symbol", named(r#""\udc00""#), "encoding"),
        ("lone surrogate in a key", with(r#""\ud800":1"#), "encoding"),
        ("lone surrogate in an unknown string", with(r#""a":"\ud800""#), "ok 1"),
        ("duplicate mapped key", with(r#""close":101.25"#), "duplicate_key"),
        ("duplicate unknown key", with(r#""a":1,"a":1"#), "duplicate_key"),
        ("duplicate key by escape", with(r#""\u0063lose":1"#), "duplicate_key"),
        ("duplicate unknown key by escape", with(r#""a":1,"\u0061":2"#), "duplicate_key"),
        ("duplicate key after many", with(&format!(r#"{},"k3":0"#, many(100))), "duplicate_key"),
        ("duplicate null key", with(r#""open":null,"open":1"#), "duplicate_key"),
        ("duplicate key below", with(r#""a":{"b":1,"b":2}"#), "ok 1"),
        ("key by escape", bytes(r#"{"\u0073ymbol":"AAPL","ts":"2026-11-20T14:30:00Z","close":1}"#), "ok 1"),
        ("unknown fields", with(r#""a":[1,{"b":[]},{}],"c":{"d":null},"e":"x\"y""#), "ok 1"),
        ("64 levels", deep(63), "ok 1"),
        ("65 levels", deep(64), "too_deep"),
        ("a million levels", with(&format!(r#""x":{}"#, "[".repeat(1_000_000))), "too_deep"),
        ("10000 keys", with(&many(9_997)), "ok 1"),
        ("10001 keys", with(&many(9_998)), "too_many_fields"),
        ("many keys below", with(&format!(r#""a":{{{}}}"#, many(10_000))), "too_many_fields"),
        ("1 MiB", padded(1 << 20), "ok 1"),
        ("over 1 MiB", padded((1 << 20) + 1), "too_large"),
        ("gzip", b"\x1f\x8b\x08\0\0".to_vec(), "compressed"),
        ("zstd", b"\x28\xb5\x2f\xfd\x04".to_vec(), "compressed"),
        ("schema registry framing", b"\0\0\0\0\x07\x02\x08AAPL".to_vec(), "avro_magic"),
    ]);
}

#[test]
fn numbers() {
    check(&[
        ("NaN", priced("NaN"), "non_finite"),
        ("Infinity", priced("-Infinity"), "non_finite"),
        ("NaN in an unknown field", with(r#""a":NaN"#), "non_finite"),
        ("above the range", priced("1e400"), "non_finite"),
        ("NaN in a string", priced("\"NaN\""), "non_finite"),
        ("inf in a string", priced("\"inf\""), "non_finite"),
        ("infinity in a string", priced("\"+Infinity\""), "non_finite"),
        ("above the range in a string", priced("\"1e400\""), "non_finite"),
        ("underflow", priced("1e-400"), "out_of_range"),
        ("zero", priced("0"), "out_of_range"),
        ("zero open", with(r#""open":0.0"#), "out_of_range"),
        ("negative", priced("-1.5"), "out_of_range"),
        ("negative zero", priced("-0.0"), "out_of_range"),
        ("negative volume", with(r#""volume":-1"#), "out_of_range"),
        ("negative zero volume", with(r#""volume":-0"#), "ok 1"),
        ("negative zero volume with a fraction", with(r#""volume":-0.0"#), "ok 1"),
        ("zero volume", with(r#""volume":0"#), "ok 1"),
        ("numeric string", priced("\"1.5\""), "ok 1"),
        ("numeric string by escape", priced(r#""\u0031.5""#), "ok 1"),
        ("thousands separator", priced("\"1,234.5\""), "type"),
        ("hexadecimal string", priced("\"0x10\""), "type"),
        ("underscore", priced("\"1_000\""), "type"),
        ("padded string", priced("\" 1\""), "type"),
        ("empty string", priced("\"\""), "type"),
        ("boolean", priced("true"), "type"),
        ("object", priced("{\"a\":1}"), "type"),
        ("array", priced("[1]"), "type"),
        ("null close", priced("null"), "missing_field"),
        ("null open", with(r#""open":null"#), "ok 1"),
        ("beyond 2^53", with(r#""volume":9007199254740993"#), "ok 1"),
        ("beyond 64 bits", with(r#""volume":9223372036854775808"#), "ok 1"),
        ("1e20 as JSON.stringify writes it", with(r#""volume":100000000000000000000"#), "ok 1"),
        ("the same in a string", with(r#""volume":"100000000000000000000""#), "ok 1"),
        ("beyond the range of a double", priced(&"9".repeat(400)), "non_finite"),
        ("trade id of 64 bits", with(r#""trade_id":18446744073709551615"#), "ok 1"),
        ("integral trade id", with(r#""trade_id":1.0"#), "ok 1"),
        ("fractional trade id", with(r#""trade_id":1.7"#), "type"),
        ("boolean trade id", with(r#""trade_id":true"#), "type"),
        ("numeric source", with(r#""source":1"#), "type"),
    ]);
}

#[test]
fn times_and_symbols() {
    check(&[
        ("offset", timed("\"2026-11-20T09:30:00.5-05:00\""), "ok 1"),
        ("nanoseconds", timed("\"2026-11-20T14:30:00.123456789Z\""), "ok 1"),
        ("leap second", timed("\"2016-12-31T23:59:60Z\""), "ok 1"),
        ("naive", timed("\"2026-11-20T14:30:00\""), "naive_ts"),
        ("number", timed("1795185000"), "type"),
        ("numeric string", timed("\"1795185000\""), "ts_parse"),
        ("boolean", timed("true"), "type"),
        ("null", timed("null"), "missing_field"),
        ("30 February", timed("\"2024-02-30T00:00:00Z\""), "ts_parse"),
        ("24 hours", timed("\"2024-02-01T24:00:00Z\""), "ts_parse"),
        ("no time", timed("\"soon\""), "ts_parse"),
        ("before 1990", timed("\"1989-12-31T23:59:59.999999Z\""), "ts_out_of_range"),
        ("1990", timed("\"1990-01-01T00:00:00Z\""), "ok 1"),
        ("5 minutes ahead", timed("\"2026-11-20T14:35:00Z\""), "ok 1"),
        ("more than 5 minutes ahead", timed("\"2026-11-20T14:35:00.000001Z\""), "ts_future"),
        ("missing symbol", bytes(r#"{"ts":"2026-11-20T14:30:00Z","close":1}"#), "missing_field"),
        ("missing ts", bytes(r#"{"symbol":"AAPL","close":1}"#), "missing_field"),
        ("missing close", bytes(r#"{"symbol":"AAPL","ts":"2026-11-20T14:30:00Z"}"#), "missing_field"),
        ("no members", bytes("{}"), "missing_field"),
        ("numeric symbol", named("1"), "type"),
        ("empty symbol", named("\"\""), "bad_symbol"),
        ("64 bytes", named(&format!("\"{}\"", "x".repeat(64))), "ok 1"),
        ("65 bytes", named(&format!("\"{}\"", "x".repeat(65))), "bad_symbol"),
        ("control character", named(r#""A\u0000""#), "bad_symbol"),
        ("bidirectional override", named("\"\u{202e}LPAA\""), "bad_symbol"),
        ("soft hyphen alone", named("\"\u{ad}\""), "bad_symbol"),
        ("variation selector alone", named("\"\u{fe0f}\""), "bad_symbol"),
        ("tag characters", named("\"AAPL\u{e0041}\""), "bad_symbol"),
        ("Hive's NULL", named("\"__HIVE_DEFAULT_PARTITION__\""), "bad_symbol"),
        ("visible symbol of any kind", named(r#""../a=%~<';\"\\""#), "ok 1"),
    ]);
}

#[test]
fn a_tombstone_is_a_skip_and_no_kafka_timestamp_leaves_the_future_open() {
    let mut decoder = decoder(&InputSettings::preset(Preset::Canonical));
    let mut rows = decoder.columns();
    let tombstone = RawMessage { payload: None, ..message(b"") };
    assert_eq!(decoder.decode(&tombstone, &mut rows), Verdict::Skipped(SkipKind::Tombstone));
    let payload = timed("\"2200-01-01T00:00:00Z\"");
    let undated = RawMessage { timestamp: None, ..message(&payload) };
    assert_eq!(decoder.decode(&undated, &mut rows), Verdict::Ticks(1));
    assert_eq!(rows.kafka_ts, [i64::MIN]);
}

#[test]
fn a_kafka_timestamp_in_another_unit_is_null_and_says_nothing_about_the_future() {
    let seconds = 1_795_185_001;
    for odd in
        [0, 1, seconds, seconds * 1_000_000, seconds * 1_000_000_000, i64::MAX, -1, 631_151_999_999, 9_214_646_400_000]
    {
        let mut decoder = decoder(&InputSettings::preset(Preset::Canonical));
        let mut rows = decoder.columns();
        let payload = timed("\"2026-11-20T14:30:01Z\"");
        let odd_message = RawMessage { timestamp: Some(odd), ..message(&payload) };
        assert_eq!(decoder.decode(&odd_message, &mut rows), Verdict::Ticks(1), "{odd}");
        assert_eq!(rows.kafka_ts, [i64::MIN], "{odd}");
        assert_eq!(*decoder.coercions(), Coercions { kafka_timestamp: 1, ..Coercions::default() }, "{odd}");
    }
}

#[test]
fn zero_has_one_sign() {
    for literal in ["-0", "-0.0", "-0e5", "\"-0\""] {
        let (_, rows, _) = canonical(&with(&format!(r#""volume":{literal}"#)));
        assert_eq!(rows.volume[0].to_bits(), 0, "{literal}");
    }
}

#[test]
fn coercions_are_counted_once_the_message_is_accepted() {
    let count = |payload: &[u8]| canonical(payload).2;
    let none = Coercions::default();
    assert_eq!(count(&with(r#""volume":1"#)), none);
    assert_eq!(
        count(&[b"\xef\xbb\xbf", &with(r#""volume":1"#)[..]].concat()),
        Coercions { byte_order_mark: 1, ..none }
    );
    assert_eq!(count(&with(r#""open":"1.5","low":"1""#)), Coercions { numeric_string: 2, ..none });
    assert_eq!(count(&with(r#""open":"1.5","low":true"#)), none);
    assert_eq!(count(&with(r#""trade_id":1.0"#)), Coercions { integral_float: 1, ..none });
    assert_eq!(count(&with(r#""volume":9007199254740993"#)), Coercions { precision_loss: 1, ..none });
    assert_eq!(count(&with(r#""volume":9007199254740992"#)), none);
    assert_eq!(count(&timed("\"2016-12-31T23:59:60Z\"")), Coercions { leap_second: 1, ..none });
}

#[test]
fn negative_prices_are_allowed_by_symbol() {
    let close = |allow: &str, close: &str| {
        let mut decoder = decoder(&InputSettings {
            allow_negative: vec![allow.to_owned()],
            ..InputSettings::preset(Preset::Canonical)
        });
        let mut rows = decoder.columns();
        outcome(&decoder.decode(&message(&priced(close)), &mut rows))
    };
    assert_eq!(close("AAPL", "-37.63"), "ok 1");
    assert_eq!(close("*", "0"), "ok 1");
    assert_eq!(close("*", "-0.0"), "ok 1");
    assert_eq!(close("CLK0", "-37.63"), "out_of_range");
}

#[test]
fn symbols_are_filtered() {
    let filtered = |include: &[&str], exclude: &[&str]| {
        let owned = |symbols: &[&str]| symbols.iter().map(|symbol| (*symbol).to_owned()).collect();
        let mut decoder = decoder(&InputSettings {
            include: owned(include),
            exclude: owned(exclude),
            ..InputSettings::preset(Preset::Canonical)
        });
        let mut rows = decoder.columns();
        outcome(&decoder.decode(&message(&priced("1")), &mut rows))
    };
    assert_eq!(filtered(&["AAPL"], &[]), "ok 1");
    assert_eq!(filtered(&["MSFT"], &[]), "skip filtered");
    assert_eq!(filtered(&[], &["AAPL"]), "skip filtered");
    assert_eq!(filtered(&[], &["MSFT"]), "ok 1");
}

#[test]
fn every_field_arrives_in_its_column() {
    let (verdict, rows, _) = canonical(
        br#" { "symbol" : "AAPL" , "ts":"2026-11-20T14:30:00.123456Z","open":1.5,"high":3,"low":0.5,"close":2.25,
            "volume":1234,"trade_id":"x\"1","source":"sim" } "#,
    );
    assert_eq!(verdict, "ok 1");
    assert_eq!(&*rows.symbols[rows.symbol[0] as usize], "AAPL");
    assert_eq!(rows.ts, [1_795_185_000_123_456]);
    assert_eq!(rows.trade_date, [20_777]);
    assert_eq!((rows.open[0], rows.high[0], rows.low[0], rows.close[0]), (1.5, 3.0, 0.5, 2.25));
    assert_eq!(rows.volume, [1234.0]);
    assert_eq!(rows.trade_id.get(0), Some("x\"1"));
    assert_eq!(rows.source.get(0), Some("sim"));
    assert_eq!((rows.offset[0], rows.index[0], rows.kafka_ts[0]), (7, 0, KAFKA_MILLIS));
}

#[test]
fn extra_columns_take_their_type_or_reject() {
    let settings: InputSettings = serde_json::from_str(
        r#"{"preset":"canonical","columns":{"bid":{"path":"/q/bid","type":"double"},"flag":{"path":"/flag","type":"boolean"},
            "note":{"path":"/note","type":"string"},"size":{"path":"/q/sizes/1","type":"bigint"}}}"#,
    )
    .unwrap();
    let mut decoder = decoder(&settings);
    let mut rows = decoder.columns();
    let mut read = |member: &str| outcome(&decoder.decode(&message(&with(member)), &mut rows));
    assert_eq!(read(r#""q":{"bid":-1.5,"sizes":[1,2.0]},"flag":true,"note":"n""#), "ok 1");
    assert_eq!(read(r#""q":{"bid":null,"sizes":[1]},"note":5"#), "ok 1");
    assert_eq!(read(r#""q":7"#), "ok 1");
    assert_eq!(read(r#""q":{"bid":true}"#), "type");
    assert_eq!(read(r#""q":{"sizes":[1,2.5]}"#), "type");
    assert_eq!(read(r#""q":{"sizes":[1,9223372036854775808]}"#), "out_of_range");
    assert_eq!(read(r#""flag":1"#), "type");
    assert_eq!(read(r#""note":[]"#), "type");
    assert_eq!(read(r#""q":{"x":1,"x":2}"#), "duplicate_key");
    assert_eq!(rows.len(), 3);
    let [ExtraColumn::Double(bid), ExtraColumn::Boolean(flag), ExtraColumn::String(note), ExtraColumn::Bigint(size)] =
        &rows.extras[..]
    else {
        panic!("extra columns in the order of their names");
    };
    assert_eq!(bid, &[Some(-1.5), None, None]);
    assert_eq!(flag, &[Some(true), None, None]);
    assert_eq!((note.get(0), note.get(1), note.get(2)), (Some("n"), Some("5"), None));
    assert_eq!(size, &[Some(2), None, None]);
}

#[test]
fn details_say_where_the_value_is_its_type_and_its_first_characters() {
    let detail = |settings: &InputSettings, message: &RawMessage<'_>| {
        let mut decoder = decoder(settings);
        let mut rows = decoder.columns();
        match decoder.decode(message, &mut rows) {
            Verdict::Dead(rejection) => format!("{}: {}", rejection.reason, rejection.detail),
            other => panic!("{other:?}"),
        }
    };
    let of = |payload: &[u8]| detail(&InputSettings::preset(Preset::Canonical), &message(payload));
    let long = "9,".repeat(1_000);
    for (payload, expected) in [
        (with(r#""open":"1,234.5""#), r#"type: open: value of another type; /open is the string "1,234.5""#),
        (
            with(&format!(r#""open":"{long}""#)),
            &format!(r#"type: open: value of another type; /open is the string "{}..""#, "9,".repeat(20)),
        ),
        (with(r#""open":{"a":1}"#), r#"type: open: value of another type; /open is the object {"a":1}"#),
        (with(r#""volume":-1.5"#), "out_of_range: volume: out of range; /volume is the number -1.5"),
        (priced("0"), "out_of_range: close: not above zero (see input.allow_negative); /close is the number 0"),
        (priced("null"), "missing_field: close: missing or null; /close is null"),
        (bytes("{}"), "missing_field: symbol: missing or null; /symbol is missing"),
        (
            named(r#""A\u0000""#),
            r#"bad_symbol: symbol: control, invisible or bidirectional character; /symbol is the string "A\0""#,
        ),
        (
            timed("1795185000"),
            "type: ts: a number where a date and time belongs; set input.time_unit; /ts is the number 1795185000",
        ),
        (
            timed("\"14/11/2023\""),
            r#"ts_parse: ts: not a valid YYYY-MM-DDTHH:MM:SS[.fraction][offset]; /ts is the string "14/11/2023""#,
        ),
        (bytes(" 42 "), "not_object: no object but the number 42"),
        (bytes("hello"), "syntax: not valid JSON, at byte 0, in hello"),
    ] {
        assert_eq!(of(&payload), expected, "{}", String::from_utf8_lossy(&payload));
    }
    let mapped: InputSettings = serde_json::from_str(
        r#"{"symbol":"kafka.key","ts":"kafka.timestamp","close":"header:price","columns":{"bid":{"path":"/q/bid","type":"double"}}}"#,
    )
    .unwrap();
    let keyed = |price: &'static [u8]| RawMessage { key: Some(b"AAPL"), headers: &[], ..message(price) };
    let message = RawMessage { timestamp: Some(0), ..keyed(b"{}") };
    assert_eq!(detail(&mapped, &message), "ts_out_of_range: ts: before 1990; kafka.timestamp is the number 0");
    assert_eq!(detail(&mapped, &keyed(b"{}")), "missing_field: close: missing or null; header:price is missing");
    let headers = [("price", Some(&b"1"[..]))];
    let priced = RawMessage { headers: &headers, ..keyed(br#"{"q":{"bid":"x"}}"#) };
    assert_eq!(detail(&mapped, &priced), r#"type: columns.bid: value of another type; /q/bid is the string "x""#);
}

#[test]
fn local_times_are_read_in_the_configured_zone() {
    let read = |zone: Tz, ts: &str| {
        let mut decoder =
            decoder(&InputSettings { zone: Some(zone.name().to_owned()), ..InputSettings::preset(Preset::Canonical) });
        let mut rows = decoder.columns();
        outcome(&decoder.decode(&message(&timed(ts)), &mut rows))
    };
    assert_eq!(read(chrono_tz::America::New_York, "\"2026-11-20T09:30:00\""), "ok 1");
    assert_eq!(read(chrono_tz::America::New_York, "\"2026-11-01T01:30:00\""), "ambiguous_ts");
    assert_eq!(read(chrono_tz::America::New_York, "\"2026-03-08T02:30:00\""), "ts_parse");
}

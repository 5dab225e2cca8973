//! `from` on the page: rows of the full run, whatever lies before the cut, in files and beyond them.

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};

use super::*;

const DAYS: i64 = 10;
/// Have a row for each symbol, which sums up the range.
const SUMMARIES: [&str; 7] =
    ["correlation", "drawdown", "movers", "symbols", "trend_volatility", "volatility_share", "volume_by_symbol"];
/// Answers that a cut without what is before it changes.
const COLD_DIFFERS: [&str; 14] = [
    "bars",
    "bollinger",
    "daily_summary",
    "ema",
    "latest",
    "macd",
    "moving_averages",
    "obv",
    "price_history",
    "rsi",
    "sma_crossover",
    "volatility",
    "vwap",
    "zscore_anomalies",
];

fn midnight(day: i64) -> DateTime<Utc> {
    "2026-01-05T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::days(day)
}

/// A name, its ticks a day, and days on which there are some.
fn symbols() -> [(&'static str, i64, Vec<i64>); 7] {
    [
        ("BUSY", 40, (0..DAYS).collect()),
        ("CALM", 12, (0..DAYS).collect()),
        ("FLAT", 16, (0..DAYS).collect()),
        ("GONE", 16, (0..4).collect()),
        ("NEW", 16, (8..DAYS).collect()),
        ("PAUSE", 16, (0..3).chain(7..DAYS).collect()),
        ("RARE", 1, vec![0, 2, 3, 8]),
    ]
}

/// Ticks in the order of their arrival: time, time of the tick, message.
fn market() -> Vec<(DateTime<Utc>, DateTime<Utc>, String)> {
    let mut arrivals = Vec::new();
    for (nth, (symbol, a_day, days)) in (0..).zip(symbols()) {
        for day in days {
            for at in 0..a_day {
                let number = day * a_day + at;
                // Two hours are missing in the middle of windows, and now and then two ticks have one time.
                let second = (at - at % 5 / 4) * 86_400 / a_day + 31 * nth;
                if symbol == "BUSY" && (36_000..43_200).contains(&second) {
                    continue;
                }
                let stands = symbol == "FLAT" && (2..8).contains(&day);
                let close = if stands { 50.25 } else { 100.0 + 10.0 * (number as f64 * 0.37 + nth as f64).sin() };
                let mut tick = serde_json::json!({ "symbol": symbol, "close": close });
                if number % 9 != 4 {
                    tick["volume"] = (number % 7).into();
                }
                if number % 2 == 0 {
                    (tick["open"], tick["high"], tick["low"]) =
                        ((close - 0.5).into(), (close + 0.5).into(), (close - 1.0).into());
                }
                let ts = midnight(day) + TimeDelta::seconds(second);
                tick["ts"] = ts.to_rfc3339().into();
                let late = [0, 0, 0, 0, 0, 0, 3, 0, 0, 60, 0][usize::try_from(number).unwrap() % 11];
                arrivals.push((ts + TimeDelta::hours(late), ts, tick.to_string()));
            }
        }
    }
    arrivals.sort();
    arrivals
}

/// What is asked, and with which parameters that aren't the defaults.
fn given(name: &str) -> &'static [&'static str] {
    match name {
        "atr" | "rsi" => &["p.window=2"],
        "bars" => &["interval=1h&p.candles=false", "interval=7m", "interval=2d"],
        "bollinger" | "volatility" | "vwap_rolling" | "volume_confirmation" => &["p.window=3"],
        "ema" => &["p.fast=1&p.slow=2"],
        "gaps" => &["p.longer_than=2h&p.overnight=true"],
        "latest" => &["p.since=2025-12-01"],
        "macd" => &["p.fast=1&p.slow=2&p.signal=1"],
        "price_alerts" => &["p.threshold=0.2"],
        "sma_crossover" => &["p.fast=2&p.slow=4"],
        "sma_crossover_partial" => &["p.fast=3&p.slow=7"],
        "zscore_anomalies" => &["p.window=5&p.threshold=-1"],
        _ => &[],
    }
}

struct Answer {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Answer {
    async fn of(server: &Running, path: &str) -> Self {
        let answer = server.json(path).await;
        assert_eq!((&answer["truncated"], &answer["mode"]), (&false.into(), &"live".into()), "{path}");
        let columns = answer["columns"].as_array().unwrap().iter();
        let columns = columns.map(|column| column["name"].as_str().unwrap().to_owned()).collect();
        let data: Vec<&Vec<Value>> =
            answer["data"].as_array().unwrap().iter().map(|values| values.as_array().unwrap()).collect();
        let count = usize::try_from(answer["rows"].as_u64().unwrap()).unwrap();
        let rows = (0..count).map(|row| data.iter().map(|values| values[row].clone()).collect()).collect();
        Self { columns, rows }
    }

    fn value<'a>(&self, row: &'a [Value], name: &str) -> &'a Value {
        &row[self.columns.iter().position(|column| column == name).unwrap()]
    }

    fn time(&self, row: &[Value], name: &str) -> f64 {
        self.value(row, name).as_f64().unwrap_or_else(|| panic!("{name}: {row:?}"))
    }

    /// Those of which a tick lies in the range, in milliseconds.
    fn shown(&self, query: &str, ticks: &[(String, f64)], range: &Range<f64>) -> Vec<&Vec<Value>> {
        let has_tick = |row: &[Value], begin: f64, end: f64| {
            let symbol = self.value(row, "symbol").as_str().unwrap();
            let mut all = ticks.iter();
            all.any(|(of, ts)| of == symbol && (begin..end).contains(ts) && range.contains(ts))
        };
        let shows = |row: &&Vec<Value>| match query {
            "bars" => has_tick(row, self.time(row, "bar_start"), self.time(row, "bar_end")),
            "daily_summary" => {
                let date: DateTime<Utc> =
                    format!("{}T00:00:00Z", self.value(row, "trade_date").as_str().unwrap()).parse().unwrap();
                let begin = date.timestamp_millis() as f64;
                has_tick(row, begin, begin + 86_400_000.0)
            }
            "gaps" => range.contains(&self.time(row, "silent_from")),
            _ => range.contains(&self.time(row, "ts")),
        };
        self.rows.iter().filter(shows).collect()
    }
}

fn is_alike(found: &Value, expected: &Value) -> bool {
    match (found.as_f64(), expected.as_f64()) {
        (Some(found), Some(expected)) => (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        _ => found == expected,
    }
}

fn difference(found: &[Vec<Value>], expected: &[&Vec<Value>]) -> Option<String> {
    if found.len() != expected.len() {
        return Some(format!("{} rows in place of {}", found.len(), expected.len()));
    }
    let mut pairs = found.iter().zip(expected);
    let differs = |(found, expected): &(&Vec<Value>, &&Vec<Value>)| {
        !found.iter().zip(expected.iter()).all(|(found, expected)| is_alike(found, expected))
    };
    pairs.find(differs).map(|(found, expected)| format!("{found:?} in place of {expected:?}"))
}

/// Symbols that stop for days, holes, late ticks older than the cut, and two days that Kafka alone holds.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_range_are_those_of_the_full_run() {
    let (topic, place) = (Topic::new(2), Place::folder());
    let market = market();
    let mut sent = 0;
    for day in [3, 7, DAYS + 4] {
        if sent > 0 {
            until_latest(spec(&topic, &place)).await.unwrap();
        }
        let end = market.partition_point(|(arrival, ..)| *arrival < midnight(day));
        topic.send(&market[sent..end].iter().map(|(.., message)| message).collect::<Vec<_>>());
        sent = end;
    }
    assert_eq!(sent, market.len());
    let late =
        |(arrival, ts, _): &&(DateTime<Utc>, DateTime<Utc>, String)| *arrival >= midnight(7) && *ts < midnight(5);
    assert_ne!(market.iter().filter(late).count(), 0, "no late tick is beyond the files");

    // No query is stopped for a busy machine.
    let limits = Some(Limits { patience: PATIENCE, ..Limits::default() });
    let server = start(&place, Options { kafka: Some(topic.kafka.clone()), limits, ..Options::default() }).await;
    let begun = Instant::now();
    while server.json("/api/q/ticks?limit=20000").await["rows"] != market.len() {
        assert!(begun.elapsed() < PATIENCE);
    }
    let all = Answer::of(&server, "/api/q/ticks?limit=20000").await;
    let symbol = |row: &[Value]| all.value(row, "symbol").as_str().unwrap().to_owned();
    let ticks: Vec<(String, f64)> = all.rows.iter().map(|row| (symbol(row), all.time(row, "ts"))).collect();

    // A date, an instant as the page writes it, and the instant of a tick; in files and beyond them.
    let millis = |time: DateTime<Utc>| time.timestamp_millis() as f64;
    let cuts = [
        ("2026-01-09", None, millis(midnight(4))..f64::INFINITY),
        ("2026-01-11T10:30:00.000Z", Some("2026-01-13T09:15:00.000Z"), {
            let (from, to) = (midnight(6) + TimeDelta::minutes(630), midnight(8) + TimeDelta::minutes(555));
            millis(from)..millis(to)
        }),
        ("2026-01-14T07:12:00Z", None, millis(midnight(9) + TimeDelta::minutes(432))..f64::INFINITY),
    ];
    assert!(ticks.iter().any(|(_, ts)| *ts == cuts[2].2.start));

    let meta = server.json("/api/meta").await;
    let names: Vec<&str> =
        meta["queries"].as_array().unwrap().iter().map(|query| query["name"].as_str().unwrap()).collect();
    assert!(SUMMARIES.iter().chain(&COLD_DIFFERS).all(|name| names.contains(name)));
    let mut cold_differs = Vec::new();
    for name in names.into_iter().filter(|name| !SUMMARIES.contains(name) && *name != "signals") {
        let limit = if name == "ticks" { "limit=20000" } else { "" };
        // Of `latest` the default is a week back from now.
        for params in [""].iter().filter(|_| name != "latest").chain(given(name)) {
            let symbols = if params.is_empty() { "" } else { "symbol=RARE&symbol=FLAT&symbol=PAUSE" };
            let path = format!("/api/q/{name}?{limit}&{params}&{symbols}");
            let full = Answer::of(&server, &path).await;
            let mut shown = 0;
            for (from, to, range) in &cuts {
                let to = to.map(|to| format!("&to={to}")).unwrap_or_default();
                // What is newest depends on the end.
                let full = if name == "latest" { &Answer::of(&server, &format!("{path}{to}")).await } else { &full };
                let ranged = format!("{path}&from={from}{to}");
                let found = Answer::of(&server, &ranged).await;
                let expected = full.shown(name, &ticks, range);
                let difference = |found: &Answer| difference(&found.rows, &expected);
                assert_eq!(difference(&found), None, "{ranged}");
                shown += found.rows.len();
                if difference(&Answer::of(&server, &format!("{ranged}&cold=true")).await).is_some() {
                    cold_differs.push(name);
                }
            }
            assert!(shown > 0, "{path} shows nothing");
        }
    }
    for name in COLD_DIFFERS {
        assert!(cold_differs.contains(&name), "{name} needs nothing before a cut: {cold_differs:?}");
    }
    server.stop().await;
}

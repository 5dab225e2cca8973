//! `--from` and `--to` show the rows of the full run that lie between them, for every named query.

use std::collections::BTreeSet;

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::rolling::{Layout, assert_alike, laid_out};
use super::union::{tail_of, union_in};
use super::*;
use crate::query::named::demand::LookBackSettings;

const DAYS: i64 = 12;

/// Symbols that trade all the time, by the hour, every few days, since yesterday, no longer; prices that stand still
/// for days; files with late ticks.
fn market(random: &mut StdRng) -> Vec<Row> {
    // Name, ticks a day, and days from and to which there are some.
    let symbols = [
        ("BUSY", 30.0, 0, DAYS),
        ("CALM", 15.0, 0, DAYS),
        ("FLAT", 20.0, 0, DAYS),
        ("GONE", 20.0, 0, 5),
        ("NEW", 20.0, DAYS - 3, DAYS),
        ("RARE", 0.4, 0, DAYS),
        ("PAUSE", 15.0, 0, DAYS),
    ];
    let mut rows = Vec::new();
    for (name, a_day, first, last) in symbols {
        let mut price: f64 = 100.0;
        for day in first..last {
            if name == "PAUSE" && (3..9).contains(&day) {
                continue;
            }
            let ticks = if a_day < 1.0 { i64::from(random.random_bool(a_day)) } else { a_day as i64 };
            for _ in 0..ticks {
                let stands = name == "FLAT" && (2..8).contains(&day);
                if !stands {
                    price = ((price + random.random_range(-1.0..1.0f64)).max(1.0) * 4.0).round() / 4.0;
                }
                let second = random.random_range(0..86_400 / 30) * 30;
                let volume = random.random_bool(0.9).then(|| random.random_range(0..5) as f64);
                let mut row = Row::new(name, START + day * DAY_MICROS + second * 1_000_000, price, volume, 0);
                row.partition = random.random_range(0..2);
                if random.random_bool(0.5) {
                    (row.open, row.high, row.low) = (Some(price - 0.5), Some(price + 0.5), Some(price - 1.0));
                }
                rows.push(row);
            }
        }
    }
    // In the order of arrival, for a few of them late.
    let mut arrivals: Vec<(i64, Row)> = Vec::new();
    for row in rows {
        let late = if random.random_bool(0.03) { random.random_range(0..2 * DAY_MICROS) } else { 0 };
        arrivals.push((row.ts + late, row));
    }
    arrivals.sort_by_key(|(arrival, _)| *arrival);
    let number = |(offset, (_, mut row)): (usize, (i64, Row))| {
        row.offset = offset as i64;
        row
    };
    arrivals.into_iter().enumerate().map(number).collect()
}

#[derive(Debug, Clone, Copy)]
enum Cut {
    Date(i64),
    Time(i64),
}

impl Cut {
    fn text(self) -> String {
        match self {
            Self::Date(day) => {
                chrono::DateTime::from_timestamp_micros(START + day * DAY_MICROS).unwrap().date_naive().to_string()
            }
            Self::Time(micros) => chrono::DateTime::from_timestamp_micros(micros).unwrap().to_rfc3339(),
        }
    }

    fn micros(self) -> i64 {
        match self {
            Self::Date(day) => START + day * DAY_MICROS,
            Self::Time(micros) => micros,
        }
    }
}

fn cut(random: &mut StdRng, rows: &[Row], days: std::ops::Range<i64>) -> Cut {
    let day = random.random_range(days);
    match random.random_range(0..3) {
        0 => Cut::Date(day),
        1 => Cut::Time(START + day * DAY_MICROS + random.random_range(0..DAY_MICROS)),
        // Exactly at a tick.
        _ => Cut::Time(rows.choose(random).unwrap().ts.clamp(START + day * DAY_MICROS, START + (day + 1) * DAY_MICROS)),
    }
}

async fn answer(session: &QuerySession, parsed: &ParsedStatement) -> (u64, RecordBatch) {
    let planned = session.plan(parsed).await.unwrap();
    let opened = planned.reads().await.unwrap().iter().map(|reads| reads.opened.files).sum();
    let schema = planned.schema();
    let batches: Vec<RecordBatch> = planned.run().unwrap().try_collect().await.unwrap();
    (opened, concat_batches(&schema, &batches).unwrap())
}

struct Asked {
    name: String,
    symbols: Vec<String>,
    params: Vec<(String, String)>,
}

impl Asked {
    fn prepared(&self, from: Option<Cut>, to: Option<Cut>, cold: bool) -> ParsedStatement {
        let catalog = NamedQueries::load(None).unwrap();
        let text = catalog.get(&self.name).unwrap().text_for(Dialect::Tickhouse).to_owned();
        let clock = QueryClock { zone: chrono_tz::UTC, now: "2026-01-17T00:00:00Z".parse().unwrap() };
        let (symbols, params) = (self.symbols.clone(), self.params.clone());
        let (from, to) = (from.map(Cut::text), to.map(Cut::text));
        QueryRequest { table: TICKS, symbols, from, to, params, cold, mark: "--" }.prepare(&text, clock).unwrap()
    }

    /// Of the full run: rows of which a tick lies in the range.
    fn in_range(&self, full: &RecordBatch, rows: &[Row], from: i64, to: i64) -> RecordBatch {
        let range = from..to;
        let times =
            |name: &str| full.column_by_name(name).map(|column| column.as_primitive::<TimestampMicrosecondType>());
        let symbols = full.column_by_name("symbol").unwrap().as_string::<i32>();
        let keeps = |row: usize| {
            let has_tick = |begin: i64, end: i64| {
                rows.iter().any(|tick| {
                    tick.symbol == symbols.value(row) && (begin..end).contains(&tick.ts) && range.contains(&tick.ts)
                })
            };
            match self.name.as_str() {
                "bars" => has_tick(times("bar_start").unwrap().value(row), times("bar_end").unwrap().value(row)),
                "daily_summary" => {
                    let date = full.column_by_name("trade_date").unwrap().as_primitive::<Date32Type>().value(row);
                    has_tick(i64::from(date) * DAY_MICROS, i64::from(date + 1) * DAY_MICROS)
                }
                "gaps" => range.contains(&times("silent_from").unwrap().value(row)),
                _ => range.contains(&times("ts").unwrap().value(row)),
            }
        };
        filter_record_batch(full, &(0..full.num_rows()).map(|row| Some(keeps(row))).collect::<BooleanArray>()).unwrap()
    }
}

/// Parameters that differ from the defaults.
fn params(random: &mut StdRng, name: &str) -> Vec<(String, String)> {
    let given: &[(&str, &str)] = match name {
        "atr" | "rsi" => &[("window", "2")],
        "bars" => [&[("interval", "1h")][..], &[("interval", "7m")], &[("interval", "2d")]].choose(random).unwrap(),
        "bollinger" | "volatility" | "vwap_rolling" | "volume_confirmation" | "trend_volatility" => &[("window", "3")],
        "zscore_anomalies" => &[("window", "5"), ("threshold", "-1")],
        "ema" => &[("fast", "1"), ("slow", "2")],
        "macd" => &[("fast", "1"), ("slow", "2"), ("signal", "1")],
        "sma_crossover" => &[("fast", "2"), ("slow", "4")],
        "sma_crossover_partial" => &[("fast", "3"), ("slow", "7")],
        "price_alerts" => &[("threshold", "0.2")],
        "gaps" => &[("longer_than", "2h"), ("overnight", "true")],
        "latest" => &[("since", "90d")],
        _ => &[],
    };
    given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Queries that have a row for each symbol, of the ticks in the range.
const SUMMARIES: [&str; 6] = ["correlation", "drawdown", "movers", "symbols", "volatility_share", "volume_by_symbol"];

#[tokio::test(flavor = "multi_thread")]
async fn a_range_shows_rows_of_the_full_run() {
    let catalog = NamedQueries::load(None).unwrap();
    let (mut shown, mut bounded, mut cold_differs) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for seed in 0..4 {
        let mut random = StdRng::seed_from_u64(70 + seed);
        let rows = market(&mut random);
        let layout = *[Layout::Scattered, Layout::Sorted, Layout::InArrivalOrder].choose(&mut random).unwrap();
        let by = *[PartitionBy::Day, PartitionBy::Month].choose(&mut random).unwrap();
        // Some of the newest rows are in Kafka alone.
        let in_files = if seed % 2 == 0 { rows.len() } else { rows.len() - random.random_range(1..250) };
        let view = laid_out(layout, by, &rows[..in_files], &mut random).await;
        let tail = tail_of(&view, &rows[in_files..], &mut random);
        let mut session = union_in(QuerySession::new(DEFAULT_MEMORY_BYTES).unwrap().splitting_files(), &view, &tail);
        if seed != 3 {
            session.look_back = LookBackSettings::EAGER;
        }
        for (name, _) in catalog.iter().filter(|(name, _)| !SUMMARIES.contains(name) && *name != "trend_volatility") {
            for round in 0..2 {
                let symbols: &[&str] = [&[][..], &["RARE"], &["FLAT", "NEW"]].choose(&mut random).unwrap();
                let symbols = symbols.iter().map(|symbol| (*symbol).to_owned()).collect();
                let given = if round == 0 && name != "latest" { Vec::new() } else { params(&mut random, name) };
                let asked = Asked { name: name.to_owned(), symbols, params: given };
                let from = cut(&mut random, &rows, 1..DAYS);
                let to = random.random_bool(0.5).then(|| cut(&mut random, &rows, DAYS - 2..DAYS + 1));
                let to = to.filter(|to| to.micros() > from.micros());
                // What is newest depends on the end.
                let end = to.filter(|_| name == "latest");
                let (of_all, full) = answer(&session, &asked.prepared(None, end, false)).await;
                let (opened, found) = answer(&session, &asked.prepared(Some(from), to, false)).await;
                let expected = asked.in_range(&full, &rows, from.micros(), to.map_or(i64::MAX, Cut::micros));
                let what = format!("seed {seed}: {name} {:?} {:?} {from:?} to {to:?}", asked.params, asked.symbols);
                assert_alike(&found, &expected, &what);
                let (_, cold) = answer(&session, &asked.prepared(Some(from), to, true)).await;
                if cold != found {
                    cold_differs.insert(name);
                }
                if found.num_rows() > 0 {
                    shown.insert(name);
                }
                if opened < of_all {
                    bounded.insert(name);
                }
            }
        }
    }
    let named = |names: &BTreeSet<&str>| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(shown.len(), catalog.iter().count() - SUMMARIES.len() - 1, "some have no rows: {:?}", named(&shown));
    // By chance all files are read for some of them.
    for name in ["sma_crossover", "bollinger", "rsi", "bars", "vwap", "price_alerts"] {
        assert!(bounded.contains(name), "{name} always reads all: {:?}", named(&bounded));
    }
    for name in ["sma_crossover", "bars", "daily_summary", "vwap", "obv"] {
        assert!(cold_differs.contains(name), "{name}: {:?}", named(&cold_differs));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_is_of_the_ticks_in_the_range() {
    let mut random = StdRng::seed_from_u64(81);
    let rows = market(&mut random);
    let view = laid_out(Layout::Sorted, PartitionBy::Day, &rows, &mut random).await;
    for _ in 0..2 {
        let (from, to) = (cut(&mut random, &rows, 1..6), cut(&mut random, &rows, 7..DAYS));
        let range = from.micros()..to.micros();
        let inside: Vec<Row> = rows.iter().filter(|row| range.contains(&row.ts)).cloned().collect();
        let inside_only = laid_out(Layout::Sorted, PartitionBy::Day, &inside, &mut random).await;
        for name in SUMMARIES {
            let params = Vec::new();
            let asked = Asked { name: name.to_owned(), symbols: Vec::new(), params };
            let since: Vec<_> =
                [("since".to_owned(), "2026-01-01".to_owned())].into_iter().filter(|_| name == "movers").collect();
            let alone = Asked { name: name.to_owned(), symbols: Vec::new(), params: since };
            let (_, found) = answer(&session(&view), &asked.prepared(Some(from), Some(to), false)).await;
            let (_, expected) = answer(&session(&inside_only), &alone.prepared(None, None, false)).await;
            assert_alike(&found, &expected, &format!("{name} {from:?} {to:?}"));
        }
    }
}

/// The largest of the means that end in the range, not of those that begin there.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_mean_is_of_full_windows() {
    let rows: Vec<Row> =
        (0..40).map(|n| Row::new("A", START + n * DAY_MICROS / 4, 100.0 - n as f64, None, n)).collect();
    let view = laid_out(Layout::Sorted, PartitionBy::Day, &rows, &mut StdRng::seed_from_u64(1)).await;
    let mut session = session(&view);
    session.look_back = LookBackSettings::EAGER;
    let params = vec![("window".to_owned(), "4".to_owned())];
    let asked = Asked { name: "trend_volatility".to_owned(), symbols: Vec::new(), params };
    for (cold, largest) in [(false, 81.5), (true, 78.5)] {
        let (_, found) = answer(&session, &asked.prepared(Some(Cut::Date(5)), None, cold)).await;
        let sma = found.column_by_name("max_sma").unwrap().as_primitive::<arrow::datatypes::Float64Type>();
        assert_eq!((sma.len(), sma.value(0)), (1, largest), "cold: {cold}");
    }
}

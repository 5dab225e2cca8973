//! The named queries against loops that compute each row from its definition.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const TOLERANCE: f64 = 1e-9;

fn near(left: Option<f64>, right: Option<f64>) -> bool {
    match (left, right) {
        (None, None) => true,
        (Some(left), Some(right)) => (left - right).abs() <= TOLERANCE * right.abs().max(1e-6),
        _ => false,
    }
}

/// Random walks with flat stretches (equal means), unknown volumes, equal times and files in any order.
fn walks(seed: u64, symbols: usize, rows: usize) -> Vec<Vec<Row>> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut slices = vec![Vec::new(); 4];
    let mut prices = vec![100.0; symbols];
    let mut offset = 0;
    for step in 0..rows {
        for (symbol, price) in prices.iter_mut().enumerate() {
            let flat = step % 97 > 60;
            if !flat {
                *price = (*price + random.random_range(-1.0..1.0f64)).max(1.0);
                // Steps of a quarter make equal means likely.
                if symbol % 2 == 0 {
                    *price = (*price * 4.0).round() / 4.0;
                }
            }
            let volume = random.random_bool(0.9).then(|| random.random_range(0..5) as f64);
            let mut row =
                Row::new(&format!("S{symbol}"), START + (step as i64 / 3) * 7_000_000_000, *price, volume, offset);
            row.partition = random.random_range(0..2);
            row.index = random.random_range(0..2);
            if random.random_bool(0.5) {
                row.open = Some(*price - 0.5);
                row.high = Some(*price + random.random_range(0.0..1.0));
                row.low = Some(*price - random.random_range(0.0..1.0));
            }
            offset += 1;
            let slice = random.random_range(0..4);
            slices[slice].push(row);
        }
    }
    slices
}

fn by_symbol(slices: &[Vec<Row>]) -> BTreeMap<String, Vec<Row>> {
    let mut symbols: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in slices.iter().flatten() {
        symbols.entry(row.symbol.clone()).or_default().push(row.clone());
    }
    symbols.values_mut().for_each(|rows| rows.sort_by_key(Row::place));
    symbols
}

fn double(batch: &RecordBatch, column: &str, row: usize) -> Option<f64> {
    let column = batch.column_by_name(column).unwrap().as_primitive::<Float64Type>();
    column.is_valid(row).then(|| column.value(row))
}

fn text<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column.is_valid(row).then(|| column.value(row))
}

fn flag(batch: &RecordBatch, column: &str, row: usize) -> bool {
    let column = batch.column_by_name(column).unwrap().as_boolean();
    assert!(column.is_valid(row));
    column.value(row)
}

fn time(batch: &RecordBatch, row: usize) -> i64 {
    batch.column_by_name("ts").unwrap().as_primitive::<TimestampMicrosecondType>().value(row)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn sma(closes: &[f64], rows: usize) -> Option<f64> {
    closes.len().checked_sub(rows).map(|start| mean(&closes[start..]))
}

fn rises(rows: &[Row], at: usize) -> bool {
    at > 0 && matches!((rows[at - 1].volume, rows[at].volume), (Some(before), Some(now)) if now > before)
}

/// What the loop met, so that a test can't pass on data without the cases it is for.
#[derive(Debug, Default)]
struct Met {
    golden: usize,
    death: usize,
    ties: usize,
    tie_then_cross: usize,
    buys: usize,
}

fn check_crossover(slices: &[Vec<Row>], batch: &RecordBatch, fast: usize, slow: usize) -> Met {
    let mut met = Met::default();
    let mut line = 0;
    for (symbol, rows) in by_symbol(slices) {
        let closes: Vec<f64> = rows.iter().map(|row| row.close).collect();
        let (mut last_side, mut tied) = (0, false);
        for at in 0..rows.len() {
            let (fast, slow) = (sma(&closes[..=at], fast), sma(&closes[..=at], slow));
            let side = match (fast, slow) {
                (Some(fast), Some(slow)) if fast - slow > 1e-9 * slow.abs() => 1,
                (Some(fast), Some(slow)) if slow - fast > 1e-9 * slow.abs() => -1,
                (Some(_), Some(_)) => {
                    met.ties += 1;
                    tied = true;
                    0
                }
                _ => 0,
            };
            let confirmed = rises(&rows, at);
            let signal = match (side, confirmed) {
                (1, true) => "Buy",
                (-1, true) => "Sell",
                _ => "Hold",
            };
            let event = match (last_side, side) {
                (-1, 1) => Some("golden"),
                (1, -1) => Some("death"),
                _ => None,
            };
            let place = format!("{symbol} row {at}");
            assert_eq!(text(batch, "symbol", line), Some(symbol.as_str()), "{place}");
            assert_eq!(time(batch, line), rows[at].ts, "{place}");
            assert!(near(double(batch, "close", line), Some(rows[at].close)), "{place}");
            assert!(near(double(batch, "sma_fast", line), fast), "{place}");
            assert!(near(double(batch, "sma_slow", line), slow), "{place}");
            assert_eq!(text(batch, "signal", line), Some(signal), "{place}");
            assert_eq!(text(batch, "cross_event", line), event, "{place}");
            assert_eq!(flag(batch, "confirmed", line), confirmed, "{place}");
            met.golden += usize::from(event == Some("golden"));
            met.death += usize::from(event == Some("death"));
            met.tie_then_cross += usize::from(event.is_some() && tied);
            met.buys += usize::from(signal == "Buy");
            if side != 0 {
                (last_side, tied) = (side, false);
            }
            line += 1;
        }
    }
    assert_eq!(batch.num_rows(), line);
    met
}

#[tokio::test(flavor = "multi_thread")]
async fn sma_crossover_is_what_a_loop_computes() {
    for (seed, by) in [(1, PartitionBy::Day), (2, PartitionBy::Month)] {
        let slices = walks(seed, 5, 400);
        let view = table_of(by, &slices).await;
        let met = check_crossover(&slices, &rows_of(&view, &named("sma_crossover", &[])).await, 9, 21);
        assert!(met.golden > 10 && met.death > 10 && met.ties > 10 && met.tie_then_cross > 0, "{met:?}");
        assert!(met.buys > 100, "{met:?}");
        let other = named("sma_crossover", &[("fast", "1"), ("slow", "3")]);
        check_crossover(&slices, &rows_of(&view, &other).await, 1, 3);
    }
}

#[tokio::test]
async fn a_crossing_counts_from_the_last_side_over_a_tie() {
    // Means of 1 and 2 rows: above, equal, equal, below, equal, above.
    let closes = [1.0, 2.0, 2.0, 2.0, 1.0, 1.0, 3.0];
    let rows: Vec<Row> =
        closes.iter().zip(0..).map(|(close, n)| Row::new("A", START + n, *close, Some(n as f64), n)).collect();
    let view = table_of(PartitionBy::Day, &[rows]).await;
    let batch = rows_of(&view, &named("sma_crossover", &[("fast", "1"), ("slow", "2")])).await;
    let events: Vec<_> = (0..7).map(|row| text(&batch, "cross_event", row)).collect();
    assert_eq!(events, [None, None, None, None, Some("death"), None, Some("golden")]);
    let signals: Vec<_> = (0..7).map(|row| text(&batch, "signal", row).unwrap()).collect();
    assert_eq!(signals, ["Hold", "Buy", "Hold", "Hold", "Sell", "Hold", "Buy"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn daily_summary_is_what_a_loop_computes() {
    for by in [PartitionBy::Day, PartitionBy::Year] {
        let slices = walks(3, 4, 120);
        let view = table_of(by, &slices).await;
        let batch = rows_of(&view, &named("daily_summary", &[])).await;
        let mut line = 0;
        for (symbol, rows) in by_symbol(&slices) {
            for day in rows.chunk_by(|a, b| a.date() == b.date()) {
                let closes: Vec<f64> = day.iter().map(|row| row.close).collect();
                let volumes: Vec<f64> = day.iter().filter_map(|row| row.volume).collect();
                let volume = (!volumes.is_empty()).then(|| volumes.iter().sum::<f64>());
                let turnover: f64 = day.iter().filter_map(|row| Some(row.close * row.volume?)).sum();
                let average = mean(&closes);
                let spread: f64 = closes.iter().map(|close| (close - average).powi(2)).sum();
                let open = day[0].open.unwrap_or(day[0].close);
                let close = closes[closes.len() - 1];
                let place = format!("{symbol} {}", day[0].date());
                assert_eq!(text(&batch, "symbol", line), Some(symbol.as_str()), "{place}");
                let date = batch.column_by_name("trade_date").unwrap().as_primitive::<Date32Type>().value(line);
                assert_eq!(date, day[0].date(), "{place}");
                let trades = batch.column_by_name("trades").unwrap().as_primitive::<Int64Type>().value(line);
                assert_eq!(trades, day.len() as i64, "{place}");
                for (column, expected) in [
                    ("open", Some(open)),
                    ("high", day.iter().map(|row| row.high.unwrap_or(row.close)).reduce(f64::max)),
                    ("low", day.iter().map(|row| row.low.unwrap_or(row.close)).reduce(f64::min)),
                    ("close", Some(close)),
                    ("avg_close", Some(average)),
                    ("volume", volume),
                    ("vwap", volume.filter(|volume| *volume > 0.0).map(|volume| turnover / volume)),
                    ("volatility", (closes.len() > 1).then(|| (spread / (closes.len() - 1) as f64).sqrt())),
                    ("change", Some(close - open)),
                    ("change_pct", Some(100.0 * (close - open) / open)),
                ] {
                    let found = double(&batch, column, line);
                    assert!(near(found, expected), "{place} {column}: {found:?} is not {expected:?}");
                }
                line += 1;
            }
        }
        assert_eq!(batch.num_rows(), line);
        assert!(line > 8, "several days");
    }
}

#[tokio::test]
async fn daily_summary_knows_its_edges() {
    let mut oil = Row::new("OIL", START, -37.0, None, 0);
    oil.open = Some(0.0);
    let nothing = Row::new("ZERO", START, 5.0, Some(0.0), 1);
    let view = table_of(PartitionBy::Day, &[vec![oil, nothing]]).await;
    let batch = rows_of(&view, &named("daily_summary", &[])).await;
    for column in ["volume", "vwap", "volatility", "change_pct"] {
        assert_eq!(double(&batch, column, 0), None, "{column}");
    }
    assert_eq!(double(&batch, "change", 0), Some(-37.0));
    assert_eq!((double(&batch, "volume", 1), double(&batch, "vwap", 1)), (Some(0.0), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn volume_confirmation_is_what_a_loop_computes() {
    let slices = walks(4, 3, 200);
    let view = table_of(PartitionBy::Day, &slices).await;
    let batch = rows_of(&view, &named("volume_confirmation", &[("window", "4")])).await;
    let (mut line, mut averages) = (0, 0);
    for (symbol, rows) in by_symbol(&slices) {
        for at in 0..rows.len() {
            let before = at.checked_sub(1).map(|at| rows[at].close);
            let close = rows[at].close;
            let moved = before.map_or(std::cmp::Ordering::Equal, |before| close.total_cmp(&before));
            let name = ["Down", "Flat", "Up"][(moved as i8 + 1) as usize];
            let window = (at + 1).checked_sub(4).map(|start| &rows[start..=at]);
            let known = window.and_then(|rows| rows.iter().map(|row| row.volume).collect::<Option<Vec<f64>>>());
            let average = known.map(|volumes| mean(&volumes));
            averages += usize::from(average.is_some());
            let ratio = average.filter(|average| *average != 0.0).zip(rows[at].volume).map(|(mean, now)| now / mean);
            let place = format!("{symbol} row {at}");
            assert_eq!(text(&batch, "move", line), Some(name), "{place}");
            assert!(near(double(&batch, "volume_avg", line), average), "{place}");
            assert!(near(double(&batch, "volume_ratio", line), ratio), "{place}");
            let change = before.map(|before| 100.0 * (close - before) / before);
            assert!(near(double(&batch, "change_pct", line), change), "{place}");
            assert_eq!(flag(&batch, "confirmed", line), name != "Flat" && rises(&rows, at), "{place}");
            line += 1;
        }
    }
    assert_eq!(batch.num_rows(), line);
    assert!(averages > 100 && averages < line - 100);
}

#[tokio::test]
async fn headers_name_the_columns_that_come_out() {
    let view = table_of(PartitionBy::Day, &[]).await;
    for (name, query) in NamedQueries::load(None).unwrap().iter() {
        let planned = session(&view).plan(&named(name, &[])).await.unwrap();
        let schema = planned.schema();
        let columns: Vec<String> =
            schema.fields().iter().map(|field| format!("{} {}", field.name(), type_name(field.data_type()))).collect();
        let promised: Vec<String> =
            query.header.columns.iter().map(|column| format!("{} {}", column.name, column.kind)).collect();
        assert_eq!(columns, promised, "{name}");
    }
}

fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 => "string".to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => "timestamp".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        other => other.to_string(),
    }
}

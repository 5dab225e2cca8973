//! Values and events of the engine equal the rows of the named queries.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use proptest::prelude::*;

use super::*;
use crate::lake::TableView;
use crate::live::{EventKind, SymbolState, at};
use crate::market::PartitionBy;
use crate::query::tests::{named, rows_of, table_of};

/// Per symbol, in order.
type Lines = BTreeMap<String, Vec<SymbolState>>;

/// The state after every tick, and all events; the engine gets the ticks one by one.
fn live(rows: &[Row]) -> (Lines, Vec<Event>) {
    let (mut lines, mut events) = (Lines::new(), Vec::new());
    let mut engine = wait(engine(&settings()));
    for row in rows {
        events.extend(take(&mut engine, std::slice::from_ref(row)));
        let (mut states, _) = engine.changed();
        assert_eq!(states.len(), 1);
        lines.entry(row.symbol.clone()).or_default().extend(states.pop());
    }
    assert_eq!(engine.progress().late, 0);
    (lines, events)
}

/// The rows of a named query: its symbol, and the values of these columns.
fn batch(view: &TableView, name: &str, params: &[(&str, &str)], columns: &[&str]) -> BTreeMap<String, Vec<Vec<f64>>> {
    let rows = wait(rows_of(view, &named(name, params)));
    let mut found: BTreeMap<String, Vec<Vec<f64>>> = BTreeMap::new();
    let value = |column: &str, row: usize| {
        let column = rows.column_by_name(column).unwrap();
        let doubles = column.as_primitive::<Float64Type>();
        if doubles.is_valid(row) { doubles.value(row) } else { f64::NAN }
    };
    let symbols = rows.column_by_name("symbol").unwrap().as_string::<i32>();
    for row in 0..rows.num_rows() {
        let values = columns.iter().map(|column| value(column, row)).collect();
        found.entry(symbols.value(row).to_owned()).or_default().push(values);
    }
    found
}

fn assert_equal(lines: &Lines, batch: &BTreeMap<String, Vec<Vec<f64>>>, places: &[usize], name: &str) {
    assert_eq!(lines.len(), batch.len());
    for (symbol, rows) in batch {
        let states = &lines[symbol];
        assert_eq!(states.len(), rows.len(), "{name} {symbol}");
        for (line, (state, row)) in states.iter().zip(rows).enumerate() {
            for (place, expected) in places.iter().zip(row) {
                let found = state.values[*place];
                let same = (found.is_nan() && expected.is_nan())
                    || (found - expected).abs() <= 1e-9 * expected.abs().max(1e-12);
                // Deviations of prices that hardly move are those of their last digits.
                let tiny = (found - expected).abs() <= 1e-12 * state.values[at::CLOSE];
                assert!(same || tiny, "{name} {symbol} row {line} place {place}: {found} is not {expected}");
            }
        }
    }
}

fn texts(rows: &RecordBatch, column: &str) -> Vec<Option<String>> {
    rows.column_by_name(column).unwrap().as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

/// (symbol, side) in the order of time, of one kind.
fn emitted(events: &[Event], kind: EventKind) -> Vec<(String, String)> {
    let mut of_kind: Vec<&Event> = events.iter().filter(|event| event.kind == kind).collect();
    of_kind.sort_by_key(|event| (event.symbol.to_string(), event.ts, event.tick));
    of_kind.iter().map(|event| (event.symbol.to_string(), event.side.unwrap().to_owned())).collect()
}

fn expected(view: &TableView, name: &str, params: &[(&str, &str)], side: &str) -> Vec<(String, String)> {
    let rows = wait(rows_of(view, &named(name, params)));
    let pairs = texts(&rows, "symbol").into_iter().zip(texts(&rows, side));
    pairs.filter_map(|(symbol, side)| Some((symbol?, side?))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn live_equals_batch(rows in rows()) {
        let view = wait(table_of(PartitionBy::Day, std::slice::from_ref(&rows)));
        let (lines, events) = live(&rows);
        for (name, params, columns, places) in [
            ("sma_crossover", &[][..], &["close", "volume", "prev_volume", "sma_fast", "sma_slow"][..],
             &[at::CLOSE, at::VOLUME, at::PREV_VOLUME, at::SMA_FAST, at::SMA_SLOW][..]),
            ("moving_averages", &[], &["ma_5", "ma_10", "ma_20", "volume_avg_5", "volume_avg_10"],
             &[at::MA_5, at::MA_10, at::MA_20, at::VOLUME_AVG_5, at::VOLUME_AVG_10]),
            ("volatility", &[], &["volatility"], &[at::VOLATILITY]),
            ("vwap", &[], &["vwap"], &[at::VWAP]),
            ("volume_confirmation", &[], &["change_pct"], &[at::CHANGE_PCT]),
        ] {
            assert_equal(&lines, &batch(&view, name, params, columns), places, name);
        }
        // Rows without a z-score are not in the query.
        let scores = batch(&view, "zscore_anomalies", &[("threshold", "-1")], &["zscore"]);
        for (symbol, states) in &lines {
            let known: Vec<f64> =
                states.iter().map(|state| state.values[at::ZSCORE]).filter(|score| !score.is_nan()).collect();
            let rows: Vec<f64> = scores.get(symbol).into_iter().flatten().map(|row| row[0]).collect();
            prop_assert_eq!(known.len(), rows.len());
            prop_assert!(known.iter().zip(&rows).all(|(found, row)| (found - row).abs() <= 1e-9 * row.abs().max(1e-3)));
        }
        let days = batch(&view, "daily_summary", &[], &["open", "high", "low", "volume"]);
        for (symbol, states) in &lines {
            let last = states.last().unwrap();
            let day = days[symbol].last().unwrap();
            for (place, expected) in [at::DAY_OPEN, at::DAY_HIGH, at::DAY_LOW, at::DAY_VOLUME].into_iter().zip(day) {
                let found = last.values[place];
                prop_assert!((found.is_nan() && expected.is_nan()) || found == *expected, "{symbol} {place}: {found} \
                    {expected}");
            }
        }
        prop_assert_eq!(emitted(&events, EventKind::Cross), expected(&view, "sma_crossover", &[], "cross_event"));
        prop_assert_eq!(emitted(&events, EventKind::Anomaly), expected(&view, "zscore_anomalies", &[], "direction"));
        prop_assert_eq!(emitted(&events, EventKind::PriceAlert), expected(&view, "price_alerts", &[], "direction"));
        // A signal is emitted when it changes; all symbols begin with Hold.
        let states = expected(&view, "sma_crossover", &[], "signal");
        let mut before = BTreeMap::<String, String>::new();
        let changes: Vec<(String, String)> = states.into_iter().filter(|(symbol, signal)| {
            before.insert(symbol.clone(), signal.clone()).unwrap_or_else(|| "Hold".to_owned()) != *signal
        }).collect();
        prop_assert_eq!(emitted(&events, EventKind::Signal), changes);
    }
}

//! Cutting, restarting or shuffling the stream does not change the emitted events.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::live::{EventKind, StartOffsets, history, warm_up};
use crate::market::PartitionBy;
use crate::query::tests::table_of;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn chunks_change_nothing(rows in rows(), cuts in prop::collection::vec(1usize..50, 1..20)) {
        let mut whole = wait(engine(&settings()));
        let expected = ids(&take(&mut whole, &rows));
        let mut cut = wait(engine(&settings()));
        let (mut found, mut rest, mut sizes) = (Vec::new(), &rows[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (chunk, more) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            found.extend(take(&mut cut, chunk));
            rest = more;
        }
        prop_assert_eq!(ids(&found), expected);
    }

    /// The table has more or fewer rows than events were emitted for, as after a kill at any moment.
    #[test]
    fn a_restart_emits_the_rest(rows in rows(), emitted_until in 0usize..400, in_table in 0usize..400) {
        let (emitted_until, in_table) = (emitted_until.min(rows.len()), in_table.min(rows.len()));
        let mut whole = wait(engine(&settings()));
        let all = take(&mut whole, &rows);
        let expected: Vec<Event> = all.into_iter().filter(|event| event.tick.offset >= emitted_until as i64).collect();

        let view = wait(table_of(PartitionBy::Day, &[rows[..in_table].to_vec()]));
        let read = emitted_until.min(in_table);
        let starts = StartOffsets {
            epoch: 0,
            read: [(0, read as i64)].into(),
            emitted_until: [(0, emitted_until as i64)].into(),
        };
        let mut again = wait(engine(&settings()));
        let warm = wait(warm_up(&mut again, &view, &starts)).unwrap();
        prop_assert!(warm <= read as u64);
        prop_assert!(again.events().is_empty());
        again.take(starts.origin(0), &columns(&rows[read..]));
        prop_assert_eq!(ids(&again.events()), ids(&expected));
        let last = |engine: &SignalEngine| {
            let mut states = engine.states();
            states.sort_by(|one, other| one.symbol.cmp(&other.symbol));
            format!("{states:?}")
        };
        prop_assert_eq!(last(&again), last(&whole));
    }

    /// Kafka no longer holds ticks whose events were not emitted: they are read from the table.
    #[test]
    fn what_kafka_let_go_is_emitted_from_the_table(rows in rows(), emitted_until in 0usize..400, low in 0usize..400) {
        let (emitted_until, low) = (emitted_until.min(rows.len()), low.min(rows.len()));
        prop_assume!(emitted_until <= low);
        let mut whole = wait(engine(&settings()));
        let all = take(&mut whole, &rows);
        let expected: Vec<Event> = all.into_iter().filter(|event| event.tick.offset >= emitted_until as i64).collect();
        let view = wait(table_of(PartitionBy::Day, std::slice::from_ref(&rows)));
        let (read, emitted_until) = ([(0, low as i64)].into(), [(0, emitted_until as i64)].into());
        let starts = StartOffsets { epoch: 0, read, emitted_until };
        let mut again = wait(engine(&settings()));
        wait(warm_up(&mut again, &view, &starts)).unwrap();
        let mut found = again.events();
        again.take(starts.origin(0), &columns(&rows[low..]));
        found.extend(again.events());
        prop_assert_eq!(ids(&found), ids(&expected));
    }

    /// Ticks that come out of order by less than the buffer give the same events as in order.
    #[test]
    fn the_buffer_brings_ticks_into_order(rows in rows(), delays in prop::collection::vec(0i64..900_000, 400)) {
        let mut ordered = rows;
        // Each at its own time: of those at the same time the one with the lower offset is first.
        for (at, row) in ordered.iter_mut().enumerate() {
            row.ts = START + at as i64 * 100_000;
        }
        let mut arriving = ordered.clone();
        let mut keys: Vec<(i64, usize)> =
            ordered.iter().enumerate().map(|(at, row)| (row.ts + delays[at % delays.len()], at)).collect();
        keys.sort();
        for (offset, (_, at)) in keys.iter().enumerate() {
            arriving[offset] = Row { offset: offset as i64, ..ordered[*at].clone() };
        }
        let about = |events: &[Event]| {
            let mut all: Vec<String> = events
                .iter()
                .map(|event| format!("{} {} {} {:?} \
                    {}", event.symbol, event.ts, event.kind.name(), event.side, event.name))
                .collect();
            all.sort();
            all
        };
        let mut in_order = wait(engine(&settings()));
        let expected = about(&take(&mut in_order, &ordered));
        let buffered = LiveSettings { reorder: Duration::from_secs(1), ..settings() };
        let mut reordering = wait(engine(&buffered));
        let mut found = take(&mut reordering, &arriving);
        prop_assert_eq!(reordering.progress().late, 0);
        // What still waits is let go by a tick far ahead, of any symbol.
        let flush = [Row::new("other", START + DAY_MICROS / 2, 100.0, None, 100_000)];
        let before = found.len();
        found.extend(take(&mut reordering, &flush));
        prop_assert!(found.len() >= before);
        prop_assert_eq!(about(&found), expected);
        prop_assert_eq!(reordering.first_waiting(0), Some(100_000));
    }
}

/// Symbols that trade on some days only, live that was down for days, and a table that went on meanwhile.
#[test]
fn windows_are_filled_from_as_far_back_as_it_takes() {
    let mut rows = Vec::new();
    for day in 0..12i64 {
        for n in 0..60 {
            // One trades every day, one on weekdays, one had a few ticks long ago.
            let symbol = match n % 6 {
                5 if day == 1 => "MSFT",
                1 | 3 if day % 7 < 5 => "\u{1f4c8}",
                _ => "AAPL",
            };
            let price = 100.0 + (n as f64 / 3.0).sin() * 3.0 + day as f64;
            let offset = rows.len() as i64;
            rows.push(Row::new(symbol, START + day * DAY_MICROS + n * 60_000_000, price, Some((n % 7) as f64), offset));
        }
    }
    let new = Row::new("MSFT", START + 12 * DAY_MICROS, 99.0, Some(3.0), rows.len() as i64);
    rows.push(new);
    let mut whole = wait(engine(&settings()));
    let all = take(&mut whole, &rows);
    let view = wait(table_of(PartitionBy::Day, std::slice::from_ref(&rows)));
    // The offset up to which events were emitted, and the first offset that Kafka still holds.
    for (emitted_until, low) in [(720, 720), (420, 420), (419, 700), (660, 720), (60, 60), (0, 0), (10, 500)] {
        let starts = StartOffsets { epoch: 0, read: [(0, low)].into(), emitted_until: [(0, emitted_until)].into() };
        let mut again = wait(engine(&settings()));
        let warm = wait(warm_up(&mut again, &view, &starts)).unwrap();
        assert!(warm <= low as u64 && (low < 720 || warm < 500), "{emitted_until} {low}: {warm} rows");
        let mut found = again.events();
        again.take(starts.origin(0), &columns(&rows[low as usize..]));
        found.extend(again.events());
        let expected: Vec<Event> = all.iter().filter(|event| event.tick.offset >= emitted_until).cloned().collect();
        assert!(ids(&found) == ids(&expected), "{emitted_until} {low}: {} of {}", found.len(), expected.len());
        assert!(emitted_until > 700 || expected.len() > 20);
    }
}

/// The buffer of one symbol is let go by others of its partition.
#[test]
fn a_symbol_that_falls_silent_holds_up_nothing() {
    let buffered = LiveSettings { reorder: Duration::from_secs(1), ..LiveSettings::default() };
    let mut engine = wait(engine(&buffered));
    let row = |symbol: &str, ts: i64, offset: i64| Row::new(symbol, START + ts, 100.0, Some(1.0), offset);
    take(&mut engine, &[row("AAPL", 0, 0), row("MSFT", 10, 1)]);
    assert_eq!((engine.progress().ticks, engine.first_waiting(0)), (0, Some(0)));
    take(&mut engine, &[row("MSFT", 2_000_000, 2)]);
    assert_eq!((engine.progress().ticks, engine.first_waiting(0)), (2, Some(2)));
    take(&mut engine, &[row("AAPL", -5, 3), row("MSFT", 4_000_000, 4)]);
    assert_eq!((engine.progress().late, engine.first_waiting(0)), (1, Some(4)));
}

#[test]
fn late_ticks_and_scattered_symbols_are_counted_and_left_out() {
    let mut engine = wait(engine(&LiveSettings::default()));
    let row = |ts: i64, close: f64, offset: i64| Row::new("AAPL", START + ts, close, Some(1.0), offset);
    take(&mut engine, &[row(10, 100.0, 0), row(5, 500.0, 1), row(10, 101.0, 2)]);
    let state = &engine.states()[0];
    assert_eq!((engine.progress().ticks, engine.progress().late), (2, 1));
    assert_eq!((state.values[crate::live::at::DAY_HIGH], state.values[crate::live::at::PREV_CLOSE]), (101.0, 100.0));
    let other = TickPosition { partition: 1, ..ORIGIN };
    engine.take(other, &columns(&[row(11, 102.0, 0), row(12, 102.0, 1)]));
    assert_eq!(engine.progress().scattered_symbols, 1);
}

#[test]
fn a_rule_over_history_tells_what_it_tells_live() {
    let rows: Vec<Row> = (0..5_000i64)
        .map(|n| {
            let symbol = SYMBOLS[n as usize % 4];
            let price = 100.0 + (n as f64 / 40.0).sin() * 5.0 + if n % 211 == 0 { 9.0 } else { 0.0 };
            Row::new(symbol, START + n * 40_000_000, price, Some((n % 13) as f64), n)
        })
        .collect();
    let only = LiveSettings { kinds: vec![EventKind::Rule], ..settings() };
    let mut live = wait(engine(&only));
    let emitted = take(&mut live, &rows);
    assert!(emitted.len() > 100, "{}", emitted.len());
    let view = wait(table_of(PartitionBy::Day, std::slice::from_ref(&rows)));
    for (from, to) in [(0, 5_000), (1_000, 4_000), (2_159, 2_161), (4_999, 5_000)] {
        let (since, until) = (START + from * 40_000_000, START + to * 40_000_000);
        let mut engine = wait(engine(&only));
        let found = wait(history(&mut engine, &view, (since, until), |symbol| symbol != "MSFT")).unwrap();
        let is_meant = |event: &&Event| (since..until).contains(&event.ts) && &*event.symbol != "MSFT";
        let expected: Vec<Event> = emitted.iter().filter(is_meant).cloned().collect();
        assert_eq!(ids(&found), ids(&expected), "{from} {to}");
        assert!(found.is_sorted_by_key(|event| event.ts));
    }
}

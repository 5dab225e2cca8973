//! The table as a query sees it: columns, partitions, and which files are opened.

use arrow::array::AsArray;
use arrow::datatypes::{Date32Type, Int64Type};

use super::*;

/// Three days, two files a day: A and B in the first, X and Y in the second.
async fn three_days(by: PartitionBy) -> TableView {
    let mut slices = Vec::new();
    for day in 0..3 {
        for (file, symbols) in [["A", "B"], ["X", "Y"]].into_iter().enumerate() {
            let rows = (0..10).map(|n| {
                let offset = day * 100 + file as i64 * 10 + n;
                let ts = START + day * DAY_MICROS + n * 1_000_000;
                Row::new(symbols[n as usize % 2], ts, 10.0 * (day + 1) as f64 + n as f64, Some(1.0), offset)
            });
            slices.push(rows.collect());
        }
    }
    table_of(by, &slices).await
}

async fn files_opened(view: &TableView, parsed: &ParsedStatement) -> usize {
    session(view).plan(parsed).await.unwrap().explain().matches(".parquet").count()
}

fn count(batch: &RecordBatch) -> i64 {
    batch.column(0).as_primitive::<Int64Type>().value(0)
}

#[tokio::test]
async fn columns_and_rows_are_those_of_the_table() {
    let view = three_days(PartitionBy::Day).await;
    let all = select(&view, "SELECT * FROM ticks").await;
    assert_eq!(all.num_rows(), 60);
    let names: Vec<&str> = view.schema.fields().iter().map(|field| field.name().as_str()).collect();
    let schema = all.schema();
    assert_eq!(schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), names);
    let dates = select(&view, "SELECT trade_date, count(*) FROM ticks GROUP BY trade_date ORDER BY 1").await;
    assert_eq!(dates.column(0).as_primitive::<Date32Type>().values(), &[20_458, 20_459, 20_460]);
    assert_eq!(dates.column(1).as_primitive::<Int64Type>().values(), &[20, 20, 20]);
    assert_eq!(select(&view, "SELECT symbol FROM ticks LIMIT 7").await.num_rows(), 7);
}

#[tokio::test]
async fn a_count_opens_no_file() {
    let view = three_days(PartitionBy::Day).await;
    for (sql, rows) in [
        ("SELECT count(*) FROM ticks", 60),
        ("SELECT count(*) FROM ticks WHERE trade_date > DATE '2026-01-05'", 40),
        ("SELECT count(*) FROM ticks WHERE trade_date = DATE '2020-01-01'", 0),
    ] {
        let parsed = ParsedStatement::parse(sql).unwrap();
        assert_eq!(files_opened(&view, &parsed).await, 0, "{sql}");
        assert_eq!(count(&rows_of(&view, &parsed).await), rows, "{sql}");
    }
}

#[tokio::test]
async fn files_that_cannot_match_stay_closed() {
    let view = three_days(PartitionBy::Day).await;
    for (condition, files, rows) in [
        ("TRUE", 6, 60),
        ("trade_date = DATE '2026-01-06'", 2, 20),
        ("trade_date IN (DATE '2026-01-05', DATE '2026-01-07') AND symbol < 'C'", 2, 20),
        ("symbol = 'X'", 3, 15),
        ("symbol IN ('A', 'Y')", 6, 30),
        ("symbol = 'Q'", 0, 0),
        ("ts >= TIMESTAMP '2026-01-07 00:00:05Z'", 2, 10),
        ("ts < '2026-01-05T00:00:02Z'", 2, 4),
        ("close > 35", 2, 8),
        ("kafka_offset BETWEEN 105 AND 112", 2, 8),
        ("trade_date = DATE '2026-01-06' OR symbol = 'A'", 4, 30),
        ("volume = 2", 6, 0),
        ("extract(hour FROM ts) = 5", 6, 0),
    ] {
        let sql = format!("SELECT symbol, ts, close, trade_date FROM ticks WHERE {condition}");
        let parsed = ParsedStatement::parse(&sql).unwrap();
        assert_eq!(files_opened(&view, &parsed).await, files, "{condition}");
        assert_eq!(rows_of(&view, &parsed).await.num_rows(), rows, "{condition}");
    }
}

#[tokio::test]
async fn a_plan_tells_what_it_leaves_out() {
    let view = three_days(PartitionBy::Day).await;
    let bytes = view.files.iter().map(|file| file.bytes).sum::<u64>();
    for (sql, partitions, bounds, opened, groups) in [
        ("SELECT symbol FROM ticks", 0, 0, 6, None),
        ("SELECT symbol FROM ticks WHERE trade_date = DATE '2026-01-06'", 4, 0, 2, None),
        ("SELECT symbol FROM ticks WHERE trade_date > DATE '2026-01-05' AND symbol = 'X'", 2, 2, 2, Some((2, 2))),
        ("SELECT symbol FROM ticks WHERE ts = TIMESTAMP '2026-01-06 00:00:03Z'", 0, 4, 2, Some((2, 2))),
        ("SELECT symbol FROM ticks WHERE symbol = 'Q'", 0, 6, 0, None),
        ("SELECT count(*) FROM ticks WHERE trade_date < DATE '2026-01-07'", 2, 0, 0, None),
    ] {
        let planned = session(&view).plan(&ParsedStatement::parse(sql).unwrap()).await.unwrap();
        let reads = planned.reads().await.unwrap();
        let [reads] = reads.as_slice() else { panic!("{sql}: {reads:?}") };
        assert_eq!((reads.all.files, reads.all.bytes), (6, bytes), "{sql}");
        let skipped = (reads.of_other_partitions.files, reads.out_of_bounds.files);
        assert_eq!((skipped, reads.opened.files), ((partitions, bounds), opened), "{sql}");
        assert_eq!(reads.row_groups.map(|groups| (groups.may_match, groups.all)), groups, "{sql}");
    }
}

#[tokio::test]
async fn a_scope_prunes_like_a_condition() {
    let view = three_days(PartitionBy::Day).await;
    let clock = QueryClock::system(chrono_tz::UTC);
    let bound = |text| Some(TimeBound::parse(text, &clock).unwrap());
    let symbols = vec!["A".to_owned(), "B".to_owned()];
    let scope = TickScope { symbols, from: bound("2026-01-06"), to: bound("2026-01-07T00:00:02Z") };
    let mut parsed = ParsedStatement::parse("SELECT symbol, lag(close) OVER (ORDER BY ts) FROM ticks").unwrap();
    parsed.restrict(&scope).unwrap();
    assert_eq!(files_opened(&view, &parsed).await, 2);
    let rows = rows_of(&view, &parsed).await;
    assert_eq!(rows.num_rows(), 12);
    assert_eq!(rows.column(1).null_count(), 1, "the window begins at the bound");
}

#[tokio::test]
async fn latest_reads_only_what_is_recent() {
    let view = three_days(PartitionBy::Day).await;
    for (since, files, symbols) in [("2026-01-07", 2, 4), ("2026-01-01", 6, 4), ("2026-01-08", 0, 0)] {
        let parsed = named("latest", &[("since", since)]);
        assert_eq!(files_opened(&view, &parsed).await, files, "{since}");
        assert_eq!(rows_of(&view, &parsed).await.num_rows(), symbols, "{since}");
    }
    let mut now = ParsedStatement::parse(&NamedQueries::load(None).unwrap().get("latest").unwrap().text).unwrap();
    let clock = QueryClock { zone: chrono_tz::UTC, now: "2026-01-14T00:00:00Z".parse().unwrap() };
    now.bind_at(&[], &clock).unwrap();
    assert_eq!(files_opened(&view, &now).await, 2, "seven days back is the third day");
}

#[tokio::test]
async fn coarser_partitions_bound_the_trade_date() {
    let day = |day: i64| vec![Row::new("A", START + day * DAY_MICROS, 1.0, None, day)];
    let view = table_of(PartitionBy::Month, &[day(0), day(1), day(30), day(60), day(90)]).await;
    assert_eq!(view.partition_column, "trade_month");
    for (condition, files, rows) in [
        ("trade_date >= DATE '2026-02-01'", 3, 3),
        ("trade_date = DATE '2026-01-06'", 2, 1),
        ("trade_month = DATE '2026-03-01'", 1, 1),
        ("trade_date < DATE '2026-01-01'", 0, 0),
    ] {
        let parsed = ParsedStatement::parse(&format!("SELECT trade_date FROM ticks WHERE {condition}")).unwrap();
        assert_eq!(files_opened(&view, &parsed).await, files, "{condition}");
        assert_eq!(rows_of(&view, &parsed).await.num_rows(), rows, "{condition}");
    }
}

#[tokio::test]
async fn an_unknown_bound_keeps_its_file() {
    let mut view = three_days(PartitionBy::Day).await;
    view.files[0].stats = None;
    view.files[2].stats = Some("{".to_owned());
    view.files[4].rows = None;
    let parsed = ParsedStatement::parse("SELECT symbol FROM ticks WHERE symbol = 'X'").unwrap();
    assert_eq!(files_opened(&view, &parsed).await, 5);
    assert_eq!(rows_of(&view, &parsed).await.num_rows(), 15);
    assert_eq!(count(&select(&view, "SELECT count(*) FROM ticks").await), 60);
}

#[tokio::test]
async fn an_empty_table_answers() {
    let view = table_of(PartitionBy::Day, &[]).await;
    assert_eq!(count(&select(&view, "SELECT count(*) FROM ticks").await), 0);
    for (name, _) in NamedQueries::load(None).unwrap().iter() {
        assert_eq!(rows_of(&view, &named(name, &[])).await.num_rows(), 0, "{name}");
    }
}

#[tokio::test]
async fn a_symbol_that_is_not_there_is_named_with_the_one_that_may_be_meant() {
    let rows = ["AAPL", "MSFT"].into_iter().zip(0..).map(|(symbol, n)| Row::new(symbol, START, 1.0, None, n)).collect();
    let view = table_of(PartitionBy::Day, &[rows]).await;
    let lines = session(&view).unknown_symbols(&["AAPL", "msft", "XYZ"].map(str::to_owned)).await.unwrap();
    let expected = ["ticks has no symbol 'msft'; did you mean 'MSFT'?", "ticks has no symbol 'XYZ'"];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn ticks_that_are_all_older_than_a_query_looks_back_are_a_note() {
    let rows = vec![Row::new("AAPL", START, 1.0, None, 0), Row::new("MSFT", START + DAY_MICROS, 1.0, None, 1)];
    let view = table_of(PartitionBy::Day, &[rows]).await;
    let catalog = NamedQueries::load(None).unwrap();
    let named = NamedTables { catalog: &catalog, dialect: Dialect::Tickhouse, tables: &["ticks"] };
    let clock = QueryClock { zone: chrono_tz::UTC, now: "2026-01-07T12:00:00Z".parse().unwrap() };
    let ask = QueryRequest {
        table: TICKS,
        symbols: Vec::new(),
        from: None,
        to: None,
        params: Vec::new(),
        cold: false,
        mark: "--",
    };
    let note = async |text: &str, ask: QueryRequest| {
        session(&view).too_old(&ask.prepare_over(text, clock, named).unwrap()).await.unwrap()
    };
    let (latest, movers) = (catalog.get("latest").unwrap().text.as_str(), catalog.get("movers").unwrap().text.as_str());
    assert_eq!(note(latest, ask.clone()).await, None);
    let newest = "the newest tick is of 2026-01-06T00:00:00Z; look further back with";
    assert_eq!(
        note(movers, ask.clone()).await,
        Some(format!("ticks has nothing within since=1day: {newest} --param since=2026-01-06"))
    );
    assert_eq!(
        note("SELECT * FROM movers(since => '1h') m JOIN ticks USING (symbol)", ask.clone()).await,
        Some(format!("ticks has nothing within since=1h: {newest} movers(since => '2026-01-06')"))
    );
    let of_one = |param: &str| QueryRequest {
        symbols: vec!["AAPL".to_owned()],
        params: vec![("since".to_owned(), param.to_owned())],
        ..ask.clone()
    };
    assert_eq!(
        note(latest, of_one("2d")).await,
        Some("ticks has nothing of AAPL within since=2d; look further back with --param since=DATE".to_owned(),),
        "its newest tick is in no statistics"
    );
    assert_eq!(note(latest, of_one("2026-01-05")).await, None);
    let of_letters = "-- param since time 1h x\nSELECT 1 AS one FROM dead_letters WHERE ingested_at > $since";
    assert_eq!(note(of_letters, ask.clone()).await, None);
    let unknown = QueryRequest { symbols: vec!["XYZ".to_owned()], ..of_one("1d") };
    assert_eq!(note(latest, unknown).await, None, "it has no newest tick");
}

//! Windows on the rolling operator against the same windows on DataFusion's own.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{Float64Type, Int64Type};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::*;

const ORDER: &str = "ts, kafka_partition, kafka_offset, kafka_index";

/// How the rows of a table lie in its files.
#[derive(Debug, Clone, Copy)]
pub(super) enum Layout {
    /// Anywhere, in any order.
    Scattered,
    /// A sorted file a day.
    Sorted,
    /// Sorted files that overlap a little.
    InArrivalOrder,
}

pub(super) fn ticks(random: &mut StdRng, symbols: usize, rows: usize) -> Vec<Row> {
    let row = |n: usize| {
        let symbol = format!("S{}", random.random_range(0..symbols));
        // Some equal times, some late rows.
        let ts = START + (n as i64 / 2) * 700_000_000 - random.random_range(0..3) * 700_000_000;
        let volume = random.random_bool(0.8).then(|| random.random_range(0..50) as f64);
        let mut row = Row::new(&symbol, ts, random.random_range(90.0..110.0), volume, n as i64);
        row.open = random.random_bool(0.1).then(|| random.random_range(-5.0..5.0));
        row.partition = random.random_range(0..3);
        row
    };
    (0..rows).map(row).collect()
}

pub(super) async fn laid_out(layout: Layout, by: PartitionBy, rows: &[Row], random: &mut StdRng) -> TableView {
    let slices = match layout {
        Layout::Scattered => {
            let mut slices = vec![Vec::new(); 3];
            rows.iter().for_each(|row| slices[random.random_range(0..3)].push(row.clone()));
            slices
        }
        Layout::Sorted => vec![rows.to_vec()],
        Layout::InArrivalOrder => rows.chunks(37).map(<[Row]>::to_vec).collect(),
    };
    let sort = |mut slice: Vec<Row>| {
        if !matches!(layout, Layout::Scattered) {
            slice.sort_by(|a, b| (&a.symbol, a.place()).cmp(&(&b.symbol, b.place())));
        }
        slice
    };
    table_of(by, &slices.into_iter().map(sort).collect::<Vec<_>>()).await
}

fn rolling_session(view: &TableView) -> QuerySession {
    session(view).splitting_files()
}

pub(super) fn plain_session(view: &TableView) -> QuerySession {
    let mut session = QuerySession::with_rules(DEFAULT_MEMORY_BYTES, PhysicalOptimizer::new().rules).unwrap();
    session.register(TICKS, view.clone()).unwrap();
    session
}

pub(super) async fn rows_in(session: &QuerySession, sql: &str) -> (String, RecordBatch) {
    let planned = session.plan(&ParsedStatement::parse(sql).unwrap()).await.unwrap();
    let (explained, schema) = (planned.explain(), planned.schema());
    let batches: Vec<RecordBatch> = planned.run().unwrap().try_collect().await.unwrap();
    (explained, concat_batches(&schema, &batches).unwrap())
}

pub(super) fn assert_alike(found: &RecordBatch, expected: &RecordBatch, what: &str) {
    assert_eq!(found.schema(), expected.schema(), "{what}");
    assert_eq!(found.num_rows(), expected.num_rows(), "{what}");
    for (at, field) in found.schema().fields().iter().enumerate() {
        let (one, other) = (found.column(at), expected.column(at));
        if field.data_type() != &DataType::Float64 {
            assert_eq!(one, other, "{what}: {}", field.name());
            continue;
        }
        let (one, other) = (one.as_primitive::<Float64Type>(), other.as_primitive::<Float64Type>());
        for row in 0..one.len() {
            assert_eq!(one.is_null(row), other.is_null(row), "{what}: {} row {row}", field.name());
            let (one, other) = (one.value(row), other.value(row));
            let near = (one - other).abs() <= 1e-9 * other.abs().max(1e-3);
            assert!(near || found.column(at).is_null(row), "{what}: {} row {row}: {one} is not {other}", field.name());
        }
    }
}

fn frame(random: &mut StdRng) -> String {
    let start = random.random_range(0..12);
    let lag = random.random_range(0..=start.min(3));
    let from = if random.random_bool(0.2) { "UNBOUNDED".to_owned() } else { start.to_string() };
    let to = if lag == 0 { "CURRENT ROW".to_owned() } else { format!("{lag} PRECEDING") };
    let from = if from == "0" { "CURRENT ROW".to_owned() } else { format!("{from} PRECEDING") };
    format!("ROWS BETWEEN {from} AND {to}")
}

/// Window columns that the kernels know.
pub(super) fn known(random: &mut StdRng) -> String {
    const CALLS: [&str; 16] = [
        "count(*)",
        "count(volume)",
        "count(close)",
        "sum(close)",
        "sum(volume)",
        "avg(volume)",
        "avg(close)",
        "avg(close * volume)",
        "min(close)",
        "max(volume)",
        "min(ts)",
        "max(kafka_offset)",
        "max(open)",
        "max(CASE WHEN volume > 20 THEN kafka_partition END)",
        "avg(abs(open))",
        "min(volume)",
    ];
    let wide = ["stddev(close)", "stddev_pop(close)", "var_samp(close)", "var_pop(close)"];
    let columns: Vec<String> = (0..random.random_range(1..5))
        .map(|at| match random.random_range(0..11) {
            0 => format!("row_number() OVER (PARTITION BY symbol ORDER BY {ORDER}) AS c{at}"),
            1 => format!("lag(volume) OVER (PARTITION BY symbol ORDER BY {ORDER}) AS c{at}"),
            2 => format!("lag(kafka_offset, 3) OVER (PARTITION BY symbol ORDER BY {ORDER}) AS c{at}"),
            3 => {
                let value = ["volume", "open", "ts"].choose(random).unwrap();
                format!("first_value({value}) OVER (PARTITION BY symbol ORDER BY {ORDER}) AS c{at}")
            }
            4 => format!(
                "{} OVER (PARTITION BY symbol ORDER BY {ORDER} ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS c{at}",
                wide.choose(random).unwrap()
            ),
            _ => format!(
                "{} OVER (PARTITION BY symbol ORDER BY {ORDER} {}) AS c{at}",
                CALLS.choose(random).unwrap(),
                frame(random)
            ),
        })
        .collect();
    columns.join(", ")
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_are_those_of_datafusion() {
    let mut random = StdRng::seed_from_u64(7);
    for round in 0..48 {
        let layout = [Layout::Scattered, Layout::Sorted, Layout::InArrivalOrder][round % 3];
        let by = [PartitionBy::Day, PartitionBy::Month][round / 3 % 2];
        let symbols = *[1, 4, 60].choose(&mut random).unwrap();
        let rows = ticks(&mut random, symbols, 600);
        let view = laid_out(layout, by, &rows, &mut random).await;
        let filter = ["", "WHERE symbol <> 'S1'", "WHERE volume > 10", "WHERE close * volume > 900"];
        let filter = filter.choose(&mut random).unwrap();
        let by = ["symbol", "symbol", "symbol, trade_date", "trade_date, symbol"].choose(&mut random).unwrap();
        let columns = known(&mut random).replace("PARTITION BY symbol", &format!("PARTITION BY {by}"));
        let sql = format!("SELECT symbol, kafka_offset, {columns} FROM ticks {filter} ORDER BY symbol, kafka_offset");
        let (plan, found) = rows_in(&rolling_session(&view), &sql).await;
        assert!(plan.contains("RollingExec") && !plan.contains("WindowAggExec"), "{sql}\n{plan}");
        let (plain, expected) = rows_in(&plain_session(&view), &sql).await;
        assert!(plain.contains("WindowAggExec"), "{plain}");
        assert!(found.num_rows() > 100 || filter.len() > 1, "{sql}");
        assert_alike(&found, &expected, &format!("{layout:?} {sql}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn named_queries_need_no_sort_below_their_windows() {
    let mut random = StdRng::seed_from_u64(8);
    let rows = ticks(&mut random, 5, 500);
    for layout in [Layout::Scattered, Layout::Sorted, Layout::InArrivalOrder] {
        let view = laid_out(layout, PartitionBy::Day, &rows, &mut random).await;
        for name in ["sma_crossover", "volume_confirmation", "price_history"] {
            let sql = named(name, &[]).to_sql();
            let (plan, found) = rows_in(&rolling_session(&view), &sql).await;
            assert!(!plan.contains("WindowAggExec"), "{plan}");
            assert!(plan.find("RollingExec").unwrap() > plan.find("SortExec").unwrap(), "{plan}");
            assert_eq!(plan.matches("SortExec").count(), 1, "{plan}");
            let (_, expected) = rows_in(&plain_session(&view), &sql).await;
            assert_alike(&found, &expected, name);
        }
        let crossover = named("sma_crossover", &[]).to_sql();
        let crossover = crossover.trim_end_matches(';');
        let counted = format!("SELECT signal, count(*) FROM ({crossover}) AS s GROUP BY signal ORDER BY signal");
        let (plan, found) = rows_in(&rolling_session(&view), &counted).await;
        let narrow = plan.contains("projection=[symbol, ts, close, volume], ");
        assert_eq!(narrow, matches!(layout, Layout::Sorted), "{plan}");
        assert_eq!(found, rows_in(&plain_session(&view), &counted).await.1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_kernels_do_not_know_stays_with_datafusion() {
    let mut random = StdRng::seed_from_u64(9);
    let rows = ticks(&mut random, 4, 300);
    let view = laid_out(Layout::InArrivalOrder, PartitionBy::Day, &rows, &mut random).await;
    let over = |rest: &str| format!("OVER (PARTITION BY symbol ORDER BY {ORDER} {rest})");
    for column in [
        format!("avg(close) {}", over("ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING")),
        format!("avg(close) {}", over("ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING")),
        format!("sum(close) {}", over("")),
        format!("first_value(close) {}", over("ROWS 3 PRECEDING")),
        format!("first_value(volume) IGNORE NULLS {}", over("")),
        format!("sum(kafka_offset) {}", over("ROWS 3 PRECEDING")),
        format!("count(close) FILTER (WHERE volume > 10) {}", over("ROWS 3 PRECEDING")),
        format!("count(DISTINCT volume) {}", over("ROWS UNBOUNDED PRECEDING")),
        format!("lag(volume) IGNORE NULLS {}", over("")),
        format!("lag(close, 1, 0.0) {}", over("")),
        format!("lead(close) {}", over("")),
        format!("rank() {}", over("")),
        format!("median(close) {}", over("ROWS 3 PRECEDING")),
        "avg(close) OVER (PARTITION BY symbol ORDER BY ts DESC, kafka_offset DESC ROWS 3 PRECEDING)".to_owned(),
        "avg(close) OVER (PARTITION BY symbol ORDER BY close, kafka_offset ROWS 3 PRECEDING)".to_owned(),
        "avg(close) OVER (PARTITION BY symbol, trade_date ORDER BY ts, kafka_offset ROWS 3 PRECEDING)".to_owned(),
        format!("avg(close) OVER (PARTITION BY trade_date ORDER BY {ORDER} ROWS 3 PRECEDING)"),
        format!("avg(close) OVER (PARTITION BY symbol, kafka_partition ORDER BY {ORDER} ROWS 3 PRECEDING)"),
        "avg(close) OVER (ORDER BY ts, kafka_partition, kafka_offset ROWS 3 PRECEDING)".to_owned(),
        "avg(close) OVER (PARTITION BY upper(symbol) ORDER BY ts, kafka_partition, kafka_offset ROWS 3 PRECEDING)"
            .to_owned(),
    ] {
        let sql = format!("SELECT symbol, kafka_offset, {column} AS c FROM ticks ORDER BY symbol, kafka_offset");
        let (plan, found) = rows_in(&rolling_session(&view), &sql).await;
        assert!(!plan.contains("RollingExec"), "{sql}\n{plan}");
        assert_alike(&found, &rows_in(&plain_session(&view), &sql).await.1, &sql);
    }
    // Both in one statement, and windows over other tables than ticks.
    let mixed = format!(
        "SELECT symbol, kafka_offset, avg(close) {} AS a, lead(close) {} AS b FROM ticks ORDER BY symbol, kafka_offset",
        over("ROWS 3 PRECEDING"),
        over("")
    );
    let joined = "SELECT a.kafka_offset, avg(a.close) OVER (PARTITION BY a.symbol ORDER BY a.ts, a.kafka_partition, \
         a.kafka_offset ROWS 2 PRECEDING) AS m FROM ticks a JOIN ticks b ON a.kafka_offset = b.kafka_offset ORDER BY 1";
    for sql in [mixed.as_str(), joined] {
        let (_, found) = rows_in(&rolling_session(&view), sql).await;
        assert_alike(&found, &rows_in(&plain_session(&view), sql).await.1, sql);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn order_by_time_alone_is_enough() {
    let mut random = StdRng::seed_from_u64(10);
    let rows: Vec<Row> = (0..400)
        .map(|n| Row::new(["A", "B"][n as usize % 2], START + n * 500_000_000, random.random_range(1.0..2.0), None, n))
        .collect();
    let view = laid_out(Layout::InArrivalOrder, PartitionBy::Day, &rows, &mut random).await;
    let sql =
        "SELECT ts, avg(close) OVER (PARTITION BY symbol ORDER BY ts ROWS 4 PRECEDING) AS m FROM ticks ORDER BY ts";
    let (plan, found) = rows_in(&rolling_session(&view), sql).await;
    assert!(plan.contains("RollingExec"), "{plan}");
    assert_alike(&found, &rows_in(&plain_session(&view), sql).await.1, sql);
}

#[tokio::test]
async fn odd_ticks_leave_no_trace() {
    let mut rows: Vec<Row> = (0..60).map(|n| Row::new("A", START + n, 10.0 + (n % 3) as f64, Some(1.0), n)).collect();
    (rows[10].close, rows[20].close, rows[30].close) = (1e16, f64::NAN, f64::INFINITY);
    let view = table_of(PartitionBy::Day, &[rows]).await;
    let sql = "SELECT avg(close) OVER (PARTITION BY symbol ORDER BY ts ROWS 2 PRECEDING) AS m, \
               stddev(close) OVER (PARTITION BY symbol ORDER BY ts ROWS 2 PRECEDING) AS s FROM ticks";
    let batch = select(&view, sql).await;
    for column in 0..2 {
        let values = batch.column(column).as_primitive::<Float64Type>();
        for row in 40..60 {
            assert_eq!(values.value(row), [11.0, 1.0][column], "row {row}");
        }
        assert_eq!(values.value(16), values.value(43), "after 1e16");
        assert_eq!(values.value(26), values.value(44), "after NaN");
    }
}

#[tokio::test]
async fn a_file_that_lies_about_its_order_is_an_error() {
    let rows: Vec<Row> = (0..40).map(|n| Row::new("A", START + 40 - n, 1.0, None, n)).collect();
    let mut view = table_of(PartitionBy::Day, std::slice::from_ref(&rows)).await;
    let in_file: Vec<_> = view.schema.fields().iter().filter(|field| field.name() != "trade_date").cloned().collect();
    let bytes = encode_as(&Schema::new(in_file), &rows.iter().collect::<Vec<_>>(), true);
    view.files[0].bytes = bytes.len() as u64;
    view.store.put(&view.files[0].path, bytes.into()).await.unwrap();
    let sql = "SELECT lag(close) OVER (PARTITION BY symbol ORDER BY ts) AS l FROM ticks";
    let planned = session(&view).plan(&ParsedStatement::parse(sql).unwrap()).await.unwrap();
    let failed: Result<Vec<RecordBatch>, _> = planned.run().unwrap().try_collect().await;
    assert!(failed.unwrap_err().to_string().contains("says that it is sorted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_symbol_reads_its_files_and_is_rolled() {
    let mut random = StdRng::seed_from_u64(11);
    let rows = ticks(&mut random, 6, 800);
    let view = laid_out(Layout::Sorted, PartitionBy::Day, &rows, &mut random).await;
    let mut parsed = named("sma_crossover", &[]);
    parsed.restrict(&TickScope { symbols: vec!["S2".to_owned()], ..TickScope::default() }).unwrap();
    let planned = session(&view).plan(&parsed).await.unwrap();
    let plan = planned.explain();
    assert!(plan.contains("RollingExec") && plan.contains("pruning_predicate"), "{plan}");
    let batches: Vec<RecordBatch> = planned.run().unwrap().try_collect().await.unwrap();
    let expected = rows.iter().filter(|row| row.symbol == "S2").count();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), expected);
    let numbers = "SELECT max(n) FROM (SELECT row_number() OVER (PARTITION BY symbol ORDER BY ts) AS n FROM ticks \
                   WHERE symbol = 'S2') AS s";
    let most = cast(select(&view, numbers).await.column(0), &DataType::Int64).unwrap();
    assert_eq!(most.as_primitive::<Int64Type>().value(0), expected as i64);
}

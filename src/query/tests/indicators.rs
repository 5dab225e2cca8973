//! The window functions of ours in SQL: their rows, where they run, and what a wrong call gets.

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use super::*;
use crate::query::error::QueryError;

const ORDER: &str = "PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index";

/// Two symbols over three days in files of any order, with unknown volumes and highs.
async fn table() -> TableView {
    let row = |n: i64| {
        let symbol = if n % 3 == 0 { "A" } else { "B" };
        let close = 100.0 + (n * n % 37) as f64 / 4.0;
        let volume = (n % 5 > 0).then_some((n % 11) as f64);
        let mut row = Row::new(symbol, START + n / 2 * 400_000_000, close, volume, n * 7 % 600);
        row.high = (n % 4 > 0).then_some(close + 1.5);
        row.low = (n % 4 > 1).then_some(close - 1.25);
        row
    };
    let rows: Vec<Row> = (0..600).map(row).collect();
    let slices: Vec<Vec<Row>> =
        (0..3).map(|slice| rows.iter().skip(slice).step_by(3).rev().cloned().collect()).collect();
    table_of(PartitionBy::Day, &slices).await
}

fn doubles(batch: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    batch.column_by_name(name).unwrap().as_primitive::<Float64Type>().iter().collect()
}

async fn planned(session: &QuerySession, sql: &str) -> (String, RecordBatch) {
    let planned = session.plan(&ParsedStatement::parse(sql).unwrap()).await.unwrap();
    let (plan, schema) = (planned.explain(), planned.schema());
    let batches: Vec<RecordBatch> = planned.run().unwrap().try_collect().await.unwrap();
    (plan, concat_batches(&schema, &batches).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn they_run_on_the_rolling_operator_and_on_datafusions_own() {
    let view = table().await;
    let mut plain = QuerySession::with_rules(DEFAULT_MEMORY_BYTES, PhysicalOptimizer::new().rules).unwrap();
    plain.register(TICKS, view.clone()).unwrap();
    let sql = format!(
        "SELECT symbol, ts, kafka_offset, ema(close, 12) OVER w AS a, rsi(volume, 14) OVER w AS b,
           macd(close, 5, 9, 3) OVER w AS c, macd_signal(close, 5, 9, 3) OVER w AS d,
           macd_histogram(close, 5, 9, 3) OVER w AS e, atr(coalesce(high, close), coalesce(low, close), close, 14) \
           OVER w AS f,
           ema(kafka_offset, 3) OVER w AS g, avg(close) OVER w AS h, ema(close, 1) OVER w - close AS i
         FROM ticks WHERE close > 101 WINDOW w AS ({ORDER} ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)
         ORDER BY symbol, ts, kafka_offset"
    );
    let (rolling, found) = planned(&session(&view), &sql).await;
    assert!(rolling.contains("RollingExec") && !rolling.contains("WindowAggExec"), "{rolling}");
    let (own, expected) = planned(&plain, &sql).await;
    assert!(own.contains("WindowAggExec") && !own.contains("RollingExec"), "{own}");
    assert!(found.num_rows() > 400);
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        let values = doubles(&found, name);
        assert_eq!(values, doubles(&expected, name), "{name}");
        assert!(values.iter().flatten().count() > 150, "{name}");
    }
    assert!(doubles(&found, "i").into_iter().all(|rest| rest == Some(0.0)));
}

#[tokio::test]
async fn a_hole_has_no_value_and_leaves_no_trace() {
    let closes = [10.0, 13.0, 99.0, 12.0, 12.0, 15.0];
    let rows = closes.iter().enumerate().map(|(n, close)| {
        let volume = (*close != 99.0).then_some(1.0);
        Row::new("A", START + n as i64 * 1_000_000, *close, volume, n as i64)
    });
    let view = table_of(PartitionBy::Day, &[rows.collect()]).await;
    for hole in ["NULL", "CAST('NaN' AS DOUBLE)", "CAST('-Infinity' AS DOUBLE)"] {
        let close = format!("CASE WHEN volume IS NOT NULL THEN close ELSE {hole} END");
        let sql = format!(
            "SELECT ema({close}, 2) OVER w AS ema, rsi({close}, 2) OVER w AS rsi, atr(close, close, {close}, 1) OVER \
             w AS atr
             FROM ticks WINDOW w AS ({ORDER}) ORDER BY ts"
        );
        let found = select(&view, &sql).await;
        assert_eq!(doubles(&found, "rsi"), [None, None, None, Some(75.0), Some(75.0), Some(93.75)], "{hole}");
        assert_eq!(doubles(&found, "atr"), [None, Some(3.0), None, Some(1.0), Some(0.0), Some(3.0)], "{hole}");
        let means = doubles(&found, "ema");
        assert_eq!(means[..3], [None, Some(11.5), None], "{hole}");
        assert!((means[3].unwrap() - (11.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-12, "{hole}");
    }
    let nothing = select(&view, &format!("SELECT ema(NULL, 2) OVER ({ORDER}) AS ema FROM ticks")).await;
    assert_eq!(nothing.column(0).null_count(), closes.len());
    let backwards =
        "SELECT ema(close, 2) OVER (PARTITION BY symbol ORDER BY ts DESC) AS ema FROM ticks ORDER BY ts DESC";
    assert_eq!(doubles(&select(&view, backwards).await, "ema")[..2], [None, Some(13.5)]);
}

#[tokio::test]
async fn a_wrong_call_says_what_is_right() {
    let view = table().await;
    for (call, expected) in [
        (
            "ema(close, 0) OVER w",
            "ema takes (value, period), as in ema(close, 12): period must be a whole number from 1 to 1000000",
        ),
        ("ema(close, -3) OVER w", "period must be a whole number"),
        ("ema(close, 2.5) OVER w", "period must be a whole number"),
        ("ema(close, 1000001) OVER w", "period must be a whole number"),
        ("ema(close, kafka_offset) OVER w", "period must be a whole number"),
        ("rsi(close, NULL) OVER w", "period must be a whole number"),
        ("rsi(close) OVER w", "rsi takes (value, period), as in rsi(close, 14); here are 1 arguments"),
        ("ema() OVER w", "here are 0 arguments"),
        ("ema(symbol, 12) OVER w", "value must be a number and is of type Utf8"),
        ("macd(close, 26, 12, 9) OVER w", "fast must be less than slow, here are 26 and 12"),
        ("macd_signal(close, 12, 26) OVER w", "macd_signal takes (value, fast, slow, signal)"),
        ("atr(high, close, 14) OVER w", "atr takes (high, low, close, period), as in atr(high, low, close, 14)"),
        ("ema(close, 12) OVER (PARTITION BY symbol)", "ema goes through the rows in an order, and its window has none"),
        ("ema(close, 12) FILTER (WHERE close > 1) OVER w", "FILTER"),
        ("ema(close, 12)", "ema is a window function"),
        ("emaa(close, 12) OVER w", "there is no function 'emaa'; did you mean 'ema'?"),
    ] {
        let sql = format!("SELECT {call} FROM ticks WINDOW w AS ({ORDER})");
        let error = match session(&view).plan(&ParsedStatement::parse(&sql).unwrap()).await {
            Err(error) => error,
            Ok(_) => panic!("{call} is planned"),
        };
        assert!(matches!(error, QueryError::Sql(_)), "{call}: {error}");
        let text = error.to_string();
        assert!(text.contains(expected), "{call}: {text}");
        assert!(text.contains("^^^") || call.contains("FILTER"), "{call} has no place: {text}");
    }
    assert!(
        session(&view)
            .plan(&ParsedStatement::parse(&format!("SELECT ema(close, 6 * 2) OVER ({ORDER}) FROM ticks")).unwrap())
            .await
            .is_ok()
    );
}

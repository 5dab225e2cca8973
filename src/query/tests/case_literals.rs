//! Statements with a `CASE` of literals against DataFusion's own plans.

use super::rolling::{assert_alike, plain_session, rows_in};
use super::*;

const SIDE: &str = "CASE WHEN close > 105 THEN 'high' WHEN volume < 10 THEN 'thin' WHEN close > 95 THEN 'high' END";

const NUMBERED: &str = "SELECT *, row_number() OVER (PARTITION BY symbol ORDER BY ts) AS n FROM ticks";

async fn view() -> TableView {
    let row = |n: i64| {
        let volume = (n % 7 != 0).then_some((n % 40) as f64);
        Row::new(&format!("S{}", n % 3), START + n * 1_000_000, 90.0 + (n * 13 % 20) as f64, volume, n)
    };
    let rows: Vec<Row> = (0..500).map(row).collect();
    table_of(PartitionBy::Day, &rows.chunks(170).map(<[Row]>::to_vec).collect::<Vec<_>>()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_those_of_datafusion() {
    let view = view().await;
    // A window between, or DataFusion would give the CASE to the scan.
    let from = format!("FROM (SELECT {SIDE} AS side, volume, close, symbol FROM ({NUMBERED}) AS t WHERE n > 1) AS s");
    for (columns, is_by_place) in [
        ("side, count(*) AS n, sum(volume) AS v", true),
        ("side, avg(close) AS c, max(close) AS m, count(volume) FILTER (WHERE close > 100) AS n", true),
        ("side, count(DISTINCT symbol) AS n", false),
        ("side, max(side) AS m", false),
        ("side, count(*) FILTER (WHERE side = 'high') AS n", false),
        ("side, max(close) FILTER (WHERE side IS NULL) AS n", false),
        ("side, first_value(close ORDER BY side, close) AS n", false),
    ] {
        let sql = format!("SELECT {columns} {from} GROUP BY side ORDER BY side");
        let (plan, found) = rows_in(&session(&view), &sql).await;
        assert_eq!(plan.contains("place in"), is_by_place, "{sql}\n{plan}");
        let (plain, expected) = rows_in(&plain_session(&view), &sql).await;
        assert!(!plain.contains("choice of"), "{plain}");
        assert_eq!(found.num_rows(), 3, "{sql}");
        assert_alike(&found, &expected, &sql);
    }
    let directly =
        format!("SELECT {SIDE} AS side, count(*) AS n FROM ({NUMBERED}) AS t WHERE n > 1 GROUP BY 1 ORDER BY 1");
    let numbers = format!(
        "SELECT {} AS n, count(*) FROM ({NUMBERED}) AS t WHERE n > 1 GROUP BY 1 ORDER BY 1",
        SIDE.replace('\'', "").replace("high", "2").replace("thin", "1")
    );
    // DataFusion knows that the rows of each partition come by side.
    let ordered = format!(
        "SELECT side, lag(close) OVER (PARTITION BY side ORDER BY ts, symbol) AS before FROM \
        (SELECT {SIDE} AS side, row_number() OVER (PARTITION BY {SIDE} ORDER BY ts, symbol) AS n, close, ts, symbol \
        FROM ticks) AS t WHERE n > 1 ORDER BY side, ts, symbol"
    );
    for (sql, is_by_place) in [(directly, true), (numbers, false), (ordered, false)] {
        let (plan, found) = rows_in(&session(&view), &sql).await;
        assert_eq!(plan.contains("place in"), is_by_place, "{sql}\n{plan}");
        assert_alike(&found, &rows_in(&plain_session(&view), &sql).await.1, &sql);
    }
    for sql in [
        format!("SELECT symbol, ts, {SIDE} AS side FROM ({NUMBERED}) AS t WHERE n > 1 ORDER BY symbol, ts"),
        format!("SELECT symbol, side, count(*) AS n {from} GROUP BY symbol, side ORDER BY symbol, side"),
        format!(
            "SELECT {SIDE} AS side, CASE WHEN {SIDE} = 'high' THEN 1 WHEN volume > 3 THEN 2 ELSE 3 END AS kind, close \
             FROM ({NUMBERED}) AS t WHERE n > 1 ORDER BY kafka_offset"
        ),
    ] {
        let (plan, found) = rows_in(&session(&view), &sql).await;
        assert!(plan.contains("choice of"), "{sql}\n{plan}");
        assert_alike(&found, &rows_in(&plain_session(&view), &sql).await.1, &sql);
    }
}

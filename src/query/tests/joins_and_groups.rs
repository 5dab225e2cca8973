//! Joins, groups, set operations and zeros that DataFusion answers wrongly, with the right values written out.

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;

/// 40 ticks of two symbols, none of which has a volume.
async fn answer(sql: &str) -> String {
    let rows: Vec<Row> =
        (0..40).map(|n| Row::new(["A", "B"][n % 2], START + n as i64, n as f64, None, n as i64)).collect();
    let batch = select(&table_of(PartitionBy::Day, &[rows]).await, sql).await;
    let options = FormatOptions::default().with_null("NULL");
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap());
    let columns: Vec<_> = columns.collect();
    let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(",");
    (0..batch.num_rows()).map(row).collect::<Vec<_>>().join(" ")
}

async fn assert_answers(cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        assert_eq!(answer(sql).await, *expected, "{sql}");
    }
}

#[tokio::test]
async fn a_condition_on_both_sides_of_a_self_join_takes_neither_for_the_other() {
    assert_answers(&[
        (
            "SELECT count(*) FROM ticks a RIGHT JOIN ticks b ON a.trade_date = b.trade_date \
             WHERE b.kafka_offset < a.kafka_offset OR b.close > b.volume",
            "780",
        ),
        (
            "SELECT count(*) FROM ticks a FULL JOIN ticks b ON a.trade_date = b.trade_date \
             WHERE b.kafka_offset NOT BETWEEN a.kafka_offset AND b.volume",
            "780",
        ),
        (
            "SELECT count(*) FROM ticks a LEFT JOIN ticks b ON a.kafka_offset = b.kafka_offset + 1 \
             WHERE a.close IS DISTINCT FROM b.close",
            "40",
        ),
    ])
    .await;
}

#[tokio::test]
async fn groups_of_a_constant_are_sorted_with_their_totals() {
    assert_answers(&[
        (
            "SELECT symbol, kafka_partition AS p, count(*) AS n FROM ticks WHERE symbol = 'A' \
             GROUP BY CUBE(symbol, kafka_partition) ORDER BY symbol NULLS FIRST, p NULLS FIRST",
            "NULL,NULL,20 NULL,0,20 A,NULL,20 A,0,20",
        ),
        (
            "SELECT c, percent_rank() OVER (ORDER BY c DESC NULLS FIRST) AS r FROM (SELECT TRUE AS c FROM ticks) \
             GROUP BY CUBE(c) ORDER BY c NULLS FIRST",
            "NULL,0.0 true,1.0",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_window_may_be_of_all_columns_of_groups() {
    let sql = "SELECT g, row_number() OVER (ORDER BY g DESC) AS r, count(*) OVER (PARTITION BY g, n) AS c \
               FROM (SELECT symbol AS g, count(*) AS n FROM ticks GROUP BY symbol) ORDER BY g";
    assert_answers(&[(sql, "A,2,1 B,1,1")]).await;
}

#[tokio::test]
async fn a_condition_without_columns_takes_the_row_of_an_aggregate() {
    assert_answers(&[
        ("SELECT n FROM (SELECT count(*) AS n FROM ticks) a LEFT SEMI JOIN ticks b ON FALSE", ""),
        ("SELECT count(*) FROM ticks HAVING FALSE", ""),
        ("SELECT count(*) FROM ticks HAVING count(*) > 0 AND 1 > 2", ""),
        ("SELECT count(*) FROM ticks HAVING 1 < 2", "40"),
        ("SELECT n FROM (SELECT count(*) AS n FROM ticks GROUP BY ROLLUP(symbol)) WHERE (SELECT count(*) FROM ticks) \
            < 2", ""),
        ("SELECT d FROM (SELECT DISTINCT left('a', 0) AS d FROM (SELECT sum(close) FROM ticks)) WHERE d NOT IN \
            ('')", ""),
    ])
    .await;
}

#[tokio::test]
async fn set_operations_with_all_count_rows() {
    let of = |operation: &str| {
        format!(
            "SELECT x FROM (SELECT x FROM (VALUES (1), (1), (1), (NULL), (NULL), (2)) a(x) {operation} \
             SELECT y FROM (VALUES (1), (NULL), (3), (3)) b(y)) ORDER BY x"
        )
    };
    assert_answers(&[
        (&of("EXCEPT ALL"), "1 1 2 NULL"),
        (&of("EXCEPT"), "2"),
        (&of("INTERSECT ALL"), "1 NULL"),
        (&of("INTERSECT"), "1 NULL"),
        (
            "SELECT symbol FROM ticks INTERSECT ALL SELECT symbol FROM ticks WHERE kafka_offset < 2 ORDER BY \
            symbol",
            "A B",
        ),
        (
            "SELECT count(*) FROM (SELECT symbol FROM ticks EXCEPT ALL SELECT symbol FROM ticks WHERE kafka_offset < \
            2)",
            "38",
        ),
    ])
    .await;
}

#[tokio::test]
async fn doubles_have_one_zero() {
    let zeros = "(SELECT (close - close) * CAST(kafka_offset % 2 - 1 AS DOUBLE) AS x FROM ticks)";
    let of = |select: &str| format!("SELECT {select} FROM {zeros}");
    assert_answers(&[
        (&of("count(DISTINCT x), count(nullif(x, 0.0)), sum(CASE x WHEN 0.0 THEN 1 END)"), "1,0,40"),
        (&format!("{} WHERE x IN (0.0, 2.0, 3.0, 4.0, 5.0)", of("count(*)")), "40"),
        (&format!("{} WHERE x IN (SELECT close FROM ticks)", of("count(*)")), "40"),
        (&format!("{} a JOIN ticks b ON a.x = b.close", of("count(*)")), "40"),
        (
            &format!(
                "SELECT max(r), max(n) FROM ({})",
                of("rank() OVER (ORDER BY x) AS r, count(*) OVER (PARTITION BY x) AS n")
            ),
            "1,40",
        ),
        (&of("count(DISTINCT -x), count(DISTINCT round(x - 0.2)), count(DISTINCT x / -3.0)"), "1,1,1"),
        ("SELECT count(DISTINCT x) FROM (VALUES (0.0), (-0.0), (CAST('-0' AS DOUBLE))) t(x)", "1"),
    ])
    .await;
}

#[tokio::test]
async fn a_subquery_without_rows_is_null() {
    assert_answers(&[
        ("SELECT count(*) FROM ticks WHERE (SELECT kafka_offset FROM ticks WHERE kafka_offset < 0) IS NULL", "40"),
        ("SELECT (SELECT kafka_offset FROM ticks WHERE kafka_offset < 0) AS k", "NULL"),
        ("SELECT coalesce((SELECT kafka_offset FROM ticks WHERE kafka_offset < 0), 7) AS k", "7"),
        ("SELECT coalesce((SELECT kafka_offset FROM ticks WHERE kafka_offset = 3), 7) AS k", "3"),
        (
            "SELECT k, (SELECT count(*) FROM ticks t WHERE t.kafka_offset = a.k) AS n FROM (VALUES (3), (77)) a(k) \
             UNION SELECT 1, 1 ORDER BY k",
            "1,1 3,1 77,0",
        ),
    ])
    .await;
}

#[tokio::test]
async fn frames_that_rows_leave_take_logic_and_distinct_sums() {
    let over = "OVER (ORDER BY k ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)";
    let table = "FROM (VALUES (1, TRUE, 0.5), (2, NULL, 0.5), (3, FALSE, 2.0), (4, TRUE, NULL), (5, TRUE, 0.25)) t(k, \
        b, v) ORDER BY k";
    assert_answers(&[
        (
            &format!("SELECT bool_and(b) {over} AS a, bool_or(b) {over} AS o {table}"),
            "true,true true,true false,false false,true true,true",
        ),
        (
            &format!("SELECT sum(DISTINCT v) {over} AS s, avg(DISTINCT v) {over} AS a {table}"),
            "0.5,0.5 0.5,0.5 2.5,1.25 2.0,2.0 0.25,0.25",
        ),
        (&format!("SELECT bit_and(k) {over} AS a, bit_or(k) {over} AS o {table}"), "1,1 0,3 2,3 0,7 4,5"),
    ])
    .await;
}

#[tokio::test]
async fn null_is_in_no_rows_only() {
    assert_answers(&[
        ("SELECT count(*) FROM ticks WHERE NULL NOT IN (SELECT close FROM ticks)", "0"),
        ("SELECT count(*) FROM ticks WHERE CASE WHEN FALSE THEN volume END NOT IN (SELECT close FROM ticks)", "0"),
        ("SELECT count(*) FROM ticks WHERE NULL NOT IN (SELECT close FROM ticks WHERE close < 0)", "40"),
        ("SELECT count(*) FROM ticks WHERE volume NOT IN (SELECT close FROM ticks)", "0"),
        ("SELECT count(*) FROM ticks WHERE volume NOT IN (SELECT close FROM ticks WHERE close < 0)", "40"),
    ])
    .await;
}

#[tokio::test]
async fn a_key_from_outside_that_is_null_has_no_rows() {
    const OUTER: &str = "(SELECT kafka_offset AS o, lead(kafka_offset) OVER (ORDER BY ts) AS c FROM ticks) d";
    let count = |value: &str, found: &str| {
        format!(
            "SELECT count(*) FROM {OUTER} WHERE {value} NOT IN (SELECT {found} FROM ticks t WHERE t.kafka_offset = d.c)"
        )
    };
    assert_answers(&[
        (&count("1", "1"), "1"),
        (&count("2", "1"), "40"),
        (&count("5", "t.kafka_offset"), "39"),
        (&count("d.o", "t.kafka_offset"), "40"),
        (&count("d.o + 1", "t.kafka_offset"), "1"),
        (&count("d.o", "1"), "39"),
    ])
    .await;
}

#[tokio::test]
async fn a_filter_above_a_count_is_not_the_count() {
    assert_answers(&[
        ("SELECT max(n) FILTER (WHERE n > 0) FROM (SELECT count(*) AS n FROM ticks)", "40"),
        ("SELECT max(n) FILTER (WHERE n > 40) FROM (SELECT count(*) AS n FROM ticks)", "NULL"),
        ("SELECT count(*) FILTER (WHERE n > 40) FROM (SELECT count(*) AS n FROM ticks)", "0"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smallest_value_hides_no_row_of_another_column() {
    let volume = |n: i64| (n > 0).then_some(5.0);
    let files: Vec<Vec<Row>> = (0..12).map(|n| vec![Row::new("A", START + n, 1.0, volume(n), n)]).collect();
    let view = table_of(PartitionBy::Day, &files).await;
    // Which file is read first differs from run to run.
    for _ in 0..20 {
        let batch = select(&view, "SELECT min(volume) AS v, min(kafka_offset) AS o FROM ticks").await;
        let smallest = batch.column(0).as_primitive::<Float64Type>();
        assert!(smallest.is_valid(0) && smallest.value(0) == 5.0, "{batch:?}");
    }
}

#[tokio::test]
async fn a_constant_that_rows_may_lack_is_none() {
    let window = "count(*) OVER (ORDER BY c DESC NULLS LAST)";
    for (join, expected) in [
        ("FROM (VALUES (1), (2)) a(k) LEFT JOIN (SELECT 7 AS c) b ON k = 1", "1 2"),
        ("FROM (SELECT 7 AS c) b RIGHT JOIN (VALUES (1), (2)) a(k) ON k = 1", "1 2"),
        ("FROM (SELECT 7 AS c) b FULL JOIN (VALUES (1), (2)) a(k) ON k = 3", "1 3 3"),
    ] {
        assert_answers(&[(&format!("SELECT {window} AS n {join} ORDER BY n"), expected)]).await;
    }
}

#[tokio::test]
async fn an_expression_that_is_null_is_not_outside_of_a_list() {
    let condition =
        |list: &str| format!("SELECT count(*) FROM ticks WHERE nullif(symbol, 'A') NOT IN (SELECT symbol FROM {list})");
    for (list, expected) in
        [("ticks WHERE symbol = 'A'", "20"), ("ticks WHERE symbol = 'B'", "0"), ("ticks WHERE symbol = 'C'", "40")]
    {
        assert_answers(&[(&condition(list), expected)]).await;
    }
}

#[tokio::test]
async fn a_condition_without_columns_stays_above_a_condition_on_an_aggregate() {
    let none = "(SELECT kafka_offset FROM ticks WHERE kafka_offset = 99) = 7";
    assert_answers(&[
        (
            &format!(
                "SELECT DISTINCT TRUE FROM (SELECT max(close) AS c FROM (VALUES (4)) v(n) JOIN ticks ON TRUE) WHERE \
            c > 0 AND {none}"
            ),
            "",
        ),
        (&format!("SELECT max(close) AS c FROM ticks HAVING max(close) > 0 AND {none}"), ""),
    ])
    .await;
}

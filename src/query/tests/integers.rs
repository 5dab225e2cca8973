//! Whole numbers beyond what their type holds are errors.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};

use super::corrections::assert_answers;
use super::*;

const LEAST: &str = "CAST(-9223372036854775808 AS BIGINT)";
const GREATEST: &str = "9223372036854775807";

/// Three ticks of one symbol: offsets 0, 2^62 and 2^63 - 1 in partitions 0, 65,536 and 2^31 - 1.
async fn large_ticks() -> TableView {
    let row = |(at, partition, offset)| Row { partition, ..Row::new("A", START + at, 1.0, None, offset) };
    let rows = [(0, 0, 0), (1, 65_536, 1 << 62), (2, i32::MAX, i64::MAX)].map(row);
    table_of(PartitionBy::Day, &[rows.to_vec()]).await
}

/// The first error of a statement over these ticks, planned or run.
async fn error_of(sql: &str) -> String {
    let planned = session(&large_ticks().await).plan(&ParsedStatement::parse(sql).unwrap()).await;
    let found: Result<Vec<RecordBatch>, QueryError> = match planned {
        Ok(planned) => planned.batches().unwrap().try_collect().await,
        Err(error) => Err(error),
    };
    found.err().unwrap_or_else(|| panic!("{sql} has an answer")).to_string()
}

async fn assert_overflows(cases: &[(&str, &str)]) {
    for (sql, computed) in cases {
        let error = error_of(sql).await;
        assert!(error.contains(&format!("overflow: {computed} is not between")), "{sql}: {error}");
        assert!(error.contains("write CAST(x AS "), "{sql}: {error}");
    }
}

#[tokio::test]
async fn operators_never_wrap() {
    let constant = |sum: &str| format!("SELECT {sum}");
    assert_overflows(&[
        (&constant(&format!("{GREATEST} + 1")), "9223372036854775807 + 1"),
        (&constant(&format!("-2 - {GREATEST}")), "-2 - 9223372036854775807"),
        (&constant(&format!("2 * {GREATEST}")), "2 * 9223372036854775807"),
        (&constant(&format!("-{LEAST}")), "- -9223372036854775808"),
        (&constant(&format!("{LEAST} * -1")), "-9223372036854775808 * -1"),
        (&constant("CAST(2147483647 AS INT) + CAST(1 AS INT)"), "2147483647 + 1"),
        (&constant("CAST(-128 AS TINYINT) - CAST(1 AS TINYINT)"), "-128 - 1"),
        (&constant("CAST(200 AS TINYINT UNSIGNED) * CAST(2 AS TINYINT UNSIGNED)"), "200 * 2"),
        (&constant("18446744073709551615 + CAST(1 AS BIGINT UNSIGNED)"), "18446744073709551615 + 1"),
        (&constant("1 << 63"), "1 << 63"),
        ("SELECT kafka_offset + 1 FROM ticks", "9223372036854775807 + 1"),
        ("SELECT kafka_offset * 2 FROM ticks", "4611686018427387904 * 2"),
        ("SELECT 2 - kafka_offset - kafka_offset FROM ticks", "-9223372036854775805 - 9223372036854775807"),
        ("SELECT kafka_offset << 1 FROM ticks", "4611686018427387904 << 1"),
        ("SELECT kafka_partition * kafka_partition FROM ticks", "65536 * 65536"),
        ("SELECT -(kafka_offset - 9223372036854775807 - 2) FROM ticks", "-9223372036854775807 - 2"),
        ("SELECT count(*) FROM ticks WHERE kafka_offset + 1 > 5", "9223372036854775807 + 1"),
        ("SELECT count(*) FROM ticks a JOIN ticks b ON a.kafka_offset = b.kafka_offset + 1", "9223372036854775807 + 1"),
        ("SELECT symbol FROM ticks ORDER BY kafka_offset * 3", "4611686018427387904 * 3"),
        ("SELECT max(kafka_offset + 1) FROM ticks GROUP BY symbol", "9223372036854775807 + 1"),
        ("SELECT kafka_offset % 2 + kafka_offset, count(*) FROM ticks GROUP BY 1", "1 + 9223372036854775807"),
        ("SELECT lag(kafka_offset * 2) OVER (ORDER BY ts) FROM ticks", "4611686018427387904 * 2"),
        (
            "SELECT kafka_offset FROM ticks WHERE kafka_offset IN (SELECT kafka_offset + 1 FROM ticks)",
            "9223372036854775807 + 1",
        ),
        ("SELECT (SELECT max(kafka_offset) FROM ticks) + 1", "9223372036854775807 + 1"),
        ("SELECT v FROM (VALUES (9223372036854775807 + 1)) t(v)", "9223372036854775807 + 1"),
        ("SELECT row_number() OVER (ORDER BY ts) + 9223372036854775807 FROM ticks", "1 + 9223372036854775807"),
    ])
    .await;
}

#[tokio::test]
async fn an_overflow_says_the_way_out() {
    let error = error_of("SELECT kafka_offset + 1 FROM ticks").await;
    assert_eq!(
        error,
        "run the query: BIGINT overflow: 9223372036854775807 + 1 is not between -9223372036854775808 and \
         9223372036854775807\nwrite CAST(x AS DECIMAL(38, 0)) in place of x, or CAST(x AS DOUBLE) where the first 15 \
         digits will do"
    );
    let error = error_of("SELECT kafka_partition * kafka_partition FROM ticks").await;
    assert!(error.contains("INT overflow: 65536 * 65536") && error.contains("CAST(x AS BIGINT)"), "{error}");
    assert_answers(&[
        (&format!("SELECT CAST({GREATEST} AS DECIMAL(38, 0)) + 1"), "9223372036854775808"),
        (&format!("SELECT CAST({GREATEST} AS DOUBLE) * 2"), "1.8446744073709552e19"),
        ("SELECT sum(CAST(v AS DECIMAL(38, 0))) FROM (VALUES (9223372036854775807), (1)) t(v)", "9223372036854775808"),
    ])
    .await;
}

#[tokio::test]
async fn what_a_type_holds_is_computed() {
    assert_answers(&[
        (
            &format!("SELECT {GREATEST} - 1 + 1, {LEAST} + 1 - 1, -({LEAST} + 1)"),
            &format!("{GREATEST},-9223372036854775808,{GREATEST}"),
        ),
        ("SELECT 3037000499 * 3037000499, -4611686018427387904 * 2", "9223372030926249001,-9223372036854775808"),
        (&format!("SELECT {LEAST} % -1, {GREATEST} % 2, 7 / 2, -7 / 2"), "0,1,3,-3"),
        ("SELECT 1 << 62, -1 << 63, -8 >> 1, 5 >> 62, 0 << 63", "4611686018427387904,-9223372036854775808,-4,0,0"),
        ("SELECT 1 + NULL, NULL * 2, -CAST(NULL AS BIGINT), CAST(NULL AS INT) << 1", "NULL,NULL,NULL,NULL"),
        (
            "SELECT k, k + j, k - j, k * j, -k, k << 1 FROM (VALUES (1, 2), (NULL, 3), (4, NULL)) t(k, j) ORDER BY k",
            "1,3,-1,2,-1,2 4,NULL,NULL,NULL,-4,8 NULL,NULL,NULL,NULL,NULL,NULL",
        ),
        ("SELECT sum(kafka_offset * 2 + 1), max(-kafka_offset), min(7 - kafka_index) FROM ticks", "1600,0,7"),
        ("SELECT count(*) FROM ticks WHERE kafka_offset + 1 > 5 AND kafka_offset % 10 = 12 - 5", "4"),
        (
            "SELECT CASE WHEN k > 1 THEN 0 ELSE k * 9223372036854775807 END FROM (VALUES (1), (2)) t(k) ORDER BY k",
            "9223372036854775807 0",
        ),
    ])
    .await;
    let said = error_of("SELECT 1 << 64").await;
    assert!(said.contains("1 << 64: the distance is not between 0 and 63"), "{said}");
    let said = error_of("SELECT kafka_partition >> -1 FROM ticks").await;
    assert!(said.contains("0 >> -1: the distance is not between 0 and 63"), "{said}");
}

#[tokio::test]
async fn columns_keep_their_names_and_types() {
    let sql = "SELECT kafka_offset + 1, kafka_partition * kafka_index, -kafka_offset, (kafka_offset - 1) * 2, \
               sum(kafka_partition) OVER (), sum(kafka_offset + 1) OVER (ORDER BY ts), array_length([1]) + \
               array_length([2]) FROM ticks";
    let planned = session(&large_ticks().await).plan(&ParsedStatement::parse(sql).unwrap()).await.unwrap();
    let schema = planned.schema();
    let found: Vec<(&str, &DataType)> =
        schema.fields().iter().map(|field| (field.name().as_str(), field.data_type())).collect();
    assert_eq!(
        found,
        [
            ("kafka_offset + 1", &DataType::Int64),
            ("kafka_partition * kafka_index", &DataType::Int32),
            ("-kafka_offset", &DataType::Int64),
            ("(kafka_offset - 1) * 2", &DataType::Int64),
            ("sum(kafka_partition) OVER ()", &DataType::Int64),
            ("sum(kafka_offset + 1) OVER (ORDER BY ts)", &DataType::Int64),
            ("array_length([1]) + array_length([2])", &DataType::UInt64),
        ]
    );
    assert!(schema.fields()[..4].iter().all(|field| !field.is_nullable()), "{schema:?}");
}

#[tokio::test]
async fn a_join_on_a_sum_is_one_by_hash() {
    let sql = "SELECT count(*) FROM ticks a JOIN ticks b ON a.kafka_offset = b.kafka_offset + 1";
    let planned = session(&large_ticks().await).plan(&ParsedStatement::parse(sql).unwrap()).await.unwrap();
    assert!(planned.explain().contains("HashJoinExec"), "{}", planned.explain());
}

#[tokio::test]
async fn sums_never_wrap() {
    assert_overflows(&[
        ("SELECT sum(kafka_offset) FROM ticks", "the sum 13835058055282163711"),
        ("SELECT symbol, sum(kafka_offset) FROM ticks GROUP BY symbol", "the sum 13835058055282163711"),
        ("SELECT sum(kafka_offset) FILTER (WHERE kafka_offset > 1) FROM ticks", "the sum 13835058055282163711"),
        ("SELECT sum(DISTINCT kafka_offset) FROM ticks", "the sum 13835058055282163711"),
        (
            "SELECT sum(DISTINCT kafka_offset), count(kafka_index) FROM ticks GROUP BY symbol",
            "the sum 13835058055282163711",
        ),
        ("SELECT sum(kafka_offset) OVER () FROM ticks", "the sum 13835058055282163711"),
        ("SELECT sum(kafka_offset) OVER (PARTITION BY symbol ORDER BY ts) FROM ticks", "the sum 13835058055282163711"),
        (
            "SELECT sum(kafka_offset) OVER (PARTITION BY symbol ORDER BY ts ROWS 1 PRECEDING) FROM ticks",
            "the sum 13835058055282163711",
        ),
        (
            "SELECT sum(DISTINCT kafka_offset) OVER (ORDER BY ts ROWS 1 PRECEDING) FROM ticks",
            "the sum 13835058055282163711",
        ),
        ("SELECT sum(-kafka_offset - 1) FROM ticks", "the sum -13835058055282163714"),
        (
            "SELECT sum(v) FROM (VALUES (18446744073709551615), (CAST(1 AS BIGINT UNSIGNED))) t(v)",
            "the sum 18446744073709551616",
        ),
    ])
    .await;
}

#[tokio::test]
async fn sums_that_a_type_holds_are_exact() {
    let around = "(VALUES (1, 9223372036854775807), (2, 9223372036854775807), (3, NULL), (4, -9223372036854775807), \
        (5, -1)) t(k, v)";
    assert_answers(&[
        (
            &format!(
                "SELECT sum(v), sum(DISTINCT v), sum(v) FILTER (WHERE k > 2) FROM \
            {around}"
            ),
            "9223372036854775806,-1,-9223372036854775808",
        ),
        (&format!("SELECT k % 2, sum(v) FROM {around} GROUP BY 1 ORDER BY 1"), "0,0 1,9223372036854775806"),
        (
            &format!(
                "SELECT k, sum(v) OVER (ORDER BY k ROWS BETWEEN CURRENT ROW AND 3 FOLLOWING) FROM {around} WHERE \
                k <> 1 ORDER BY k"
            ),
            "2,-1 3,-9223372036854775808 4,-9223372036854775808 5,-1",
        ),
        ("SELECT sum(v), sum(DISTINCT v) FROM (VALUES (1)) t(v) WHERE v > 1", "NULL,NULL"),
        ("SELECT sum(v) FROM (VALUES (CAST(NULL AS BIGINT)), (NULL)) t(v)", "NULL"),
        (
            "SELECT sum(v) FROM (VALUES (18446744073709551614), (CAST(1 AS BIGINT UNSIGNED))) \
            t(v)",
            "18446744073709551615",
        ),
        (
            "SELECT sum(v), sum(DISTINCT v) FROM (VALUES (CAST(0.10 AS DECIMAL(5, 2))), (CAST(0.20 AS DECIMAL(5, 2)))) \
            t(v)",
            "0.30,0.30",
        ),
        ("SELECT sum(close), sum(kafka_offset), sum(kafka_index) FROM ticks", "780.0,780,0"),
        (
            "SELECT symbol, sum(kafka_offset), sum(DISTINCT kafka_offset % 4), count(DISTINCT kafka_offset % 4) FROM \
             ticks GROUP BY ROLLUP(symbol) ORDER BY symbol",
            "A,380,2,2 B,400,4,2 NULL,780,6,4",
        ),
    ])
    .await;
}

/// Groups of rows that cancel each other, in more than one batch and partition.
#[tokio::test(flavor = "multi_thread")]
async fn sums_of_many_groups_are_exact() {
    let rows = (0..30_000_i64).map(|n| {
        let offset = if n % 2 == 0 { i64::MAX - n } else { n - i64::MAX };
        Row { partition: (n / 2 % 500) as i32, ..Row::new("A", START + n, 1.0, None, offset) }
    });
    let table = table_of(PartitionBy::Day, &[rows.collect()]).await;
    let found = select(&table, "SELECT kafka_partition, sum(kafka_offset) FROM ticks GROUP BY kafka_partition").await;
    assert_eq!(found.num_rows(), 500);
    assert!(found.column(1).as_primitive::<Int64Type>().values().iter().all(|sum| *sum == 30), "{found:?}");
}

#[tokio::test]
async fn decimals_and_durations_never_wrap() {
    let most = "CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0))";
    for sql in [
        format!("SELECT {most} + 1"),
        format!("SELECT -1 - {most}"),
        format!("SELECT sum(v) FROM (VALUES ({most}), ({most})) t(v)"),
        format!("SELECT sum(v) FROM (VALUES ({most}), (1)) t(v)"),
        format!("SELECT sum(v) OVER () FROM (VALUES ({most}), ({most})) t(v)"),
    ] {
        let error = error_of(&sql).await;
        assert!(error.contains("DECIMAL overflow") && error.contains("CAST(x AS DOUBLE)"), "{sql}: {error}");
    }
    let since = "ts - TIMESTAMPTZ '1970-01-01T00:00:00Z'";
    let error = error_of(&format!("SELECT sum({since}) FROM ticks a CROSS JOIN generate_series(1, 9) b(n)")).await;
    assert!(error.contains("INTERVAL overflow"), "{error}");
    assert_answers(&[
        (&format!("SELECT {most} - 1 + 1"), "99999999999999999999999999999999999999"),
        (&format!("SELECT sum(v) FROM (VALUES ({most}), (1), (-1)) t(v)"), "99999999999999999999999999999999999999"),
        ("SELECT sum(ts - TIMESTAMPTZ '2026-01-05T00:00:00Z') FROM ticks", "PT0.00078S"),
    ])
    .await;
}

#[tokio::test]
async fn arguments_of_table_functions_never_wrap() {
    for sql in [
        "SELECT * FROM generate_series(9223372036854775806 + 1 + 1, 3)",
        "SELECT * FROM generate_series(-9223372036854775807 - 2, -9223372036854775807)",
    ] {
        error_of(sql).await;
    }
    assert_answers(&[("SELECT count(*) FROM generate_series(1 + 1, 2 * 5 - 1)", "8")]).await;
}

#[tokio::test]
async fn functions_never_wrap() {
    for call in [
        format!("abs({LEAST})"),
        format!("{LEAST} / -1"),
        "CAST(1e30 AS BIGINT)".to_owned(),
        format!("round({GREATEST}, -1)"),
        "factorial(21)".to_owned(),
        format!("lcm({GREATEST}, 2)"),
        "INTERVAL '2147483647 days' + INTERVAL '1 day'".to_owned(),
        "TIMESTAMP '2026-01-01T00:00:00' + INTERVAL '3000 years'".to_owned(),
        "DATE '2026-01-01' + 2147483647".to_owned(),
        "to_timestamp(99999999999)".to_owned(),
    ] {
        error_of(&format!("SELECT {call}")).await;
    }
    assert_answers(&[(
        "SELECT power(2, 63), avg(v) FROM (VALUES (9223372036854775807), (9223372036854775807)) t(v)",
        "9.223372036854776e18,9.223372036854776e18",
    )])
    .await;
}

/// Two durations of 200,000 years are more than 64 bits of microseconds hold.
#[tokio::test]
async fn averages_of_durations_never_wrap() {
    let spans = "(SELECT k % 2 AS g, k, arrow_cast(v, 'Duration(Microsecond)') AS d
        FROM (VALUES (1, 6311433600000000000), (3, 6311433600000000002), (2, -1), (4, NULL)) t(k, v))";
    let us = |average: &str| format!("arrow_cast({average}, 'Int64')");
    assert_answers(&[
        (&format!("SELECT {} FROM {spans} WHERE k IN (1, 3)", us("avg(d)")), "6311433600000000001"),
        (&format!("SELECT g, {} FROM {spans} GROUP BY g ORDER BY g", us("avg(d)")), "0,-1 1,6311433600000000001"),
        (
            &format!("SELECT k, {} FROM {spans} ORDER BY k", us("avg(d) OVER (ORDER BY k DESC ROWS 1 PRECEDING)")),
            "1,3155716799999999999 2,3155716800000000000 3,6311433600000000002 4,NULL",
        ),
        (&format!("SELECT {} FROM {spans} WHERE k = 4", us("avg(d)")), "NULL"),
    ])
    .await;
}

#[tokio::test]
async fn a_sum_of_intervals_is_refused() {
    let error = error_of("SELECT sum(i) FROM (VALUES (INTERVAL '2147483647 days'), (INTERVAL '1 day')) t(i)").await;
    assert!(error.contains("sum(date_part('epoch', x))"), "{error}");
}

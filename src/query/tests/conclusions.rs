//! What DataFusion concludes wrongly from constants, keys and unsigned numbers, with the right values written out.

use super::corrections::{assert_answers, refusal};

/// One row for each of the keys.
const KEYS: &str = "(SELECT s FROM (VALUES ('b', 2), ('b', 1), ('a', 2), ('a', 1)) x(s, p) GROUP BY s) d";

#[tokio::test]
async fn windows_that_constants_make_equal_are_all_there() {
    assert_answers(&[
        ("SELECT sum(100 % 2) OVER () AS a, sum(0) OVER () AS b FROM (VALUES (1), (2)) t(v)", "0,0 0,0"),
        (
            "SELECT v, sum(v) OVER (PARTITION BY 1 + 1) AS a, sum(v) OVER (PARTITION BY 2) AS b, sum(v) OVER \
             (PARTITION BY 4 - 2) + 1 AS c FROM (VALUES (1), (2)) t(v) ORDER BY v",
            "1,3,3,4 2,3,3,4",
        ),
        (
            "SELECT lead(v, 2 - 1) OVER w AS a, lead(v, 1) OVER w AS b, lag(v) OVER w AS c FROM (VALUES (1), (2)) t(v) \
             WINDOW w AS (ORDER BY v) ORDER BY v",
            "2,2,NULL NULL,NULL,1",
        ),
    ])
    .await;
}

/// Groups by a key of [`KEYS`] and a column of another table: `s` is in several of them.
fn groups() -> String {
    format!(
        "(SELECT d.s, t.p, count(*) AS n FROM {KEYS} JOIN (VALUES ('b', 2), ('b', 1), ('a', 2), ('a', 1)) t(s, p) ON \
         d.s = t.s GROUP BY d.s, t.p)"
    )
}

#[tokio::test]
async fn a_key_of_a_subquery_is_no_key_above_a_join() {
    let groups = groups();
    assert_answers(&[
        (&format!("SELECT s, p FROM {groups} ORDER BY s, p"), "a,1 a,2 b,1 b,2"),
        (&format!("WITH g AS {groups} SELECT s, p FROM g ORDER BY s, p DESC"), "a,2 a,1 b,2 b,1"),
        (&format!("SELECT DISTINCT s FROM {groups} ORDER BY s"), "a b"),
        (&format!("SELECT s, count(*) FROM {groups} GROUP BY s, p ORDER BY s"), "a,1 a,1 b,1 b,1"),
        (
            &format!("SELECT v.s FROM (VALUES ('a'), ('b')) v(s) LEFT JOIN {groups} g ON v.s = g.s ORDER BY 1"),
            "a a b b",
        ),
        (&format!("SELECT s, sum(1) OVER (ORDER BY s) AS c FROM {groups} ORDER BY s"), "a,2 a,2 b,4 b,4"),
        (&format!("WITH g AS {groups} SELECT s, sum(1) OVER (ORDER BY s) AS c FROM g ORDER BY s"), "a,2 a,2 b,4 b,4"),
    ])
    .await;
    for from in [groups.clone(), format!("{groups} AS g"), format!("{KEYS} JOIN {groups} g USING (s)")] {
        let error = refusal(&format!("SELECT s, p FROM {from} GROUP BY s")).await;
        assert!(error.contains("GROUP BY"), "{error}");
    }
}

#[tokio::test]
async fn a_distinct_subquery_is_no_key_above_a_join() {
    let groups = groups().replace("SELECT s FROM", "SELECT DISTINCT s FROM").replace("x(s, p) GROUP BY s)", "x(s, p))");
    assert!(groups.contains("DISTINCT"));
    assert_answers(&[
        (&format!("SELECT s, p FROM {groups} ORDER BY s, p"), "a,1 a,2 b,1 b,2"),
        (&format!("SELECT DISTINCT s FROM {groups} ORDER BY s"), "a b"),
    ])
    .await;
}

#[tokio::test]
async fn an_outer_join_makes_no_key() {
    let padded = format!(
        "SELECT d.s, t.p FROM {KEYS} RIGHT JOIN (VALUES (2), (1)) t(p) ON TRUE GROUP BY d.s, t.p ORDER BY d.s, t.p \
         LIMIT 3"
    );
    assert_answers(&[(&padded, "a,1 a,2 b,1")]).await;
}

#[tokio::test]
async fn unnested_rows_are_not_as_unique_as_their_arrays() {
    const UNNESTED: &str = "(SELECT s, unnest(array_agg(p ORDER BY p)) AS u \
         FROM (VALUES ('b', 2), ('b', 1), ('a', 2), ('a', 1)) x(s, p) GROUP BY s)";
    assert_answers(&[
        (&format!("SELECT s, u FROM {UNNESTED} ORDER BY s, u DESC"), "a,2 a,1 b,2 b,1"),
        (&format!("SELECT DISTINCT s FROM {UNNESTED} ORDER BY s"), "a b"),
        (&format!("SELECT s, count(*) FROM {UNNESTED} GROUP BY s, u ORDER BY s"), "a,1 a,1 b,1 b,1"),
    ])
    .await;
}

#[tokio::test]
async fn numbers_of_rows_may_be_less_than_others() {
    const ROWS: &str = "(VALUES (1, 'a'), (2, 'a'), (3, 'b')) t(v, g)";
    let first = "row_number() OVER (ORDER BY v) - row_number() OVER (ORDER BY v DESC)";
    assert_answers(&[
        (&format!("SELECT v, {first} AS d FROM {ROWS} ORDER BY v"), "1,-2 2,0 3,2"),
        (
            &format!(
                "SELECT v, rank() OVER (ORDER BY g) - dense_rank() OVER (ORDER BY v) AS d FROM {ROWS} ORDER BY \
            v"
            ),
            "1,0 2,-1 3,0",
        ),
        (&format!("SELECT v, ntile(3) OVER (ORDER BY v) - 5 AS d FROM {ROWS} ORDER BY v"), "1,-4 2,-3 3,-2"),
        (&format!("SELECT avg(r) AS a FROM (SELECT rank() OVER (ORDER BY v) - 1 AS r FROM {ROWS})"), "1.0"),
        (&format!("SELECT v, -rank() OVER (ORDER BY v) AS d FROM {ROWS} ORDER BY v"), "1,-1 2,-2 3,-3"),
        (
            &format!(
                "SELECT v, n - lag(n) OVER (ORDER BY v DESC) AS d FROM (SELECT v, row_number() OVER (ORDER BY v) AS \
            n FROM {ROWS}) ORDER BY v"
            ),
            "1,-1 2,-1 3,NULL",
        ),
        ("SELECT array_length([1]) - array_length([1, 2]) AS d", "-1"),
        ("SELECT array_length([1]) - array_length([1, 2]) < 0 AS d", "true"),
        // By symbol, they are the rolling operator's.
        (
            "SELECT DISTINCT row_number() OVER (PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, \
             kafka_index) - 21 AS d FROM ticks ORDER BY d LIMIT 2",
            "-20 -19",
        ),
        (
            "SELECT lead(n, 1, -1) OVER (ORDER BY v) AS a, lag(n, 1, -7) OVER (ORDER BY v) AS b \
             FROM (SELECT v, row_number() OVER (ORDER BY v) AS n FROM (VALUES (5), (6)) t(v)) ORDER BY v",
            "2,-7 -1,1",
        ),
        ("SELECT lead(v, 1, 'none') OVER (ORDER BY v) AS a FROM (VALUES ('x'), ('y')) t(v) ORDER BY v", "y none"),
    ])
    .await;
    for (call, problem) in [("lag(v, NULL)", "lag(Int64, Null)"), ("lag(v, 1, 0.5)", "lag(Int64, Int64, Float64)")] {
        let error = refusal(&format!("SELECT {call} OVER (ORDER BY v) FROM {ROWS}")).await;
        assert!(error.contains(problem), "{error}");
    }
}

//! Clauses that DataFusion's planner leaves out: those that mean something here, and those that are refused.

use super::corrections::assert_answers;
use crate::query::ParsedStatement;

const PRICES: &str = "(VALUES ('A', 1, 10), ('B', 2, 100), ('A', 3, 30), ('B', 4, 300)) m(s, id, v)";

#[tokio::test]
async fn a_window_that_adds_to_a_named_one_keeps_what_that_one_says() {
    let of = |call: &str, windows: &str| format!("SELECT id, {call} AS x FROM {PRICES} WINDOW {windows} ORDER BY id");
    let partitioned = "1,10 2,100 3,40 4,400";
    let name = "w AS (PARTITION BY s ORDER BY id)";
    assert_answers(&[
        (&of("sum(v) OVER (w ROWS 9 PRECEDING)", name), partitioned),
        (&of("sum(v) OVER (w)", name), partitioned),
        (&of("sum(v) OVER (W)", name), partitioned),
        (&of("sum(v) OVER (w ORDER BY id)", "w AS (PARTITION BY s)"), partitioned),
        (&of("sum(v) OVER (w2 ROWS 9 PRECEDING)", "w AS (PARTITION BY s), w2 AS (w ORDER BY id)"), partitioned),
        (&of("sum(v) OVER (w2)", "w AS (PARTITION BY s), w2 AS (w ORDER BY id)"), partitioned),
        (&of("sum(v) OVER w2", "w AS (PARTITION BY s), w2 AS (w ORDER BY id)"), partitioned),
        (
            &of(
                "sum(v) OVER \
            (w)",
                "w AS (PARTITION BY s ORDER BY id ROWS BETWEEN CURRENT ROW AND CURRENT \
                ROW)",
            ),
            "1,10 2,100 3,30 4,300",
        ),
        // Another SELECT has another window of the name.
        (
            &format!(
                "SELECT id, sum(v) OVER (w) AS x FROM (SELECT id, s, sum(v) OVER (w) AS v FROM {PRICES} WINDOW w AS \
                 (ORDER BY id)) WINDOW w AS (PARTITION BY s ORDER BY id) ORDER BY id"
            ),
            "1,10 2,110 3,150 4,550",
        ),
        // The ORDER BY of the query names a window of its SELECT.
        (
            &format!("SELECT id FROM {PRICES} WINDOW w AS (PARTITION BY s) ORDER BY sum(v) OVER (w ORDER BY id) DESC"),
            "4 2 3 1",
        ),
    ])
    .await;
}

fn refusal(sql: &str) -> String {
    ParsedStatement::parse(sql).err().unwrap_or_else(|| panic!("{sql} is parsed")).to_string()
}

#[test]
fn a_window_that_is_not_there_or_says_a_clause_twice_is_refused() {
    let of = |window: &str, named: &str| refusal(&format!("SELECT sum(v) OVER ({window}) FROM {PRICES} {named}"));
    assert!(of("nowin ORDER BY id", "").contains("no window 'nowin'"));
    assert!(of("w", "WINDOW v AS (ORDER BY id)").contains("no window 'w'"));
    assert!(of("w PARTITION BY s", "WINDOW w AS (ORDER BY id)").contains("PARTITION BY"));
    assert!(of("w ORDER BY s", "WINDOW w AS (ORDER BY id)").contains("ORDER BY"));
    assert!(of("w ROWS 1 PRECEDING", "WINDOW w AS (ORDER BY id ROWS 2 PRECEDING)").contains("has a frame"));
}

#[test]
fn clauses_that_would_be_left_out_are_refused() {
    for (sql, instead) in [
        ("SELECT count(*) FROM ticks PREWHERE close < 0", "write WHERE"),
        ("SELECT symbol, count(*) FROM ticks GROUP BY symbol WITH ROLLUP", "ROLLUP("),
        ("SELECT symbol, count(*) FROM ticks GROUP BY symbol WITH TOTALS", "GROUPING SETS"),
        ("SELECT * FROM ticks TABLESAMPLE (1 ROWS)", "random()"),
        ("SELECT * FROM (SELECT * FROM ticks) TABLESAMPLE (10 PERCENT)", "random()"),
        ("WITH t AS (SELECT * FROM ticks FOR UPDATE) SELECT * FROM t", "only read"),
        ("SELECT * FROM ticks SETTINGS max_threads = 1", "leave it out"),
        ("SELECT * FROM ticks FORMAT JSON", "--format"),
        ("EXPLAIN SELECT * FROM ticks PREWHERE close < 0", "write WHERE"),
    ] {
        assert!(refusal(sql).contains(instead), "{sql}: {}", refusal(sql));
    }
}

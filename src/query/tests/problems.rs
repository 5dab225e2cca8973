//! What a wrong statement gets: the place, the word, and what was meant.

use arrow::array::AsArray;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::query::error::QueryError;

async fn refused(sql: &str) -> QueryError {
    let view = table_of(PartitionBy::Day, &[vec![Row::new("A", START, 1.0, None, 0)]]).await;
    let parsed = match ParsedStatement::parse(sql) {
        Ok(parsed) => parsed,
        Err(error) => return error,
    };
    match session(&view).plan(&parsed).await {
        Err(error) => error,
        Ok(planned) => planned
            .run()
            .unwrap()
            .try_collect::<Vec<_>>()
            .await
            .map_err(|error| crate::query::session::query_session::run_error(&error))
            .unwrap_err(),
    }
}

#[tokio::test]
async fn a_caret_and_a_suggestion() {
    for (sql, expected) in [
        (
            "SELECT symbol,\n  clsoe FROM ticks",
            "there is no column 'clsoe'; did you mean 'close'?\n  2 |   clsoe FROM ticks\n    |   ^^^^^\n  columns: \
             symbol, ts, ",
        ),
        (
            "SELECT * FROM tick",
            "there is no table 'tick'; did you mean 'ticks'?\n  1 | SELECT * FROM tick\n    |               ^^^^\n  \
             tables: ticks",
        ),
        (
            "SELECT avgg(close) FROM ticks",
            "there is no function 'avgg'; did you mean 'avg'?\n  1 | SELECT avgg(close) FROM ticks\n    |        ^^^^",
        ),
        (
            "SELECT time_bucket(INTERVAL '5 minutes', ts) FROM ticks",
            "there is no function 'time_bucket'; write date_bin(INTERVAL '5 minutes', ts)\n  1 | SELECT time_bucket",
        ),
        (
            "SELECT x.BIG FROM (SELECT close AS \"BIG\" FROM ticks) x",
            "there is no column 'big' in x; write \"BIG\" in double quotes: its case counts\n",
        ),
        ("SELECT max_by(close, ts) FROM ticks", "there is no function 'max_by'; write last_value(close ORDER BY ts)\n"),
        ("SELECT date(ts) FROM ticks", "there is no function 'date'; write CAST(ts AS DATE)\n  1 | SELECT date(ts)"),
        (
            "SELECT strftime(ts, '%Y') FROM ticks",
            "there is no function 'strftime'; write to_char(ts, '%Y-%m-%d %H:%M')",
        ),
        (
            "SELECT t.clos FROM ticks t",
            "there is no column 'clos' in t; did you mean 'close'?\n  1 | SELECT t.clos FROM ticks t\n    |        \
             ^^^^^^",
        ),
        (
            "SELECT close FROM ticks GROUP BY symbol",
            "column 'close' is neither in GROUP BY nor in an aggregate function such as max(close)\n  1 | SELECT close",
        ),
        (
            "SELECT avrage(close) FROM ticks",
            "there is no function 'avrage'; did you mean 'avg'?\n  1 | SELECT avrage(close) FROM ticks\n    |        \
             ^^^^^^",
        ),
        ("SELECT lag(close) FROM ticks", "lag is a window function: it needs an OVER\n  1 | SELECT lag(close)"),
        (
            "SELECT * FROM ticks ORDER symbol",
            "expected: end of statement, found: ORDER; write ORDER BY\n  1 | SELECT * FROM ticks ORDER symbol\n    \
             |                     ^^^^^",
        ),
        (
            "SELECT date_trunc(day, ts) FROM ticks",
            "there is no column 'day'\n  1 | SELECT date_trunc(day, ts) FROM ticks\n    |                   ^^^\n  \
             columns: ",
        ),
        (
            "SELECT * FROM ticks WHERE symbol = \"AAPL\"",
            "there is no column 'AAPL'\n  1 | SELECT * FROM ticks WHERE symbol = \"AAPL\"\n    \
             |                                    ^^^^^^\n  columns: ",
        ),
        (
            "SELECT * FORM ticks",
            "expected: end of statement, found: FORM; did you mean \'FROM\'?\n  1 | SELECT * FORM ticks\n    \
             |          ^^^^",
        ),
        (
            "SELECT avg(symbol) FROM ticks",
            "no function takes avg(Utf8)\n  1 | SELECT avg(symbol) FROM ticks\n    |        ^^^\n  it takes: ",
        ),
        (
            "SELECT 1 FORM ticks",
            "expected: end of statement, found: ticks; did you mean 'FROM' by 'FORM'?\n  1 | SELECT 1 FORM ticks\n",
        ),
        (
            "SELECT x.close FROM ticks t",
            "'x' in 'x.close' is no table or alias of this statement\n  1 | SELECT x.close",
        ),
        (
            "SELECT * FROM ticks WHERE symbol = AAPL",
            "there is no column 'AAPL'\n  1 | SELECT * FROM ticks WHERE symbol = AAPL\n",
        ),
        ("SELECT first(close) FROM ticks", "there is no function 'first'; did you mean 'first_value'?\n"),
        (
            "SELECT TOP 5 * FROM ticks",
            "TOP is not supported\n  1 | SELECT TOP 5 * FROM ticks\n    |        ^^^\n  write LIMIT",
        ),
        ("SELECT * FROM 'prices.csv'", "there is no table 'prices.csv'\n"),
        ("SELECT symbol FROM ticks HAVING close > 1", "HAVING takes columns of GROUP BY and aggregate functions"),
        ("SELECT symbol + 1 FROM ticks", "cannot coerce arithmetic expression Utf8 + Int64 to valid types\n"),
        ("\\d ticks", "expected: an SQL statement, found: \\\n"),
        ("SELECT (1", "expected: ), found: EOF\n  1 | SELECT (1\n    |          ^"),
        ("SELECT symbol FROM ticks a JOIN ticks b ON TRUE", "column 'symbol' is ambiguous\n  1 | SELECT symbol"),
    ] {
        let QueryError::Sql(problem) = refused(sql).await else { panic!("{sql}") };
        assert!(problem.to_string().starts_with(expected), "{problem}");
    }
    for (sql, hint) in [
        ("SELECT * FROM ticks WHERE symbol = \"AAPL\"", "a text takes single quotes"),
        ("SELECT * FROM ticks WHERE symbol = AAPL", "a text takes single quotes: 'AAPL'"),
        ("SELECT * FROM 'prices.csv'", "--register NAME=FILE makes a file a table"),
        ("SELECT * FROM read_csv('prices.csv')", "--register NAME=FILE makes a file a table"),
    ] {
        let QueryError::Sql(problem) = refused(sql).await else { panic!("{sql}") };
        assert!(problem.to_string().ends_with(hint), "{problem}");
    }
}

#[tokio::test]
async fn what_is_not_supported_comes_with_another_way() {
    for (sql, message, hint) in [
        (
            "SELECT (SELECT max(b.close) FROM ticks b WHERE b.symbol = a.symbol AND b.ts < a.ts) FROM ticks a",
            "a subquery of one value is not supported here",
            "OVER (PARTITION BY symbol ORDER BY ts ROWS",
        ),
        (
            "SELECT sum((SELECT max(b.close) FROM ticks b WHERE b.symbol = a.symbol)) FROM ticks a",
            "a subquery of one value is not supported here",
            "SELECT sum(v) FROM (SELECT (SELECT ..) AS v",
        ),
        (
            "SELECT 1 FROM ticks a JOIN ticks b ON a.close < (SELECT max(c.close) FROM ticks c WHERE c.ts < b.ts)",
            "a subquery of one value is not supported here",
            "or join what it reads",
        ),
        (
            "SELECT EXISTS (SELECT 1 FROM ticks b WHERE b.symbol = a.symbol) FROM ticks a",
            "EXISTS or IN of a subquery is not supported here",
            "LEFT JOIN (SELECT DISTINCT symbol",
        ),
        (
            "SELECT CASE WHEN close IN (SELECT volume FROM ticks) THEN 1 END FROM ticks",
            "EXISTS or IN of a subquery is not supported here",
            "LEFT JOIN (SELECT DISTINCT symbol",
        ),
        (
            "SELECT ts FROM ticks a WHERE close IN (SELECT close FROM ticks b WHERE b.symbol = a.symbol LIMIT 1)",
            "EXISTS or IN of a subquery is not supported here",
            "it has no ORDER BY, LIMIT or UNION",
        ),
        (
            "SELECT ts FROM ticks a WHERE EXISTS (SELECT 1 FROM ticks b WHERE b.symbol = a.symbol UNION ALL SELECT 2 \
             FROM ticks)",
            "EXISTS or IN of a subquery is not supported here",
            "two EXISTS with OR in place of a UNION",
        ),
        (
            "SELECT ts FROM ticks a WHERE close IN (SELECT b.close + a.close FROM ticks b)",
            "EXISTS or IN of a subquery is not supported here",
            "only in equalities of its WHERE",
        ),
        (
            "SELECT 1 FROM ticks a JOIN ticks b ON a.symbol = b.symbol AND a.close NOT IN (SELECT close FROM ticks c \
             WHERE c.ts < a.ts)",
            "EXISTS or IN",
            "within CASE or in ON",
        ),
        (
            "SELECT 1 FROM ticks a JOIN ticks b ON a.symbol = b.symbol AND a.kafka_offset NOT IN (SELECT kafka_offset \
             FROM ticks)",
            "EXISTS or IN",
            "within CASE or in ON",
        ),
        (
            "SELECT ts FROM ticks a WHERE NOT (coalesce(volume, 0) IN (SELECT coalesce(volume, 1) FROM ticks b WHERE \
             b.symbol = a.symbol) OR close > 6)",
            "NOT IN of a subquery that names columns from outside",
            "write NOT EXISTS (SELECT 1 FROM",
        ),
        (
            "SELECT 1 FROM ticks a, LATERAL (SELECT max(close) m FROM ticks z WHERE z.symbol = a.symbol AND z.ts < \
             a.ts) q",
            "after LATERAL a subquery may name columns of the tables before it only in equalities",
            "a join with GROUP BY",
        ),
        (
            "SELECT lag(close, 1, 'x') OVER (ORDER BY ts) FROM ticks",
            "cannot cast string 'x'",
            "a constant of the type of the first",
        ),
        ("SELECT lead(close, 1, ts) OVER (ORDER BY ts) FROM ticks", "", "a constant of the type of the first"),
        (
            "SELECT lead(close, 1, DATE '2026-01-01') OVER (ORDER BY ts) FROM ticks",
            "",
            "a constant of the type of the first",
        ),
        (
            "SELECT * FROM ticks a JOIN ticks b USING (symbol) WHERE symbol = 'A'",
            "column 'symbol' is ambiguous",
            "a column of USING, too",
        ),
        ("SELECT * FROM nosuch(interval => '1m')", "unsupported function argument", "bars(interval => '1h')"),
    ] {
        let text = refused(sql).await.to_string();
        assert!(text.starts_with(message) && text.contains(hint), "{sql}: {text}");
    }
}

#[tokio::test]
async fn a_wrong_time_is_told_with_a_right_one() {
    for (sql, caret) in [
        ("SELECT * FROM ticks WHERE ts > 'yesterday'", "                               ^^^^^^^^^^^"),
        ("SELECT * FROM ticks WHERE ts > 5", ""),
    ] {
        let text = refused(sql).await.to_string();
        assert!(text.contains(caret) && text.ends_with("TIMESTAMP '2026-11-20T14:30:00Z'"), "{text}");
    }
    let text = refused("SELECT CAST('x1' AS DOUBLE) FROM ticks").await.to_string();
    assert!(text.contains("\n    |             ^^^^"), "{text}");
}

#[tokio::test]
async fn only_reading_is_allowed() {
    for sql in [
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "INSERT INTO ticks SELECT * FROM ticks",
        "INSERT INTO ticks VALUES (1)",
        "DELETE FROM ticks",
        "UPDATE ticks SET close = 1",
        "DROP TABLE ticks",
        "COPY ticks TO '/tmp/x.csv'",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN ANALYZE INSERT INTO ticks SELECT * FROM ticks",
    ] {
        let error = refused(sql).await;
        let stopped = matches!(&error, QueryError::Usage(text) if text.contains("read"));
        assert!(stopped || matches!(&error, QueryError::Sql(_)), "{sql}: {error}");
    }
    let view = table_of(PartitionBy::Day, &[]).await;
    for sql in ["EXPLAIN SELECT * FROM ticks", "DESCRIBE ticks", "SHOW TABLES", "SHOW COLUMNS FROM ticks", "VALUES (1)"]
    {
        assert!(select(&view, sql).await.num_rows() > 0, "{sql}");
    }
    let shown = select(&view, "show tables").await;
    assert_eq!(
        (shown.num_rows(), shown.column(0).as_string::<i32>().value(0)),
        (1, "ticks"),
        "and no schema of others"
    );
}

#[tokio::test]
async fn a_failure_while_running_is_told_apart() {
    let error = refused("SELECT 1 / (kafka_offset * 1) FROM ticks").await;
    assert!(matches!(&error, QueryError::Run(text) if text.contains("Divide by zero")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_memory_limit_says_what_to_do() {
    let rows = (0..20_000).map(|n| Row::new(&format!("S{n}"), START + n, n as f64, None, n)).collect();
    let view = table_of(PartitionBy::Day, &[rows]).await;
    let mut session = QuerySession::new(64 * 1024).unwrap();
    session.register(TICKS, view).unwrap();
    let parsed = ParsedStatement::parse("SELECT symbol, count(*) FROM ticks GROUP BY symbol ORDER BY symbol").unwrap();
    let stream = session.plan(&parsed).await.unwrap().run().unwrap();
    let output = ResultOutput::to(std::io::sink());
    let error =
        write_all(stream, OutputFormat::Csv, chrono_tz::UTC, output, &CancellationToken::new()).await.unwrap_err();
    let QueryError::Memory(text) = &error else { panic!("{error}") };
    assert!(text.starts_with("it needs more memory than --memory-limit 64KiB allows\n"), "{text}");
    assert!(text.contains("raise --memory-limit"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_counts_rows_and_files() {
    let slice = |file: i64| (0..10).map(|n| Row::new("A", START + n, 1.0, None, 10 * file + n)).collect::<Vec<_>>();
    let view = table_of(PartitionBy::Day, &[slice(0), slice(1), slice(2)]).await;
    let planned = session(&view).plan(&ParsedStatement::parse("SELECT sum(close) FROM ticks").unwrap()).await.unwrap();
    let progress = planned.progress();
    assert_eq!(progress.read(), InputRead { rows: 0, files: 0, all_files: 3 });
    planned.run().unwrap().try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(progress.read(), InputRead { rows: 30, files: 3, all_files: 3 });
}

#[tokio::test]
async fn files_beside_the_tables_are_read() {
    let view = table_of(PartitionBy::Day, &[vec![Row::new("A", START, 1.0, None, 0)]]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut session = session(&view);
    for (name, path) in [
        ("a_csv", file("a b%20.csv", "symbol,sector\nA,tech\n")),
        ("a_tsv", file("a.TSV", "symbol\tsector\nA\ttech\n")),
        ("semicolons", file("s.csv", "symbol;sector;price\nA;tech;1,5\n")),
        ("tabs", file("tabs.csv", "symbol\tsector\nA\ttech\n")),
        ("an_array", file("a.json", " [{\"symbol\":\"A\",\"sector\":\"tech\"}]")),
        ("zeros", file("zeros.csv", "symbol,sector\n005930,chips\n")),
        ("hostile", file("hostile.csv", "sector,\"pri\u{1b}[2Jce\nforged\",symbol\ntech,1,A\n")),
        ("lines", file("lines.json", "{\"symbol\":\"A\",\"sector\":\"tech\"}\n")),
    ] {
        session.register_file(name, &path).await.unwrap();
        let sql = format!("SELECT sector FROM ticks JOIN {name} ON {name}.symbol = ticks.symbol");
        let planned = session.plan(&ParsedStatement::parse(&sql).unwrap()).await.unwrap();
        let batches: Vec<RecordBatch> = planned.run().unwrap().try_collect().await.unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), usize::from(name != "zeros"), "{name}");
    }
    let late_zero = format!("name,listing,size\n{}HSBC,0005,1\n", "X,1,2\n".repeat(3_000));
    for (name, path, sql, expected) in [
        ("hk", file("hk.csv", "Symbol,Name\n0005,HSBC\n"), "SELECT max(\"Symbol\") AS v FROM hk", "0005"),
        ("tick", file("t.csv", "ticker,lot\n5,100\n"), "SELECT ticker || '-' || (lot + 1) AS v FROM tick", "5-101"),
        ("late", file("late.csv", &late_zero), "SELECT min(listing) || '-' || max(size) AS v FROM late", "0005-2"),
    ] {
        session.register_file(name, &path).await.unwrap();
        let planned = session.plan(&ParsedStatement::parse(sql).unwrap()).await.unwrap();
        let batches: Vec<RecordBatch> = planned.run().unwrap().try_collect().await.unwrap();
        let shown = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
        assert!(shown.contains(&format!("| {expected} ")), "{name}: {shown}");
    }
    for (column, expected) in [
        ("name", "there is no column 'name'; write \"Name\" in double quotes: its case counts\n"),
        ("hk.symbol", "there is no column 'symbol' in hk; write \"Symbol\" in double quotes: its case counts\n"),
        ("nmae", "there is no column 'nmae'; did you mean '\"Name\"'?\n"),
        ("ticks.cloes", "there is no column 'cloes' in ticks; did you mean 'close'?\n"),
    ] {
        let sql = format!("SELECT {column} FROM hk JOIN ticks ON ticks.symbol = \"Symbol\"");
        let error = session.plan(&ParsedStatement::parse(&sql).unwrap()).await.err().unwrap().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let error =
        session.plan(&ParsedStatement::parse("SELECT \"pri\" FROM hostile").unwrap()).await.err().unwrap().to_string();
    assert!(error.contains("pri\\u{1b}[2Jce\\nforged"), "{error}");
    for (name, path, expected) in [
        ("ticks", file("x.csv", "a\n1\n"), "already"),
        ("lines", file("x.csv", "a\n1\n"), "already"),
        ("No-Name", file("x.csv", "a\n1\n"), "a-z"),
        ("none", "/nowhere/x.csv".to_owned(), "/nowhere/x.csv"),
        ("excel", file("x.xlsx", "a"), "use csv, tsv"),
        ("parquet", file("x.parquet", "no Parquet"), "x.parquet"),
        ("empty", file("empty.csv", ""), "no columns"),
        ("folder", folder.path().to_str().unwrap().to_owned(), "folder"),
    ] {
        let error = session.register_file(name, &path).await.unwrap_err();
        assert!(matches!(&error, QueryError::Usage(text) if text.contains(expected)), "{name}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn distinct_values_of_several_columns_have_a_way_round() {
    let rows = (0..20_000).map(|n| Row::new("AAPL", START + n, n as f64, None, n)).collect();
    let view = table_of(PartitionBy::Day, &[rows]).await;
    let run = async |sql: &str| {
        let mut session = QuerySession::new(64 << 20).unwrap();
        session.register(TICKS, view.clone()).unwrap();
        let stream = session.plan(&ParsedStatement::parse(sql).unwrap()).await.unwrap().run().unwrap();
        let output = ResultOutput::to(std::io::sink());
        write_all(stream, OutputFormat::Csv, chrono_tz::UTC, output, &CancellationToken::new()).await
    };
    let error = run("SELECT count(*), count(DISTINCT (kafka_partition, kafka_offset)) FROM ticks").await.unwrap_err();
    assert!(matches!(&error, QueryError::Memory(text) if text.contains("SELECT DISTINCT a, b")), "{error}");
    run("SELECT count(*) FROM (SELECT DISTINCT kafka_partition, kafka_offset FROM ticks)").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_query_ends_and_leaves_no_file() {
    let view = table_of(PartitionBy::Day, &[]).await;
    let endless = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let stream = session(&view).plan(&ParsedStatement::parse(endless).unwrap()).await.unwrap().run().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let stop = CancellationToken::new();
    let output = ResultOutput::to_file(&path).unwrap();
    let writing = write_all(stream, OutputFormat::Csv, chrono_tz::UTC, output, &stop);
    let (written, ()) = tokio::join!(writing, async {
        tokio::task::yield_now().await;
        stop.cancel();
    });
    assert!(matches!(written, Err(QueryError::Cancelled)), "{written:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

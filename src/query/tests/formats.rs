//! Results as bytes, read back.

use std::io::{self, Write};
use std::sync::Mutex;

use bytes::Bytes;
use chrono_tz::Tz;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio_util::sync::CancellationToken;

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::query::error::QueryError;

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn small() -> TableView {
    let row = |symbol, micros, close, volume, offset| Row::new(symbol, START + micros, close, volume, offset);
    let rows = vec![row("A", 1, 1.5, Some(10.0), 0), row("a,\"b|\u{1b}[31m", 52_200_000_000, 2.25, None, 1)];
    table_of(PartitionBy::Day, &[rows]).await
}

const SQL: &str = "SELECT symbol, ts, close, volume, trade_date FROM ticks ORDER BY ts";

async fn bytes_of(view: &TableView, sql: &str, format: OutputFormat, zone: Tz) -> Vec<u8> {
    let stream = session(view).plan(&ParsedStatement::parse(sql).unwrap()).await.unwrap().run().unwrap();
    let shared = Shared::default();
    let output = ResultOutput::to(shared.clone());
    write_all(stream, format, zone, output, &CancellationToken::new()).await.unwrap();
    shared.0.lock().unwrap().clone()
}

async fn text_of(sql: &str, format: OutputFormat) -> String {
    String::from_utf8(bytes_of(&small().await, sql, format, Tz::UTC).await).unwrap()
}

#[tokio::test]
async fn a_time_beyond_the_calendar_does_not_end_a_result() {
    let sql = "SELECT to_timestamp_micros(micros) AS t FROM (VALUES (0), (9223372036854775807)) AS v(micros)";
    for format in
        [OutputFormat::Csv, OutputFormat::Json, OutputFormat::Ndjson, OutputFormat::Table, OutputFormat::Markdown]
    {
        let text = text_of(sql, format).await;
        for expected in ["1970-01-01T00:00:00Z", "+294247-01-10T04:00:54.775807Z"] {
            assert!(text.contains(expected), "{format:?}: {text}");
        }
    }
}

#[tokio::test]
async fn text_formats_show_times_as_iso_8601() {
    assert_eq!(
        text_of(SQL, OutputFormat::Csv).await,
        "symbol,ts,close,volume,trade_date\n\
         A,2026-01-05T00:00:00.000001Z,1.5,10.0,2026-01-05\n\
         \"a,\"\"b|\u{1b}[31m\",2026-01-05T14:30:00Z,2.25,,2026-01-05\n"
    );
    assert_eq!(
        text_of(SQL, OutputFormat::Ndjson).await.lines().next().unwrap(),
        "{\"symbol\":\"A\",\"ts\":\"2026-01-05T00:00:00.000001Z\",\"close\":1.5,\"volume\":10.0,\
         \"trade_date\":\"2026-01-05\"}"
    );
    let json: serde_json::Value = serde_json::from_str(&text_of(SQL, OutputFormat::Json).await).unwrap();
    assert_eq!(json[1]["symbol"], "a,\"b|\u{1b}[31m");
    assert!(json[1]["volume"].is_null() && json[1].as_object().unwrap().contains_key("volume"));
    assert_eq!(
        text_of(SQL, OutputFormat::Table).await,
        "symbol            | ts                          | close | volume | trade_date\n\
         ------------------+-----------------------------+-------+--------+-----------\n\
         A                 | 2026-01-05T00:00:00.000001Z |   1.5 |   10.0 | 2026-01-05\n\
         a,\"b|\\u{1b}[31m | 2026-01-05T14:30:00Z        |  2.25 |   NULL | 2026-01-05\n\
         (2 rows)\n"
            .replace("symbol            |", "symbol          |")
            .replace("------------------+-------------------", "----------------+-------------------")
            .replace("A                 |", "A               |")
    );
    let markdown = text_of("SELECT symbol, close FROM ticks ORDER BY ts", OutputFormat::Markdown).await;
    assert_eq!(
        markdown,
        "| symbol           | close |\n|------------------|------:|\n| A                |   1.5 |\n\
         | a,\"b\\|\\u{1b}[31m |  2.25 |\n"
    );
}

#[tokio::test]
async fn times_are_shown_in_the_zone() {
    let view = small().await;
    let zone = chrono_tz::America::New_York;
    for (sql, expected) in [
        ("SELECT ts FROM ticks ORDER BY ts LIMIT 1", "ts\n2026-01-04T19:00:00.000001-05:00\n"),
        // A local time has no zone to be shown in.
        ("SELECT TIMESTAMP '2026-07-01 00:00:00' AS at", "at\n2026-07-01T00:00:00\n"),
        (
            "SELECT arrow_cast('2026-07-01T00:00:00Z', 'Timestamp(µs, \"Asia/Kolkata\")') AS at",
            "at\n2026-07-01T05:30:00+05:30\n",
        ),
    ] {
        let text = String::from_utf8(bytes_of(&view, sql, OutputFormat::Csv, zone).await).unwrap();
        assert_eq!(text, expected);
    }
}

#[tokio::test]
async fn every_time_has_a_text() {
    let far = "SELECT to_timestamp_micros(9223372036854775807) AS t, arrow_cast(2147483647, 'Date32') AS d, \
               named_struct('t', TIMESTAMP '2026-07-01 00:00:00') AS s";
    let json: serde_json::Value = serde_json::from_str(&text_of(far, OutputFormat::Ndjson).await).unwrap();
    assert_eq!((&json["t"], &json["d"]), (&"+294247-01-10T04:00:54.775807Z".into(), &"+5881580-07-11".into()));
    assert_eq!(
        text_of("SELECT to_timestamp_micros(-9223372036854775808) AS t", OutputFormat::Csv).await,
        "t\n-290308-12-21T19:59:05.224192Z\n"
    );
    // Inside a list JSON would hold the text of an error.
    let nested = "SELECT make_array(to_timestamp_micros(9223372036854775807)) AS t";
    for format in [OutputFormat::Json, OutputFormat::Ndjson, OutputFormat::Csv, OutputFormat::Table] {
        let view = small().await;
        let stream = session(&view).plan(&ParsedStatement::parse(nested).unwrap()).await.unwrap().run().unwrap();
        let output = ResultOutput::to(Shared::default());
        let written = write_all(stream, format, Tz::UTC, output, &CancellationToken::new()).await;
        assert!(written.is_err(), "{format:?}");
    }
}

#[tokio::test]
async fn numbers_that_json_lacks_are_null() {
    let sql = "SELECT CAST('NaN' AS DOUBLE) AS a, CAST('Infinity' AS DOUBLE) AS b, -0.0 AS c";
    let json: serde_json::Value = serde_json::from_str(&text_of(sql, OutputFormat::Ndjson).await).unwrap();
    assert!(json["a"].is_null() && json["b"].is_null() && json["c"] == 0.0, "{json}");
}

#[tokio::test]
async fn columns_have_names_of_their_own_for_programs() {
    let sql =
        "SELECT a.close, b.close, b.close AS close_1 FROM ticks a JOIN ticks b ON a.ts = b.ts ORDER BY a.ts LIMIT 1";
    for (format, expected) in [
        (OutputFormat::Csv, "close,close_1,close_1_1\n1.5,1.5,1.5\n"),
        (OutputFormat::Ndjson, "{\"close\":1.5,\"close_1\":1.5,\"close_1_1\":1.5}\n"),
        (OutputFormat::Table, "close | close | close_1\n------+-------+--------\n  1.5 |   1.5 |     1.5\n(1 row)\n"),
    ] {
        assert_eq!(text_of(sql, format).await, expected);
    }
    let bytes = bytes_of(&small().await, sql, OutputFormat::Parquet, Tz::UTC).await;
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
    let names: Vec<&str> = reader.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["close", "close_1", "close_1_1"]);
}

#[tokio::test]
async fn unnamed_columns_are_called_by_their_expression() {
    for (sql, header) in [
        ("SELECT count(*), MAX(close) - 1, ticks.symbol FROM ticks GROUP BY symbol", "count(*),MAX(close) - 1,symbol"),
        ("SELECT * FROM (SELECT avg(close), 'x' FROM ticks) AS t", "avg(close),'x'"),
        ("SELECT close * 2 FROM ticks UNION ALL SELECT 1 ORDER BY 1", "close * 2"),
        ("SELECT DISTINCT close * 2 FROM ticks", "close * 2"),
        ("SELECT DISTINCT close * 2 FROM ticks ORDER BY 1", "close * 2"),
        ("WITH t AS (SELECT symbol, sum(volume) FROM ticks GROUP BY symbol) SELECT * FROM t", "symbol,sum(volume)"),
        ("SELECT count(*) FROM ticks HAVING count(*) > 0 ORDER BY count(*)", "count(*)"),
    ] {
        assert_eq!(text_of(sql, OutputFormat::Csv).await.lines().next(), Some(header), "{sql}");
    }
}

#[tokio::test]
async fn described_types_are_those_of_sql() {
    let text = text_of("DESCRIBE ticks", OutputFormat::Csv).await;
    assert!(
        text.starts_with("column_name,data_type,is_nullable\nsymbol,STRING,NO\nts,TIMESTAMP,NO\nopen,DOUBLE,YES\n"),
        "{text}"
    );
}

#[tokio::test]
async fn spreadsheets_get_no_formulas() {
    let sql = "SELECT '=1+1' AS \"=a\", '-x' AS b, -1.5 AS c, 'a=b' AS d, '@x' AS e";
    assert_eq!(text_of(sql, OutputFormat::CsvSpreadsheet).await, "'=a,b,c,d,e\n'=1+1,'-x,-1.5,a=b,'@x\n");
    assert_eq!(text_of(sql, OutputFormat::Csv).await, "=a,b,c,d,e\n=1+1,-x,-1.5,a=b,@x\n");
}

#[tokio::test]
async fn wide_characters_keep_columns_in_line() {
    let sql = "SELECT * FROM (VALUES ('茅台', 1), ('e\u{301}t\u{e9}', 22), ('📈', 333)) AS t(\"名\", n) ORDER BY n";
    assert_eq!(
        text_of(sql, OutputFormat::Table).await,
        "名   |   n\n-----+----\n茅台 |   1\ne\u{301}t\u{e9}  |  22\n📈   | 333\n(3 rows)\n"
    );
    assert_eq!(
        text_of(sql, OutputFormat::Markdown).await,
        "| 名   |   n |\n|------|----:|\n| 茅台 |   1 |\n| e\u{301}t\u{e9}  |  22 |\n| 📈   | 333 |\n"
    );
}

#[tokio::test]
async fn a_table_fits_its_terminal() {
    let view = small().await;
    let sql = "SELECT value AS n, value / 3.0 AS third, repeat('x', 100) AS text, 'last' AS last FROM \
        generate_series(1, 100)";
    let stream = session(&view).plan(&ParsedStatement::parse(sql).unwrap()).await.unwrap().run().unwrap();
    let shared = Shared::default();
    let fit = TableFit { width: 40, rows: Some(4), way_to_all: "-o FILE shows all" };
    let output = ResultOutput::to(shared.clone()).fitting(Some(fit));
    write_all(stream, OutputFormat::Table, Tz::UTC, output, &CancellationToken::new()).await.unwrap();
    assert_eq!(
        String::from_utf8(shared.0.lock().unwrap().clone()).unwrap(),
        "  n |     third | … | last\n\
         ----+-----------+---+-----\n\
         \u{20} 1 |  0.333333 | … | last\n\
         \u{20} 2 |  0.666667 | … | last\n\
         \u{20} … |         … | … | …\n\
         \u{20}99 |      33.0 | … | last\n\
         100 | 33.333333 | … | last\n\
         (100 rows, 4 shown; 4 columns, 3 shown; -o FILE shows all)\n"
    );
}

#[tokio::test]
async fn nothing_is_still_well_formed() {
    let none = "SELECT symbol, close FROM ticks WHERE symbol = 'none'";
    assert_eq!(text_of(none, OutputFormat::Csv).await, "symbol,close\n");
    assert_eq!(text_of(none, OutputFormat::Json).await, "[]\n");
    assert_eq!(text_of(none, OutputFormat::Ndjson).await, "");
    assert_eq!(text_of("SELECT symbol, close FROM ticks", OutputFormat::Null).await, "");
    assert_eq!(text_of(none, OutputFormat::Table).await, "symbol | close\n-------+------\n(0 rows)\n");
    let bytes = bytes_of(&small().await, none, OutputFormat::Parquet, Tz::UTC).await;
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
    assert_eq!(reader.schema().fields().len(), 2);
}

#[tokio::test]
async fn binary_formats_keep_types_and_values() {
    let view = small().await;
    let expected = select(&view, SQL).await;
    let bytes = bytes_of(&view, SQL, OutputFormat::Parquet, chrono_tz::Asia::Kolkata).await;
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    assert_eq!(concat_batches(&batches[0].schema(), &batches).unwrap(), expected);
    let bytes = bytes_of(&view, SQL, OutputFormat::Arrow, Tz::UTC).await;
    let reader = arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    assert_eq!(concat_batches(&expected.schema(), &batches).unwrap(), expected);
}

#[tokio::test]
async fn nested_and_binary_values_have_a_text() {
    let sql = "SELECT array_agg(close ORDER BY ts) AS all, named_struct('a', 1) AS s, X'00ff' AS b FROM ticks";
    assert_eq!(text_of(sql, OutputFormat::Csv).await, "all,s,b\n\"[1.5, 2.25]\",{a: 1},00ff\n");
    let json: serde_json::Value = serde_json::from_str(&text_of(sql, OutputFormat::Ndjson).await).unwrap();
    assert_eq!(json, serde_json::json!({ "all": [1.5, 2.25], "s": { "a": 1 }, "b": "00ff" }));
    let plan = text_of("EXPLAIN SELECT close FROM ticks WHERE volume > 1 ORDER BY ts", OutputFormat::Table).await;
    assert!(plan.lines().count() > 5, "{plan}");
}

#[tokio::test]
async fn a_file_appears_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.csv");
    std::fs::write(&path, "old").unwrap();
    let view = small().await;
    for (sql, fails) in [("SELECT 1 / (kafka_offset * 0) FROM ticks", true), ("SELECT 1 AS one", false)] {
        let stream = session(&view).plan(&ParsedStatement::parse(sql).unwrap()).await.unwrap().run().unwrap();
        let output = ResultOutput::to_file(&path).unwrap();
        let written = write_all(stream, OutputFormat::Csv, Tz::UTC, output, &CancellationToken::new()).await;
        assert_eq!(written.is_err(), fails);
        let expected = if fails { "old" } else { "one\n1\n" };
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    // Of a link, what it leads to, which keeps its mode; what is no file is written to as it is.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let null = folder.path().join("null");
    std::os::unix::fs::symlink("/dev/null", &null).unwrap();
    for target in [&link, &null] {
        let stream =
            session(&view).plan(&ParsedStatement::parse("SELECT 2 AS two").unwrap()).await.unwrap().run().unwrap();
        let output = ResultOutput::to_file(target).unwrap();
        write_all(stream, OutputFormat::Csv, Tz::UTC, output, &CancellationToken::new()).await.unwrap();
        assert!(target.is_symlink());
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n2\n");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_to_string(&null).unwrap(), "");
    assert!(matches!(ResultOutput::to_file(folder.path()), Err(QueryError::Usage(_))));
    assert!(matches!(ResultOutput::to_file(&folder.path().join("none/x.csv")), Err(QueryError::Usage(_))));
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_reader_that_went_away_is_told_apart() {
    let view = small().await;
    for format in [
        OutputFormat::Table,
        OutputFormat::Csv,
        OutputFormat::Json,
        OutputFormat::Ndjson,
        OutputFormat::Parquet,
        OutputFormat::Arrow,
    ] {
        let stream = session(&view).plan(&ParsedStatement::parse(SQL).unwrap()).await.unwrap().run().unwrap();
        let written = write_all(stream, format, Tz::UTC, ResultOutput::to(Closed), &CancellationToken::new()).await;
        assert!(matches!(written, Err(QueryError::BrokenPipe)), "{format:?}: {written:?}");
    }
}

#[test]
fn auto_goes_by_the_name_and_the_reader() {
    let auto = |name: &str| OutputFormat::auto(Some(std::path::Path::new(name)), false).unwrap();
    assert_eq!(
        (auto("x.parquet"), auto("x.jsonl"), auto("x.CSV")),
        (OutputFormat::Parquet, OutputFormat::Ndjson, OutputFormat::Csv)
    );
    assert_eq!(
        (OutputFormat::auto(None, true).unwrap(), OutputFormat::auto(None, false).unwrap()),
        (OutputFormat::Table, OutputFormat::Csv)
    );
    for unknown in ["x", "x.xyz", "x.csv.gz"] {
        let error = OutputFormat::auto(Some(std::path::Path::new(unknown)), false).unwrap_err().to_string();
        assert!(error.contains(unknown) && error.contains(".parquet"), "{error}");
    }
}

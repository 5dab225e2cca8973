//! What each route answers.

use arrow::ipc::reader::StreamReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

fn column<'a>(answer: &'a Value, name: &str) -> &'a Vec<Value> {
    let columns = answer["columns"].as_array().unwrap();
    let at = columns.iter().position(|column| column["name"] == name).unwrap_or_else(|| panic!("{name}: {answer}"));
    answer["data"][at].as_array().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_its_assets_are_there() {
    let place = Place::folder();
    let server = start(&place, Options::default()).await;
    for (path, media) in [
        ("/", "text/html; charset=utf-8"),
        ("/assets/app.js", "text/javascript; charset=utf-8"),
        ("/assets/charts.js", "text/javascript; charset=utf-8"),
        ("/assets/app.css", "text/css; charset=utf-8"),
        ("/assets/favicon.svg", "image/svg+xml"),
    ] {
        let whole = server.get(path).await;
        assert_eq!((whole.status(), whole.headers()["content-type"].to_str().unwrap()), (StatusCode::OK, media));
        assert_eq!(whole.headers()["cache-control"], "no-cache");
        let etag = whole.headers()["etag"].to_str().unwrap().to_owned();
        assert!(!whole.bytes().await.unwrap().is_empty());
        let again = server.send(Method::GET, path, &[("if-none-match", &etag)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
        let head = server.send(Method::HEAD, path, &[]).await;
        assert_eq!(head.status(), StatusCode::OK);
        assert!(head.bytes().await.unwrap().is_empty());
    }
    let page = server.send(Method::GET, "/", &[("accept-encoding", "gzip")]).await;
    if page.headers().get("content-encoding").is_some() {
        assert!(page.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]));
    }
    for path in ["/assets/none.js", "/assets/..%2findex.html", "/index", "/api", "/api/nothing", "/api/q", "/api/q/"] {
        server.problem(path, StatusCode::NOT_FOUND).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn meta_tells_what_there_is() {
    let place = lake().await;
    let server = start(&place, Options::default()).await;
    let meta = server.json("/api/meta").await;
    for (key, value) in [
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("table", place.table.as_str().into()),
        ("market_zone", "UTC".into()),
        ("mode", "snapshot".into()),
        ("rows", ROWS.into()),
        ("row_limit", 20_000.into()),
        ("first_date", "2026-01-05".into()),
        ("last_date", "2026-01-05".into()),
        ("first_ts", Value::from(1_767_621_600_000.25)),
        ("newest_ts", Value::from(1_767_622_200_000.25)),
    ] {
        assert_eq!(meta[key], value, "{key}: {meta}");
    }
    let queries = meta["queries"].as_array().unwrap();
    let bars = queries.iter().find(|query| query["name"] == "bars").unwrap();
    assert_eq!(bars["params"][0]["name"], "interval");
    assert_eq!((&bars["params"][0]["type"], &bars["params"][0]["default"]), (&"interval".into(), &"5m".into()));

    for query in queries {
        let name = query["name"].as_str().unwrap();
        let answer = server.json(&format!("/api/q/{name}?symbol=AAPL&from=2026-01-05&to=2026-01-06")).await;
        let (columns, data) = (answer["columns"].as_array().unwrap(), answer["data"].as_array().unwrap());
        assert_eq!((columns.len(), &answer["name"]), (data.len(), &query["name"]));
        let kinds = ["string", "timestamp", "date", "double", "bigint", "integer", "boolean"];
        assert!(columns.iter().all(|column| kinds.contains(&column["type"].as_str().unwrap())), "{name}: {columns:?}");
        let rows = answer["rows"].as_u64().unwrap() as usize;
        assert!(data.iter().all(|values| values.as_array().unwrap().len() == rows), "{name}");
        let sql = server.get(&format!("/api/q/{name}/sql?symbol=AAPL")).await;
        assert_eq!(sql.headers()["content-type"], "text/plain; charset=utf-8");
        assert!(sql.text().await.unwrap().contains("symbol IN ('AAPL')"), "{name}");
    }
    let mut symbols = [["AAPL", "MSFT"].as_slice(), &HOSTILE].concat();
    symbols.sort_unstable();
    assert_eq!(server.json("/api/symbols").await, serde_json::json!({ "symbols": symbols }));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_by_columns_first_or_last() {
    let place = lake().await;
    let server = start(&place, Options::default()).await;
    let bars = server.json("/api/q/bars?symbol=AAPL&interval=1m").await;
    assert_eq!((&bars["rows"], &bars["truncated"], &bars["mode"]), (&5.into(), &false.into(), &"snapshot".into()));
    assert!(bars["took_ms"].is_number() && bars["table_version"].is_number());
    assert_eq!(column(&bars, "symbol")[0], "AAPL");
    assert_eq!(column(&bars, "bar_start")[4], 1_767_621_840_000_i64);
    assert_eq!(column(&bars, "trades"), &vec![Value::from(60); 5]);

    let first = server.json("/api/q/moving_averages?symbol=AAPL&limit=3").await;
    assert_eq!((&first["rows"], &first["truncated"]), (&3.into(), &true.into()));
    assert_eq!(column(&first, "ts")[0], Value::from(1_767_621_600_000.25));
    assert_eq!(column(&first, "ma_20")[0], Value::Null);
    let last = server.json("/api/q/moving_averages?symbol=AAPL&limit=3&order=newest").await;
    assert_eq!((&last["rows"], &last["truncated"]), (&3.into(), &true.into()));
    assert_eq!(column(&last, "ts")[2], Value::from(1_767_621_899_000.25));

    let page = server.json("/api/q/ticks?symbol=MSFT&limit=200").await;
    assert_eq!((&page["rows"], &page["truncated"]), (&200.into(), &true.into()));
    let times = column(&page, "ts");
    assert_eq!(times[0], Value::from(1_767_621_899_000.25));
    let rest = server.json(&format!("/api/q/ticks?symbol=MSFT&limit=200&before={}", times[199])).await;
    assert_eq!((&rest["rows"], &rest["truncated"]), (&100.into(), &false.into()));
    assert_eq!(column(&rest, "ts")[99], Value::from(1_767_621_600_000.25));
    assert_eq!(server.json("/api/q/ticks").await["rows"], ROWS);
    let signals = server.json("/api/q/signals?symbol=AAPL").await;
    assert_eq!((&signals["rows"], signals["columns"].as_array().unwrap().len()), (&0.into(), 11));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbol_is_text_whatever_it_holds() {
    let place = lake().await;
    let server = start(&place, Options::default()).await;
    for symbol in HOSTILE {
        let ticks = server.json(&format!("/api/q/ticks?symbol={}", encode(symbol))).await;
        assert_eq!(column(&ticks, "symbol"), &vec![Value::from(symbol)], "{symbol}");
        let bars = server.json(&format!("/api/q/bars?symbol={}", encode(symbol))).await;
        assert_eq!(bars["rows"], 1, "{symbol}");
        let sql = server.get(&format!("/api/q/bars/sql?symbol={}", encode(symbol))).await.text().await.unwrap();
        assert!(sql.contains(&format!("'{}'", symbol.replace('\'', "''"))), "{sql}");
    }
    assert_eq!(server.json("/api/q/ticks?symbol=%27%20OR%20true%20--").await["rows"], 0);
    assert_eq!(server.json("/api/q/ticks?symbol=%ff%fe").await["rows"], 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_named() {
    let place = lake().await;
    let server = start(&place, Options::default()).await;
    let many: Vec<String> = (0..21).map(|n| format!("symbol=S{n}")).collect();
    for (path, told) in [
        (format!("/api/q/bars?{}", many.join("&")), "more than 20 symbols"),
        (format!("/api/stream?{}", many.join("&")), "more than 20 symbols"),
        ("/api/q/bars?from=2026-01-06&to=2026-01-05".to_owned(), "2026-01-06 is not before to 2026-01-05"),
        ("/api/q/bars?limit=1e9".to_owned(), "from 1 to 20000"),
        ("/api/q/bars?limit=1000000000".to_owned(), "from 1 to 20000"),
        ("/api/q/bars?interval=5m;DROP".to_owned(), "no interval"),
        ("/api/q/bars?p.intervall=5m".to_owned(), "did you mean 'interval'?"),
        ("/api/q/bars?sql=SELECT%201".to_owned(), "'sql' is no parameter"),
        ("/api/q/latest?from=tomorrow".to_owned(), "'tomorrow' is neither"),
        ("/api/q/bars?tz=Mars/Base".to_owned(), "IANA"),
        ("/api/q/bars?format=xlsx".to_owned(), "csv"),
        ("/api/stream?interval=1s".to_owned(), "takes symbol"),
    ] {
        let problem = server.problem(&path, StatusCode::BAD_REQUEST).await;
        assert!(problem.contains(told), "{path}: {problem}");
    }
    for (path, told) in [
        ("/api/q/brs", "did you mean 'bars'?"),
        ("/api/q/..%2f..%2fetc", "no query named"),
        ("/api/q/%3Cscript%3E/sql", "no query named '<script>'"),
    ] {
        let problem = server.problem(path, StatusCode::NOT_FOUND).await;
        assert!(problem.contains(told), "{path}: {problem}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_are_whole_and_have_a_name() {
    let place = lake().await;
    let server = start(&place, Options::default()).await;
    let path = "/api/q/ticks?symbol=AAPL&symbol=MSFT";
    let fetch = async |path: &str, accept: &str| {
        let response = server.send(Method::GET, path, &[("accept", accept)]).await;
        assert_eq!(response.status(), StatusCode::OK);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        (header("content-type"), header("content-disposition"), response.bytes().await.unwrap())
    };
    let (media, name, csv) = fetch(path, "text/csv").await;
    assert_eq!((media.as_str(), name.as_str()), ("text/csv; charset=utf-8", "attachment; filename=\"ticks.csv\""));
    let csv = std::str::from_utf8(&csv).unwrap();
    assert_eq!(csv.lines().count(), 2 * TICKS + 1);
    assert!(csv.starts_with("symbol,ts,open") && csv.contains("MSFT,2026-01-05T14:04:59.000250Z,"), "{csv}");
    let (_, _, local) = fetch(&format!("{path}&format=csv&tz=Asia/Kolkata&limit=1"), "*/*").await;
    assert!(std::str::from_utf8(&local).unwrap().contains("2026-01-05T19:34:59.000250+05:30"), "{local:?}");

    let (media, name, parquet) = fetch(&format!("{path}&format=parquet"), "*/*").await;
    assert_eq!(media, "application/vnd.apache.parquet");
    assert_eq!(name, "attachment; filename=\"ticks.parquet\"");
    let reader = ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap().build().unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 2 * TICKS);

    let (media, _, arrow) = fetch(path, "application/vnd.apache.arrow.stream").await;
    assert_eq!(media, "application/vnd.apache.arrow.stream");
    let reader = StreamReader::try_new(arrow.as_ref(), None).unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 2 * TICKS);

    let (_, name, json) = fetch("/api/q/bars?symbol=AAPL&interval=1m&format=json", "*/*").await;
    assert_eq!(name, "attachment; filename=\"bars.json\"");
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["trades"]), (5, &60.into()));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_may_come_later() {
    let place = Place::folder();
    let server = start(&place, Options::default()).await;
    let meta = server.json("/api/meta").await;
    assert_eq!(meta["empty"], true);
    assert!(meta["message"].as_str().unwrap().contains(&place.table), "{meta}");
    assert!(meta["command"].as_str().unwrap().starts_with(&format!("tickhouse ingest --table {}", place.table)));
    assert_eq!(server.json("/api/symbols").await, serde_json::json!({ "symbols": [] }));
    let problem = server.problem("/api/q/bars", StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(problem.contains("there is no lake"), "{problem}");
    assert_eq!(server.get("/api/q/bars/sql").await.status(), StatusCode::OK);

    let topic = Topic::new(1);
    topic.send(&crate::support::ticks(0..40));
    until_latest(spec(&topic, &place)).await.unwrap();
    let begun = Instant::now();
    while server.json("/api/meta").await["empty"] == true {
        assert!(begun.elapsed() < PATIENCE);
    }
    assert_eq!(server.json("/api/meta").await["rows"], 40);
    topic.send(&crate::support::ticks(40..60));
    until_latest(spec(&topic, &place)).await.unwrap();
    while server.json("/api/meta").await["rows"] != 60 {
        assert!(begun.elapsed() < PATIENCE);
    }
    assert_eq!(server.json("/api/q/ticks").await["rows"], 60);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_the_table_yet_shows_with_brokers() {
    let (topic, place) = (Topic::new(2), Place::folder());
    topic.send(&crate::support::ticks(0..40));
    until_latest(spec(&topic, &place)).await.unwrap();
    topic.send(&crate::support::ticks(40..100));
    let server = start(&place, Options { kafka: Some(topic.kafka.clone()), ..Options::default() }).await;
    let begun = Instant::now();
    while server.json("/api/q/ticks").await["rows"] != 100 {
        assert!(begun.elapsed() < PATIENCE);
    }
    let answer = server.json("/api/q/symbols").await;
    assert_eq!(answer["mode"], "live");
    assert_eq!(column(&answer, "ticks").iter().map(|ticks| ticks.as_u64().unwrap()).sum::<u64>(), 100);
    assert_eq!(server.json("/api/meta").await["rows"], 100);
    // The same rows, from the table.
    until_latest(spec(&topic, &place)).await.unwrap();
    topic.send(&crate::support::ticks(100..110));
    while server.json("/api/q/ticks").await["rows"] != 110 {
        assert!(begun.elapsed() < PATIENCE);
    }
    server.stop().await;
}

//! Tests of Trino's protocol against a server that sends scripted responses.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::engines::*;
use crate::util::secret::Secret;

/// Method and path of an expected request; status and body of the response to it.
type Step = (&'static str, &'static str, u16, Value);

struct Server {
    url: String,
    /// Returns all requests, once the script has ended.
    requests: JoinHandle<Vec<Request>>,
}

#[derive(Debug, Default)]
struct Request {
    line: String,
    /// Headers in lower case.
    headers: Vec<String>,
    body: String,
}

impl Request {
    fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|line| line == header)
    }
}

impl Server {
    async fn start(script: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let base = url.clone();
        let requests = tokio::spawn(async move {
            let mut requests = Vec::new();
            let mut script = VecDeque::from(script);
            while let Some((method, path, status, mut answer)) = script.pop_front() {
                if let Some(next) = answer["nextUri"].as_str() {
                    answer["nextUri"] =
                        json!(if next.starts_with('/') { format!("{base}{next}") } else { next.to_owned() });
                }
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = BufReader::new(stream);
                let mut request = Request::default();
                stream.read_line(&mut request.line).await.unwrap();
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).await.unwrap();
                    let line = line.trim().to_lowercase();
                    if line.is_empty() {
                        break;
                    }
                    length = line.strip_prefix("content-length: ").map_or(length, |text| text.parse().unwrap());
                    request.headers.push(line);
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                request.body = String::from_utf8(body).unwrap();
                assert_eq!(request.line.trim(), format!("{method} {path} HTTP/1.1"));
                requests.push(request);
                // With status 0 the server closes the connection instead of responding.
                if status > 0 {
                    let text =
                        if answer.is_string() { answer.as_str().unwrap().to_owned() } else { answer.to_string() };
                    let head =
                        format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", text.len());
                    stream.write_all((head + &text).as_bytes()).await.unwrap();
                }
            }
            requests
        });
        Self { url, requests }
    }

    fn settings(&self) -> TrinoSettings {
        TrinoSettings { url: Some(self.url.clone()), ..TrinoSettings::default() }
    }

    fn client(&self) -> TrinoClient {
        TrinoClient::new(&self.settings()).unwrap()
    }
}

fn columns() -> Value {
    json!([{"name": "symbol", "type": "varchar"}, {"name": "n", "type": "bigint"}])
}

fn queued() -> Step {
    ("POST", "/v1/statement", 200, json!({"id": "q1", "nextUri": "/v1/next/1", "stats": {"state": "QUEUED"}}))
}

#[tokio::test]
async fn an_answer_is_followed_page_by_page() {
    let stats = json!({"state": "RUNNING", "processedRows": 7, "completedSplits": 2, "totalSplits": 3});
    let server = Server::start(vec![
        queued(),
        ("GET", "/v1/next/1", 200, json!({"id": "q1", "nextUri": "/v1/next/2", "columns": columns()})),
        ("GET", "/v1/next/2", 503, json!("busy")),
        ("GET", "/v1/next/2", 0, json!(null)),
        ("GET", "/v1/next/2", 502, json!("")),
        ("GET", "/v1/next/2", 200, json!({"id": "q1", "nextUri": "/v1/next/3", "columns": columns(), "stats": stats, "data": [["A", 1], ["B", null]]})),
        ("GET", "/v1/next/3", 200, json!({"id": "q1", "nextUri": "/v1/next/4", "columns": columns()})),
        ("GET", "/v1/next/4", 200, json!({"id": "q1", "columns": columns(), "data": [["C", 3]]})),
    ])
    .await;
    let client = server.client();
    let mut answer = client.execute("SELECT 1", &CancellationToken::new()).await.unwrap();
    assert_eq!(answer.schema().fields().len(), 2);
    let first = answer.next().await.unwrap().unwrap();
    let read = client.progress().read();
    assert_eq!((first.num_rows(), read.rows, read.splits, read.all_splits), (2, 7, 2, 3));
    assert_eq!(answer.next().await.unwrap().unwrap().num_rows(), 1);
    assert!(answer.next().await.unwrap().is_none());
    // The statement has finished, so `close` sends no request.
    answer.close().await;
    let requests = server.requests.await.unwrap();
    assert_eq!(requests.len(), 8);
    for header in
        ["x-trino-user: tickhouse", "x-trino-catalog: delta", "x-trino-schema: tickhouse", "x-trino-time-zone: utc"]
    {
        assert!(requests[0].has(header), "{header}: {:?}", requests[0]);
    }
    assert_eq!(requests[0].body, "SELECT 1");
    assert!(
        requests[7].has("x-trino-user: tickhouse")
            && !requests[7].headers.iter().any(|h| h.starts_with("authorization"))
    );
}

#[tokio::test]
async fn a_statement_without_rows_ends() {
    let done = json!({"id": "q1", "updateType": "CALL", "columns": []});
    let server = Server::start(vec![queued(), ("GET", "/v1/next/1", 200, done)]).await;
    let rows = server.client().run("CALL x()", &CancellationToken::new()).await.unwrap();
    assert!(rows.is_empty());
    assert_eq!(server.requests.await.unwrap().len(), 2);
}

#[tokio::test]
async fn errors_say_where_and_what() {
    let failed = json!({"id": "q1", "error": {
        "message": "line 1:8: Column 'x' cannot be resolved", "errorName": "COLUMN_NOT_FOUND",
        "errorLocation": {"lineNumber": 1, "columnNumber": 8},
    }});
    let server = Server::start(vec![queued(), ("GET", "/v1/next/1", 200, failed)]).await;
    let error = server.client().execute("SELECT x", &CancellationToken::new()).await.unwrap_err();
    let EngineError::Refused(refusal) = error else { panic!("{error}") };
    assert_eq!((refusal.at, refusal.name.as_str()), (Some((1, 8)), "COLUMN_NOT_FOUND"));
    server.requests.await.unwrap();

    for (status, answer, expected) in [
        (401, json!("Invalid credentials"), "TICKHOUSE_TRINO_PASSWORD"),
        (404, json!("<html>"), "Trino answers wrongly: 404"),
        (200, json!("<html>"), "no page of an answer"),
        (307, json!(""), "name the server itself"),
    ] {
        let server = Server::start(vec![("POST", "/v1/statement", status, answer)]).await;
        let error = server.client().execute("SELECT 1", &CancellationToken::new()).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    // A lost POST is not retried, because the statement may be running already.
    let server = Server::start(vec![("POST", "/v1/statement", 0, json!(null))]).await;
    let error = server.client().execute("SELECT 1", &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn what_is_stopped_ends_at_the_server() {
    let page = json!({"id": "q1", "nextUri": "/v1/next/2", "columns": columns(), "data": [["A", 1]]});
    let server =
        Server::start(vec![queued(), ("GET", "/v1/next/1", 200, page), ("DELETE", "/v1/next/2", 204, json!(""))]).await;
    let answer = server.client().execute("SELECT 1", &CancellationToken::new()).await.unwrap();
    answer.close().await;
    assert_eq!(server.requests.await.unwrap().len(), 3);

    // The client is stopped while it waits for the columns: the server holds the request back until the client is gone.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let (stopper, base) = (stop.clone(), url.clone());
    let server = tokio::spawn(async move {
        let mut seen = Vec::new();
        let mut held = Vec::new();
        for step in 0..3 {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            seen.push(line.split(" HTTP").next().unwrap().to_owned());
            let body = json!({"id": "q1", "nextUri": format!("{base}/v1/next/1")}).to_string();
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:";
            match step {
                1 => stopper.cancel(),
                _ => stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap(),
            }
            held.push(stream);
        }
        seen
    });
    let settings = TrinoSettings { url: Some(url), ..TrinoSettings::default() };
    let error = TrinoClient::new(&settings).unwrap().execute("SELECT 1", &stop).await.unwrap_err();
    assert!(matches!(error, EngineError::Cancelled), "{error}");
    assert_eq!(server.await.unwrap(), ["POST /v1/statement", "GET /v1/next/1", "DELETE /v1/next/1"]);
}

#[tokio::test]
async fn secrets_stay_with_their_server() {
    let settings = |url: &str| TrinoSettings {
        url: Some(url.to_owned()),
        user: Some("me".to_owned()),
        password: Some(Secret::new("hunter2")),
        ..TrinoSettings::default()
    };
    for (url, expected) in [
        ("http://trino.example.com:8080", "not encrypted"),
        ("https://me:hunter2@trino.example.com", "--trino-user"),
        ("trino.example.com:8080", "write a URL"),
        ("ftp://trino.example.com", "http or https"),
    ] {
        let error = TrinoClient::new(&settings(url)).unwrap_err();
        assert!(matches!(error, EngineError::Usage(_)), "{error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(expected) && !text.contains("hunter2"), "{text}");
    }
    let both = TrinoSettings { token: Some(Secret::new("t")), ..settings("https://trino.example.com") };
    assert!(TrinoClient::new(&both).unwrap_err().to_string().contains("keep one"));
    let nobody = TrinoSettings { user: None, ..settings("https://trino.example.com") };
    assert!(TrinoClient::new(&nobody).unwrap_err().to_string().contains("--trino-user"));
    assert!(TrinoClient::new(&TrinoSettings::default()).unwrap_err().to_string().contains("--trino-url"));

    let client = TrinoClient::new(&settings("https://trino.example.com")).unwrap();
    assert!(!format!("{client:?}").contains("hunter2"));
    let elsewhere = json!({"id": "q1", "nextUri": "http://127.0.0.1:1/v1/next/1"});
    let server = Server::start(vec![("POST", "/v1/statement", 200, elsewhere)]).await;
    let client = TrinoClient::new(&settings(&server.url)).unwrap();
    let error = client.execute("SELECT 1", &CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("http://127.0.0.1:1"), "{error}");
    let requests = server.requests.await.unwrap();
    assert!(requests[0].has("authorization: basic bwu6ahvudgvymg=="), "{:?}", requests[0].headers);
    assert!(requests[0].has("x-trino-user: me"));
}

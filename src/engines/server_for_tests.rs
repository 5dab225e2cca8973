//! A server that answers from a script, for the tests of the clients.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Method, path and what comes back; `retryAfter` of the answer is also the header of that name.
pub(super) type Step = (&'static str, &'static str, u16, Value);

pub(super) struct Server {
    pub url: String,
    /// Every request, once the script is at its end.
    pub requests: JoinHandle<Vec<Request>>,
}

#[derive(Debug, Default)]
pub(super) struct Request {
    pub line: String,
    /// In lower case.
    pub headers: Vec<String>,
    pub body: String,
}

impl Request {
    pub(super) fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|line| line == header)
    }
}

impl Server {
    pub(super) async fn start(script: Vec<Step>) -> Self {
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
                // 0 breaks the connection.
                if status > 0 {
                    let text =
                        if answer.is_string() { answer.as_str().unwrap().to_owned() } else { answer.to_string() };
                    let wait = answer["retryAfter"].as_str().map(|wait| format!("retry-after: {wait}\r\n"));
                    let head = format!(
                        "HTTP/1.1 {status} X\r\nconnection: close\r\n{}content-length: {}\r\n\r\n",
                        wait.unwrap_or_default(),
                        text.len()
                    );
                    stream.write_all((head + &text).as_bytes()).await.unwrap();
                }
            }
            requests
        });
        Self { url, requests }
    }
}

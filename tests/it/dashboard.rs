//! The dashboard's server, asked over HTTP: a small lake, and live updates of ours.

mod access;
mod answers;
mod command;
mod from;
mod limits;
mod stream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;
use tickhouse::kafka::KafkaSettings;
use tickhouse::live::LiveUpdate;
use tickhouse::serve::dashboard::{DashboardError, DashboardSettings, Limits, PipelineView, Server, SourceSpec};
use tickhouse::serve::metrics::{ProcessInfo, View, routes};
use tickhouse::tail::UnionSettings;
use tickhouse::util::secret::Secret;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{PATIENCE, Place, Topic, spec, until_latest};

const TOKEN: &str = "planted-secret-token";
/// A symbol of the largest size.
const EMOJI: &str = "📈📈📈📈📈📈📈📈📈📈📈📈📈📈📈📈";
const HOSTILE: [&str; 4] = ["<script>alert(1)</script>", "../x", "'; DROP TABLE ticks; --", EMOJI];
/// Ticks of each plain symbol.
const TICKS: usize = 300;
/// All rows of [`lake`].
const ROWS: usize = 2 * TICKS + HOSTILE.len();

/// How a server of a test differs from others.
#[derive(Default)]
struct Options {
    token: bool,
    allow_host: Vec<String>,
    limits: Option<Limits>,
    live: Option<broadcast::Receiver<Arc<LiveUpdate>>>,
    pipeline: Option<watch::Receiver<PipelineView>>,
    /// What it holds beyond the table shows too.
    kafka: Option<KafkaSettings>,
    /// Runs beside it.
    ingest: Option<View>,
}

struct Running {
    url: String,
    client: Client,
    stop: CancellationToken,
    task: JoinHandle<Result<(), DashboardError>>,
}

/// Two symbols with a tick a second, and one tick each of some with names that are none.
async fn lake() -> Place {
    let (topic, place) = (Topic::new(1), Place::folder());
    let tick = |symbol: &str, second: usize, close: f64| {
        let ts = format!("2026-01-05T14:{:02}:{:02}.000250Z", second / 60, second % 60);
        serde_json::json!({ "symbol": symbol, "ts": ts, "close": close, "volume": second }).to_string()
    };
    let plain = (0..TICKS).flat_map(|at| {
        let wave = 100.0 + (at as f64 / 9.0).sin();
        [tick("AAPL", at, wave), tick("MSFT", at, 2.0 * wave)]
    });
    let hostile = HOSTILE.iter().map(|symbol| tick(symbol, 600, 1.0));
    topic.send(&plain.chain(hostile).collect::<Vec<_>>());
    until_latest(spec(&topic, &place)).await.unwrap();
    place
}

async fn start(place: &Place, options: Options) -> Running {
    let settings = DashboardSettings {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        token: options.token.then(|| Secret::new(TOKEN)),
        allow_host: options.allow_host,
        ..DashboardSettings::default()
    };
    let beyond = options.kafka.map(|kafka| UnionSettings::of(Some(kafka)));
    let source =
        SourceSpec { beyond, location: place.location(), store: place.store(), topic: None, memory_bytes: 64 << 20 };
    let limits = options.limits.unwrap_or_default();
    let server = Server::bind_within(&settings, source, options.live, options.pipeline, limits).await.unwrap();
    let server = match options.ingest {
        Some(view) => server.with(routes(view)),
        None => server,
    };
    let (url, stop) = (server.url(), CancellationToken::new());
    let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Running { url, client, task: tokio::spawn(server.run(stop.clone())), stop }
}

impl Running {
    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
        let request = self.client.request(method, format!("{}{path}", self.url.trim_end_matches('/')));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = tokio::time::timeout(PATIENCE, request.send()).await.unwrap().unwrap();
        assert_guarded(response.headers(), path);
        response
    }

    async fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path, &[]).await
    }

    /// An answer of status 200.
    async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// What is said about a request that is refused.
    async fn problem(&self, path: &str, status: StatusCode) -> String {
        let response = self.get(path).await;
        let (found, text) = (response.status(), response.text().await.unwrap());
        assert_eq!(found, status, "{path}: {text}");
        let body: Value = serde_json::from_str(&text).unwrap();
        let message = body["error"]["message"].as_str().unwrap();
        assert!(body["error"]["hint"].is_string() || body["error"]["hint"].is_null());
        message.to_owned()
    }

    /// Stops the server, which takes two seconds at most.
    async fn stop(self) {
        let begun = Instant::now();
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
}

/// Every answer says what a browser may do with it.
fn assert_guarded(headers: &HeaderMap, path: &str) {
    for (name, value) in [
        (
            "content-security-policy",
            "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
             frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(headers.get(name).map(|found| found.to_str().unwrap()), Some(value), "{path}");
    }
    assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{path}");
    assert!(headers.contains_key("cache-control"), "{path}");
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

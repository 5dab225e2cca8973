//! The routes of the dashboard.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use bytes::Bytes;
use chrono::Utc;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::form_urlencoded;

use crate::serve::dashboard::api::queries::{Download, Queries};
use crate::serve::dashboard::api::request::{ApiRequest, DOWNLOAD_LIMIT, ROW_LIMIT, add_symbol, ending};
use crate::serve::dashboard::assets::Assets;
use crate::serve::dashboard::hub::{Hub, Message};
use crate::serve::dashboard::mode::Mode;
use crate::serve::dashboard::source::{CachedState, Source, View};

use crate::serve::http::{Guard, Problem, guard};

/// Maximum number of symbols in one listing.
const MOST_SYMBOLS: usize = 20_000;

pub(in crate::serve::dashboard) struct App {
    pub(in crate::serve::dashboard) assets: Assets,
    pub(in crate::serve::dashboard) queries: Queries,
    pub(in crate::serve::dashboard) source: Source,
    pub(in crate::serve::dashboard) hub: Hub,
    pub(in crate::serve::dashboard) mode: Mode,
    /// Location of the lake, for messages.
    pub(in crate::serve::dashboard) place: String,
    pub(in crate::serve::dashboard) patience: Duration,
    pub(in crate::serve::dashboard) stop: CancellationToken,
}

type Shared = State<Arc<App>>;

pub(in crate::serve::dashboard) fn routes(app: Arc<App>, guarded: Arc<Guard>) -> Router {
    Router::new()
        .route("/api/meta", get(meta))
        .route("/api/symbols", get(symbols))
        .route("/api/stream", get(stream_of))
        .route("/api/q/{name}", get(query))
        .route("/api/q/{name}/sql", get(sql))
        .fallback(asset)
        .with_state(app)
        .layer(middleware::from_fn_with_state(guarded, guard))
}

async fn asset(State(app): Shared, uri: Uri, headers: HeaderMap) -> Response {
    let nothing = || Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path").into_response();
    app.assets.answer(uri.path(), &headers).unwrap_or_else(nothing)
}

async fn meta(State(app): Shared) -> Result<Json<Value>, Problem> {
    let newest = tokio::time::timeout(app.patience, app.source.newest()).await;
    let too_long = |_| Problem::new(StatusCode::GATEWAY_TIMEOUT, "the store does not answer");
    match newest.map_err(too_long)?? {
        CachedState::There(view) => Ok(Json(app.described(&view))),
        CachedState::Missing(message) => Ok(Json(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "empty": true,
            "message": message,
            "command": format!("tickhouse ingest --table {} --brokers HOST:PORT --topic TOPIC", app.place),
        }))),
        CachedState::Unreachable(message) => Err(Problem::unavailable(message)),
    }
}

impl App {
    fn described(&self, view: &View) -> Value {
        let queries = self.queries.named().all().map(|(name, header, params)| {
            let params = params.into_iter().map(|param| {
                json!({
                    "name": param.name,
                    "type": param.kind.to_string(),
                    "default": param.default.to_string(),
                    "help": param.description,
                })
            });
            let (group, params) = (&header.group, params.collect::<Vec<_>>());
            json!({ "name": name, "summary": header.question, "group": group, "params": params })
        });
        let date = |micros: Option<i64>| micros.and_then(|micros| view.date_of(micros));
        let millis = |micros: Option<i64>| micros.map(|micros| micros as f64 / 1_000.0);
        let (oldest, newest) = view.times.unzip();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "table": self.place,
            "topic": view.topic,
            "market_zone": view.market_zone.name(),
            "mode": self.mode.name(),
            "table_version": view.table_version,
            "rows": view.rows,
            "first_date": date(oldest),
            "last_date": date(newest),
            "first_ts": millis(oldest),
            "newest_ts": millis(newest),
            "server_time": Utc::now().timestamp_micros() as f64 / 1_000.0,
            "row_limit": ROW_LIMIT,
            "queries": queries.collect::<Vec<_>>(),
        })
    }
}

fn json_bytes(bytes: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

async fn symbols(State(app): Shared) -> Result<Response, Problem> {
    match app.queries.symbols(MOST_SYMBOLS).await {
        Ok(bytes) => Ok(json_bytes(bytes)),
        Err(problem) if matches!(app.source.latest(), CachedState::Missing(_)) => {
            tracing::debug!(?problem, "no symbols without a lake");
            Ok(Json(json!({ "symbols": [] })).into_response())
        }
        Err(problem) => Err(problem),
    }
}

fn asked(query: Option<&str>, headers: &HeaderMap) -> Result<ApiRequest, Problem> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    ApiRequest::parse(query.unwrap_or_default(), accept.unwrap_or_default())
}

async fn query(
    State(app): Shared,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = asked(query.as_deref(), &headers)?;
    match asked.format {
        None => app.queries.columns(&name, &asked).await.map(json_bytes),
        Some(format) => {
            let download = app.queries.download(&name, &asked, format, asked.zone).await?;
            download_of(download, app.stop.clone()).await
        }
    }
}

async fn sql(State(app): Shared, Path(name): Path<String>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let asked = ApiRequest::parse(query.as_deref().unwrap_or_default(), "")?;
    let text = app.queries.sql(&name, &asked)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text + "\n").into_response())
}

/// Waits for the first bytes, so that a query that fails at once returns an error status. A query that fails later
/// aborts the transfer, so that the client doesn't mistake the truncated body for a complete one.
async fn download_of(mut download: Download, stop: CancellationToken) -> Result<Response, Problem> {
    let first = download.next(&stop).await?;
    let disposition = format!("attachment; filename=\"{}.{}\"", download.name, ending(download.format));
    let media = HeaderValue::from_static(download.format.media_type());
    let rest = stream::unfold(Some(download), move |download| {
        let stop = stop.clone();
        async move {
            let mut download = download?;
            match download.next(&stop).await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(download))),
                Ok(None) => None,
                Err(problem) => Some((Err(std::io::Error::other(problem.message)), None)),
            }
        }
    });
    let body = Body::from_stream(stream::iter(first.map(Ok)).chain(rest));
    let headers = [
        (header::CONTENT_TYPE, media),
        (header::CONTENT_DISPOSITION, HeaderValue::from_str(&disposition).expect("a query's name is plain ASCII")),
        (header::HeaderName::from_static("x-row-limit"), HeaderValue::from(DOWNLOAD_LIMIT)),
    ];
    Ok((headers, body).into_response())
}

impl Download {
    async fn next(&mut self, stop: &CancellationToken) -> Result<Option<Bytes>, Problem> {
        let too_long = || Problem::unavailable("the download took too long");
        // A timer that has expired may be reported one poll later, after bytes that are ready, so the time is checked
        // directly.
        if self.until <= tokio::time::Instant::now() {
            return Err(too_long());
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(Problem::stopping()),
            () = tokio::time::sleep_until(self.until) => Err(too_long()),
            bytes = self.encoded.next() => Ok(bytes?),
        }
    }
}

async fn stream_of(State(app): Shared, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let mut symbols = Vec::new();
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match key.as_ref() {
            "symbol" => add_symbol(&mut symbols, &value)?,
            other => {
                return Err(Problem::wrong(format!("'{other}' is no parameter of the stream, which takes symbol")));
            }
        }
    }
    let queue = app.hub.subscribe(symbols).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // Disables response buffering in proxies, which would delay the events.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(pieces(queue))).into_response())
}

fn pieces(mut queue: mpsc::Receiver<Message>) -> impl futures::Stream<Item = Result<Bytes, std::convert::Infallible>> {
    let messages = stream::poll_fn(move |cx| queue.poll_recv(cx));
    messages.flat_map(|message| stream::iter(message.into_iter().map(Ok)))
}

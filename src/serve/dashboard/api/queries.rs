//! Runs queries. The number of running queries, the number of waiting queries and their time are limited.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::error::ArrowError;
use bytes::Bytes;
use chrono::Utc;
use chrono_tz::Tz;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::query::{EncodedResult, OutputFormat, ParsedStatement, QueryError, TICKS};
use crate::serve::dashboard::api::cache::{Cache, Key};
use crate::serve::dashboard::api::columns::{self, keep};
use crate::serve::dashboard::api::json;
use crate::serve::dashboard::api::named::{Named, Prepared, SIGNALS};
use crate::serve::dashboard::api::request::ApiRequest;
use crate::serve::dashboard::source::{Source, View};
use crate::serve::http::Problem;

/// Limits of one server.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Maximum number of running queries.
    pub running: usize,
    /// Maximum number of queries that wait for a running one to end.
    pub waiting: usize,
    /// Time until a query is stopped, including the time that it waits.
    pub patience: Duration,
    /// Maximum number of downloads. A slow client occupies one of them for a long time.
    pub downloads: usize,
    /// Time until a download is cut off.
    pub download_patience: Duration,
    /// Maximum number of event streams.
    pub tabs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            running: 2 * cores,
            waiting: 64,
            patience: Duration::from_secs(10),
            downloads: 4,
            download_patience: Duration::from_secs(300),
            tabs: 200,
        }
    }
}

pub(in crate::serve::dashboard) struct Queries {
    source: Source,
    named: Named,
    cache: Cache,
    /// Permits for running and waiting queries together.
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
    limits: Limits,
}

/// The format of the response.
#[derive(Debug, Clone, Copy)]
enum Form {
    Columns,
    Symbols,
}

/// A download whose bytes are still being produced.
pub(in crate::serve::dashboard) struct Download {
    pub(in crate::serve::dashboard) encoded: EncodedResult,
    pub(in crate::serve::dashboard) name: String,
    pub(in crate::serve::dashboard) format: OutputFormat,
    pub(in crate::serve::dashboard) until: tokio::time::Instant,
    _permit: OwnedSemaphorePermit,
}

impl Queries {
    pub(in crate::serve::dashboard) fn new(source: Source, named: Named, limits: Limits) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self {
            places: semaphore(limits.running + limits.waiting),
            running: semaphore(limits.running),
            downloads: semaphore(limits.downloads),
            cache: Cache::new(),
            source,
            named,
            limits,
        }
    }

    pub(in crate::serve::dashboard) fn named(&self) -> &Named {
        &self.named
    }

    /// The statement with its parameters filled in.
    ///
    /// # Errors
    /// The query doesn't support a parameter of the request.
    pub(in crate::serve::dashboard) fn sql(&self, name: &str, asked: &ApiRequest) -> Result<String, Problem> {
        Ok(self.named.prepare(name, asked, Utc::now())?.parsed.to_sql())
    }

    /// Returns the result as JSON by columns.
    ///
    /// # Errors
    /// The request is invalid, the query takes too long, or there is no lake.
    pub(in crate::serve::dashboard) async fn columns(&self, name: &str, asked: &ApiRequest) -> Result<Bytes, Problem> {
        let prepared = self.named.prepare(name, asked, Utc::now())?;
        let view = self.with_timeout(self.source.view()).await?;
        if prepared.needs == SIGNALS && view.session.table(SIGNALS).is_err() {
            return Ok(self.nothing(&prepared, &view));
        }
        let question = format!("{} {} {} {}", prepared.rows, prepared.newest, prepared.name, prepared.parsed.to_sql());
        let key = Key { view: view.number, question };
        self.cache.get(key, || self.making(view, prepared, Form::Columns)).await
    }

    /// Returns the symbols of the lake, at most `most` of them.
    ///
    /// # Errors
    /// The same as for [`Self::columns`].
    pub(in crate::serve::dashboard) async fn symbols(&self, most: usize) -> Result<Bytes, Problem> {
        let asked = ApiRequest::parse("", "")?;
        let mut prepared = self.named.prepare(TICKS, &asked, Utc::now())?;
        let text = format!("SELECT DISTINCT symbol FROM {TICKS} ORDER BY symbol LIMIT {most}");
        prepared.parsed = ParsedStatement::parse(&text)?;
        prepared.rows = most;
        let view = self.with_timeout(self.source.view()).await?;
        let key = Key { view: view.number, question: text };
        self.cache.get(key, || self.making(view, prepared, Form::Symbols)).await
    }

    fn making(&self, view: Arc<View>, prepared: Prepared, form: Form) -> BoxFuture<'static, Result<Bytes, Problem>> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let running = Arc::clone(&self.running);
        let (patience, waiting) = (self.limits.patience, self.limits.waiting);
        async move {
            let Ok(_place) = place else {
                return Err(Problem::unavailable(format!("{waiting} queries wait already")).hint("ask again later"));
            };
            let answered = tokio::time::timeout(patience, async {
                let _turn = running.acquire_owned().await.map_err(|_| Problem::stopping())?;
                Ok(answer(&view, &prepared, form).await?)
            });
            answered.await.unwrap_or_else(|_| Err(too_long(patience)))
        }
        .boxed()
    }

    fn nothing(&self, prepared: &Prepared, view: &View) -> Bytes {
        let mut out = beginning(&prepared.name);
        columns::write_none(&mut out, self.named.columns_of(prepared.needs));
        end(&mut out, false, view, Duration::ZERO);
        out.into()
    }

    async fn with_timeout<T>(&self, future: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        let patience = self.limits.patience;
        tokio::time::timeout(patience, future).await.unwrap_or_else(|_| Err(too_long(patience)))
    }

    /// Streams all rows of the result.
    ///
    /// # Errors
    /// The same as for [`Self::columns`], and when the maximum number of downloads is already running.
    pub(in crate::serve::dashboard) async fn download(
        &self,
        name: &str,
        asked: &ApiRequest,
        format: OutputFormat,
        zone: Tz,
    ) -> Result<Download, Problem> {
        let prepared = self.named.prepare(name, asked, Utc::now())?;
        let permit = Arc::clone(&self.downloads).try_acquire_owned().map_err(|_| {
            let message = format!("{} downloads run already", self.limits.downloads);
            Problem::unavailable(message).hint("ask again when one of them is done")
        })?;
        let view = self.with_timeout(self.source.view()).await?;
        let begin = async {
            let planned = view.session.plan(&prepared.parsed).await?;
            let schema = planned.schema();
            Ok(EncodedResult::new(&schema, planned.batches()?, format, zone, prepared.rows)?)
        };
        let encoded = self.with_timeout(begin).await?;
        let until = tokio::time::Instant::now() + self.limits.download_patience;
        Ok(Download { encoded, name: prepared.name, format, until, _permit: permit })
    }
}

fn too_long(patience: Duration) -> Problem {
    let message = format!("the query was stopped after {} s", patience.as_secs_f64());
    Problem::new(axum::http::StatusCode::GATEWAY_TIMEOUT, message)
        .hint("choose a shorter range, longer bars or fewer symbols")
}

async fn answer(view: &View, prepared: &Prepared, form: Form) -> Result<Bytes, QueryError> {
    let begun = Instant::now();
    let planned = view.session.plan(&prepared.parsed).await?;
    let schema = planned.schema();
    let kept = keep(planned.batches()?, prepared.rows, prepared.newest).await?;
    let failed = |error: ArrowError| QueryError::Run(error.to_string());
    match form {
        Form::Columns => {
            let mut out = beginning(&prepared.name);
            columns::write(&mut out, &schema, &kept).map_err(failed)?;
            end(&mut out, kept.truncated, view, begun.elapsed());
            Ok(out.into())
        }
        Form::Symbols => {
            let mut out = b"{\"symbols\":".to_vec();
            columns::write_first(&mut out, &kept).map_err(failed)?;
            out.push(b'}');
            Ok(out.into())
        }
    }
}

fn beginning(name: &str) -> Vec<u8> {
    let mut out = b"{\"name\":".to_vec();
    json::value(&mut out, name);
    out.push(b',');
    out
}

fn end(out: &mut Vec<u8>, truncated: bool, view: &View, took: Duration) {
    let millis = (took.as_secs_f64() * 10_000.0).round() / 10.0;
    let (version, mode) = (view.table_version, view.mode.name());
    out.extend_from_slice(
        format!(",\"truncated\":{truncated},\"table_version\":{version},\"mode\":\"{mode}\",\"took_ms\":{millis}}}")
            .as_bytes(),
    );
}

//! HTTP requests of Trino's protocol: credentials, retries, and the rule where secrets may be sent.

use std::fmt;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use tokio::time::{Instant, sleep};

use super::page::TrinoPage;
use super::settings::TrinoSettings;
use crate::engines::error::{EngineError, TRINO};
use crate::engines::http::{ServerFlags, require_tls};
use crate::util::secret::Secret;

const SERVER: ServerFlags = ServerFlags {
    engine: TRINO,
    url: "--trino-url (trino.url)",
    user: "--trino-user",
    password: "TICKHOUSE_TRINO_PASSWORD",
};
/// Timeout for stopping a query, so that the caller isn't blocked for longer.
const DELETE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request is retried. A coordinator behind a load balancer either is available again within this time, or
/// has lost the query.
const RETRY_FOR: Duration = Duration::from_secs(60);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
const LOG_IN_FIX: &str = "set --trino-user (trino.user) with TICKHOUSE_TRINO_PASSWORD, or TICKHOUSE_TRINO_TOKEN; each also \
                      as .._FILE";
/// Maximum number of characters kept of a response that is not from Trino.
const LONGEST_DETAIL: usize = 200;

#[derive(Clone)]
pub(super) struct TrinoHttp {
    client: Client,
    url: Url,
    user: String,
    key: Option<TrinoCredentials>,
    catalog: String,
    schema: String,
}

#[derive(Clone)]
enum TrinoCredentials {
    Password(Secret),
    Token(Secret),
}

impl fmt::Debug for TrinoHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, user, catalog, schema, .. } = self;
        write!(f, "{user}@{url} {catalog}.{schema}")
    }
}

/// The error of a request, and whether a retry may succeed.
enum RequestError {
    /// A retry may succeed.
    Later(EngineError, Option<Duration>),
    Now(EngineError),
}

impl TrinoHttp {
    pub(super) fn new(settings: &TrinoSettings) -> Result<Self, EngineError> {
        let usage = |text: String| EngineError::Usage(text);
        let Some(text) = settings.url.as_deref().filter(|url| !url.is_empty()) else {
            return Err(usage(
                "no Trino server is named: set --trino-url (trino.url), as in https://host:8443".to_owned(),
            ));
        };
        let mut url = SERVER.parse(text)?;
        url.set_query(None);
        url.set_fragment(None);
        let key = match (&settings.password, &settings.token) {
            (Some(_), Some(_)) => {
                return Err(usage("trino.password and trino.token are both set: keep one".to_owned()));
            }
            (Some(_), None) if settings.user.is_none() => {
                return Err(usage("trino.password is set without a user: set --trino-user (trino.user)".to_owned()));
            }
            (Some(password), None) => Some(TrinoCredentials::Password(password.clone())),
            (None, Some(token)) => Some(TrinoCredentials::Token(token.clone())),
            (None, None) => None,
        };
        if key.is_some() {
            require_tls(&url, "password or token")?;
        }
        Ok(Self {
            client: SERVER.client()?,
            url,
            user: settings.user.clone().unwrap_or_else(|| "tickhouse".to_owned()),
            key,
            catalog: settings.catalog.clone(),
            schema: settings.schema.clone(),
        })
    }

    /// Posts `sql` and returns the first page of the result.
    pub(super) async fn post(&self, sql: &str) -> Result<TrinoPage, EngineError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/v1/statement", self.url.path().trim_end_matches('/')));
        let request = || {
            self.request(Method::POST, url.clone())
                .header("X-Trino-Source", "tickhouse")
                .header("X-Trino-Catalog", &self.catalog)
                .header("X-Trino-Schema", &self.schema)
                .header("X-Trino-Time-Zone", "UTC")
                // Without this header, Trino returns all times in milliseconds.
                .header("X-Trino-Client-Capabilities", "PARAMETRIC_DATETIME")
                .body(sql.to_owned())
        };
        self.send(request, false).await
    }

    pub(super) async fn get(&self, url: Url) -> Result<TrinoPage, EngineError> {
        self.send(|| self.request(Method::GET, url.clone()), true).await
    }

    pub(super) async fn delete(&self, url: Url) -> Result<(), EngineError> {
        let answer = self.request(Method::DELETE, url).timeout(DELETE_TIMEOUT).send().await;
        match answer.map_err(|error| self.unreachable(error)) {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(EngineError::Protocol { engine: TRINO, detail: answer.status().to_string() }),
            Err(error) => Err(error),
        }
    }

    /// Parses the URL of the next page. If requests carry secrets, it has to be on the configured server.
    pub(super) fn page_url(&self, text: &str) -> Result<Url, EngineError> {
        let wrong = |detail: String| EngineError::Protocol { engine: TRINO, detail };
        let url = Url::parse(text).map_err(|error| wrong(format!("nextUri {text}: {error}")))?;
        if self.key.is_some() && url.origin() != self.url.origin() {
            return Err(wrong(format!(
                "its pages are at {}, not at --trino-url: behind a proxy set \
                 http-server.process-forwarded=true there, or name that address",
                url.origin().ascii_serialization()
            )));
        }
        Ok(url)
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.client.request(method, url).header("X-Trino-User", &self.user);
        match &self.key {
            Some(TrinoCredentials::Password(password)) => request.basic_auth(&self.user, Some(password.reveal())),
            Some(TrinoCredentials::Token(token)) => request.bearer_auth(token.reveal()),
            None => request,
        }
    }

    /// Sends a request, with retries for at most [`RETRY_FOR`]. If the request is `repeatable`, it is also retried
    /// after the connection was lost.
    async fn send(&self, request: impl Fn() -> RequestBuilder, repeatable: bool) -> Result<TrinoPage, EngineError> {
        let begun = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            let (error, retry_after) = match self.once(request(), repeatable).await {
                Ok(page) => return Ok(page),
                Err(RequestError::Now(error)) => return Err(error),
                Err(RequestError::Later(error, retry_after)) => (error, retry_after),
            };
            let pause = retry_after.unwrap_or(wait).min(LONGEST_WAIT);
            if begun.elapsed() + pause > RETRY_FOR {
                return Err(error);
            }
            tracing::debug!("ask Trino again in {pause:?}: {error}");
            sleep(pause).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn once(&self, request: RequestBuilder, repeatable: bool) -> Result<TrinoPage, RequestError> {
        let broken = |error: reqwest::Error| {
            let error = self.unreachable(error);
            if repeatable { RequestError::Later(error, None) } else { RequestError::Now(error) }
        };
        let answer = request.send().await.map_err(broken)?;
        let status = answer.status();
        if status == StatusCode::OK {
            let bytes = answer.bytes().await.map_err(broken)?;
            return serde_json::from_slice(&bytes).map_err(|error| {
                RequestError::Now(EngineError::Protocol {
                    engine: TRINO,
                    detail: format!("no page of an answer: {error}"),
                })
            });
        }
        let later = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let detail = detail_of(answer).await;
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                RequestError::Now(EngineError::LogIn { engine: TRINO, detail, fix: LOG_IN_FIX })
            }
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS => {
                let error = EngineError::Unreachable { engine: TRINO, address: self.url.to_string(), detail };
                RequestError::Later(error, later.map(Duration::from_secs))
            }
            status if status.is_redirection() => RequestError::Now(EngineError::Usage(format!(
                "--trino-url (trino.url): {} answers {detail}: name the server itself",
                self.url
            ))),
            _ => RequestError::Now(EngineError::Protocol { engine: TRINO, detail }),
        })
    }

    fn unreachable(&self, error: reqwest::Error) -> EngineError {
        SERVER.unreachable(&self.url, error)
    }
}

/// The status and the first line of the body.
async fn detail_of(answer: Response) -> String {
    let status = answer.status();
    let body = answer.text().await.unwrap_or_default();
    let line: String = body.lines().next().unwrap_or_default().trim().chars().take(LONGEST_DETAIL).collect();
    if line.is_empty() || line.starts_with('<') { status.to_string() } else { format!("{status}: {line}") }
}

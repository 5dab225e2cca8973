//! Servers that are asked over HTTP: which URLs name one, where secrets may go, and how long anything waits.

use std::time::Duration;

use backon::Retryable;
use chrono::Utc;
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tokio::time::Instant;
use url::Host;

use super::error::EngineError;
use crate::util::backoff;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Long enough for a large page over a slow line, or a table that is created after its log was read.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// A server behind a balancer is back within this time, or it has forgotten what it was asked.
const RETRY_FOR: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The flags and settings that name a server and its user.
pub(super) struct ServerFlags {
    pub engine: &'static str,
    /// Flag and setting of the URL.
    pub url: &'static str,
    pub user: &'static str,
    /// The environment variable.
    pub password: &'static str,
}

impl ServerFlags {
    /// # Errors
    /// The text is no URL of HTTP, or holds secrets.
    pub(super) fn parse(&self, text: &str) -> Result<Url, EngineError> {
        let wrong = |why: &str| EngineError::Usage(format!("{}: {why}, as in https://host:8443", self.url));
        let url = Url::parse(text).map_err(|_| wrong("write a URL"))?;
        if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
            return Err(wrong("write a URL of http or https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let Self { user, password, .. } = self;
            return Err(wrong(&format!("the user is {user} and the password {password}; write the URL without")));
        }
        Ok(url)
    }

    /// # Errors
    /// TLS can't be set up.
    pub(super) fn client(&self) -> Result<Client, EngineError> {
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(Policy::none())
            .user_agent(concat!("tickhouse/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map_err(|error| EngineError::Protocol { engine: self.engine, detail: format!("set up TLS: {error}") })
    }

    /// Sends a request until its answer is final, for [`RETRY_FOR`] at most, and no earlier than the server asks for.
    ///
    /// # Errors
    /// The request fails for good, or the server doesn't take it within that time.
    pub(super) async fn send_with_retry<T, F>(&self, request: impl FnMut() -> F) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, RequestError>>,
    {
        let begun = Instant::now();
        let answer = request
            .retry(backoff::exponential(FIRST_PAUSE, LONGEST_PAUSE))
            .adjust(|error, pause| {
                let RequestError::Later(_, retry_after) = error else { return None };
                let pause = backoff::no_earlier_than(*retry_after, pause?);
                (begun.elapsed().saturating_add(pause) <= RETRY_FOR).then_some(pause)
            })
            .notify(|(RequestError::Later(error, _) | RequestError::Now(error)), pause| {
                tracing::debug!("ask {} again in {pause:?}: {error}", self.engine);
            })
            .await;
        answer.map_err(|(RequestError::Later(error, _) | RequestError::Now(error))| error)
    }

    /// No answer came; the reason is at the end of the causes.
    pub(super) fn unreachable(&self, url: &Url, error: reqwest::Error) -> EngineError {
        let error = anyhow::Error::from(error.without_url());
        EngineError::Unreachable { engine: self.engine, address: url.to_string(), detail: format!("{error:#}") }
    }
}

/// The error of a request, and whether to retry it.
pub(super) enum RequestError {
    /// A retry may succeed, after the time that the server asks for.
    Later(EngineError, Option<Duration>),
    Now(EngineError),
}

/// The time that a server asks its clients to wait.
pub(super) fn retry_after(answer: &Response) -> Option<Duration> {
    backoff::retry_after(answer.headers().get(RETRY_AFTER)?.to_str().ok()?, Utc::now())
}

/// `secrets` are only shown to TLS, or to this machine.
///
/// # Errors
/// Anybody on the way could read them.
pub(super) fn require_tls(url: &Url, secrets: &str) -> Result<(), EngineError> {
    if url.scheme() == "https" || is_loopback(url) {
        return Ok(());
    }
    Err(EngineError::Usage(format!("{url} is not encrypted, so no {secrets} goes there: use https")))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

//! Shared code of the HTTP clients: validation of server URLs, the rule where secrets may be sent, and timeouts.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use url::Host;

use super::error::EngineError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of a request, long enough for a large page over a slow line, or for a server that reads the log of a table
/// to create it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// The names of the flags and settings for a server and its user, for error messages.
pub(super) struct ServerFlags {
    pub engine: &'static str,
    /// Flag and setting of the URL.
    pub url: &'static str,
    pub user: &'static str,
    /// Environment variable of the password.
    pub password: &'static str,
}

impl ServerFlags {
    /// Parses the URL of a server.
    ///
    /// # Errors
    /// The text is not an HTTP URL, or it contains a user or password.
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

    /// Creates the HTTP client.
    ///
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

    /// The error for a request without a response. The root cause is at the end of the error chain.
    pub(super) fn unreachable(&self, url: &Url, error: reqwest::Error) -> EngineError {
        let error = anyhow::Error::from(error.without_url());
        EngineError::Unreachable { engine: self.engine, address: url.to_string(), detail: format!("{error:#}") }
    }
}

/// Requires that `secrets` are sent only over TLS or to this machine.
///
/// # Errors
/// The connection is unencrypted, so that others on the network could read the secrets.
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

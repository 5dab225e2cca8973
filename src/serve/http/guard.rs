//! The checks for every request, and the headers of every response.
//!
//! Pages of other sites must not be able to read the responses: CORS is not enabled, host names are checked (the name
//! of another site may resolve to this machine), and cross-site requests of browsers are refused. Text from the data
//! never runs as a script: see [`POLICY`]. The probes of an orchestrator are allowed under any host name and without a
//! token, and reveal only yes or no.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, uri::Authority};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio_util::sync::CancellationToken;
use url::form_urlencoded;

use super::problem::Problem;
use super::token::Token;

/// Content-Security-Policy of every response.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Maximum length of a URL. Twenty symbols of 64 bytes, with all bytes escaped, take half of it.
const LONGEST_URL: usize = 8 * 1024;
const LARGEST_HEADERS: usize = 16 * 1024;
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Paths that reveal nothing of the data: they need no token and are served under any host name.
const PROBES: [&str; 2] = ["/livez", "/readyz"];

/// Host names under which the server accepts requests.
pub enum Hosts {
    /// Every host name, since clients must present the token, which a page of another site doesn't have.
    Any,
    /// The names of the loopback interface and those in `more`. The hint explains how to allow another name.
    Named { more: Vec<String>, hint: &'static str },
}

pub struct Guard {
    hosts: Hosts,
    token: Option<Token>,
    stop: CancellationToken,
}

impl Guard {
    pub fn new(hosts: Hosts, token: Option<Token>, stop: CancellationToken) -> Self {
        Self { hosts, token, stop }
    }

    /// Returns `Ok` for a request that is allowed, or else the response that refuses it.
    fn judge(&self, request: &Request) -> Result<(), Box<Response>> {
        let refuse = |problem: Problem| Err(Box::new(problem.into_response()));
        let (uri, headers) = (request.uri(), request.headers());
        if uri.path_and_query().is_some_and(|path| path.as_str().len() > LONGEST_URL) {
            return refuse(Problem::new(
                StatusCode::URI_TOO_LONG,
                format!("the URL is longer than {LONGEST_URL} bytes"),
            ));
        }
        if headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() > LARGEST_HEADERS {
            let message = format!("the headers are larger than {LARGEST_HEADERS} bytes");
            return refuse(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, message));
        }
        let is_probe = PROBES.contains(&uri.path());
        if !is_probe {
            self.require_host(uri, headers).or_else(refuse)?;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered");
            let mut response = problem.into_response();
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Err(Box::new(response));
        }
        if uri.path().starts_with("/api/") {
            require_same_origin(headers).or_else(refuse)?;
        }
        let Some(token) = self.token.as_ref().filter(|_| !is_probe) else { return Ok(()) };
        if uri.path() == "/"
            && let Some((given, rest)) = token_of(uri)
        {
            return match token.is(&given) {
                true => Err(Box::new(let_in(token, &rest))),
                false => refuse(unauthorized("the token is not the right one")),
            };
        }
        if token.is_in(headers) { Ok(()) } else { refuse(unauthorized("a token is needed")) }
    }

    fn require_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let mut named = headers.get_all(header::HOST).iter();
        let host = match (named.next(), named.next()) {
            (Some(host), None) => host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()),
            _ => None,
        };
        let host = host.ok_or_else(|| Problem::wrong("the request names no host"))?;
        let Hosts::Named { more, hint } = &self.hosts else { return Ok(()) };
        let authorities = [Some(&host), uri.authority()];
        let is_allowed = |authority: &&Authority| {
            let name = authority.host().trim_end_matches('.');
            let mut known = LOOPBACK.into_iter().chain(more.iter().map(String::as_str));
            known.any(|host| host.eq_ignore_ascii_case(name)) && !authority.as_str().contains('@')
        };
        match authorities.into_iter().flatten().find(|authority| !is_allowed(authority)) {
            None => Ok(()),
            Some(other) => {
                let name = other.host();
                let problem = Problem::new(StatusCode::FORBIDDEN, format!("the host '{name}' is not allowed"));
                Err(problem.hint(*hint))
            }
        }
    }
}

fn unauthorized(message: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, message)
        .hint("open /?token=.. once in the browser, or send Authorization: Bearer ..")
}

/// Refuses cross-site requests. Browsers send the site that caused a request; scripts send nothing, and typed addresses
/// send `none`.
fn require_same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"none" | b"same-origin") => Ok(()),
        Some(_) => Err(Problem::new(StatusCode::FORBIDDEN, "another site may not ask")),
    }
}

/// The token in the query string of a URL, and the other parameters.
fn token_of(uri: &Uri) -> Option<(String, String)> {
    let pairs = || form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let token = pairs().find(|(name, _)| name == "token")?.1.into_owned();
    let mut rest = form_urlencoded::Serializer::new(String::new());
    rest.extend_pairs(pairs().filter(|(name, _)| name != "token"));
    Some((token, rest.finish()))
}

/// Redirects to the URL without the token, which would otherwise stay in the address bar and in the history.
fn let_in(token: &Token, rest: &str) -> Response {
    let target = if rest.is_empty() { "/".to_owned() } else { format!("/?{rest}") };
    let target = HeaderValue::from_str(&target).expect("an encoded query holds visible ASCII only");
    (StatusCode::SEE_OTHER, [(header::LOCATION, target), (header::SET_COOKIE, token.cookie())]).into_response()
}

/// Middleware that applies the guard to all routes.
pub async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.judge(&request) {
        Ok(()) => tokio::select! {
            biased;
            () = guard.stop.cancelled() => Problem::stopping().into_response(),
            response = next.run(request) => response,
        },
        Err(response) => *response,
    };
    let always = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let headers = response.headers_mut();
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

//! A ClickHouse client for the HTTP interface. It sends one statement per request, for statements that return no rows.

use std::fmt;

use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::error::{EngineError, StatementError};
use super::http::{RequestError, ServerFlags, require_tls, retry_after};
use crate::util::secret::Secret;

const CLICKHOUSE: &str = "ClickHouse";
const SERVER: ServerFlags = ServerFlags {
    engine: CLICKHOUSE,
    url: "--url (clickhouse.url)",
    user: "--user",
    password: "TICKHOUSE_CLICKHOUSE_PASSWORD",
};
/// Maximum number of characters kept of a server's error message.
const LONGEST_DETAIL: usize = 500;
const LOG_IN_FIX: &str = "set --user (clickhouse.user) with TICKHOUSE_CLICKHOUSE_PASSWORD or _PASSWORD_FILE";

/// The `[clickhouse]` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickhouseSettings {
    /// URL of the server, such as `https://host:8443`.
    pub url: Option<String>,
    pub user: Option<String>,
    /// The user's password. It is sent only over TLS or to this machine.
    pub password: Option<Secret>,
}

/// A client for one server and one user.
pub struct ClickhouseClient {
    client: Client,
    url: Url,
    user: Option<String>,
    password: Option<Secret>,
}

impl fmt::Debug for ClickhouseClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)
    }
}

impl ClickhouseClient {
    /// Creates the client.
    ///
    /// # Errors
    /// The URL is invalid, or the password would be sent unencrypted.
    pub fn new(url: &str, settings: &ClickhouseSettings) -> Result<Self, EngineError> {
        let url = SERVER.parse(url)?;
        let ClickhouseSettings { user, password, .. } = settings;
        if password.is_some() && user.is_none() {
            return Err(EngineError::Usage(
                "clickhouse.password is set without a user: set --user (clickhouse.user)".to_owned(),
            ));
        }
        if password.is_some() {
            require_tls(&url, "password")?;
        }
        Ok(Self { client: SERVER.client()?, url, user: user.clone(), password: password.clone() })
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// The server can't be reached, or it rejects the statement.
    pub async fn run(&self, sql: &str) -> Result<(), EngineError> {
        SERVER.send_with_retry(|| self.once(sql)).await
    }

    /// A statement is sent again only if the server says that it didn't take it: behind a broken connection it may run.
    async fn once(&self, sql: &str) -> Result<(), RequestError> {
        let mut request = self.client.post(self.url.clone()).body(sql.to_owned());
        if let Some(user) = &self.user {
            request = request.header("X-ClickHouse-User", user);
        }
        if let Some(password) = &self.password {
            request = request.header("X-ClickHouse-Key", password.reveal());
        }
        let unreachable = |error: reqwest::Error| RequestError::Now(SERVER.unreachable(&self.url, error));
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let retry_after = retry_after(&answer);
        let text = answer.text().await.map_err(unreachable)?;
        let detail: String = text.trim().chars().take(LONGEST_DETAIL).collect();
        let error = match status {
            status if status.is_success() => return Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                EngineError::LogIn { engine: CLICKHOUSE, detail, fix: LOG_IN_FIX }
            }
            _ if detail.starts_with("Code:") => {
                EngineError::Refused(Box::new(StatementError::new(CLICKHOUSE, "", &detail, sql)))
            }
            status => EngineError::Protocol { engine: CLICKHOUSE, detail: format!("{status}: {detail}") },
        };
        Err(match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => RequestError::Later(error, retry_after),
            _ => RequestError::Now(error),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;
    use crate::engines::server_for_tests::Server;

    #[tokio::test]
    async fn a_statement_is_sent_again_only_if_the_server_did_not_take_it() {
        let server = Server::start(vec![
            ("POST", "/", 503, json!({ "retryAfter": "1" })),
            ("POST", "/", 429, json!("")),
            ("POST", "/", 200, json!("")),
        ])
        .await;
        let begun = Instant::now();
        let client = ClickhouseClient::new(&server.url, &ClickhouseSettings::default()).unwrap();
        client.run("CREATE DATABASE x").await.unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
        let requests = server.requests.await.unwrap();
        assert!(requests.len() == 3 && requests.iter().all(|request| request.body == "CREATE DATABASE x"));

        for (status, answer) in [(0, ""), (500, "Code: 57. DB::Exception: Table x exists"), (504, "gateway")] {
            let server = Server::start(vec![("POST", "/", status, json!(answer))]).await;
            let client = ClickhouseClient::new(&server.url, &ClickhouseSettings::default()).unwrap();
            client.run("CREATE TABLE x").await.unwrap_err();
            assert_eq!(server.requests.await.unwrap().len(), 1);
        }
    }

    #[test]
    fn a_password_goes_over_tls_or_to_this_machine() {
        let settings = ClickhouseSettings {
            user: Some("writer".to_owned()),
            password: Some(Secret::new("hunter2")),
            ..ClickhouseSettings::default()
        };
        for good in ["https://click.example.com:8443", "http://127.0.0.1:8123", "http://localhost:8123"] {
            let client = ClickhouseClient::new(good, &settings).unwrap();
            assert!(!format!("{client:?}").contains("hunter2"));
        }
        let error = ClickhouseClient::new("http://click.example.com:8123", &settings).unwrap_err();
        assert!(error.to_string().contains("use https"), "{error}");
        let nobody = ClickhouseSettings { user: None, ..settings.clone() };
        assert!(ClickhouseClient::new("http://127.0.0.1:8123", &nobody).unwrap_err().to_string().contains("--user"));
        for wrong in ["host", "ftp://host", "http://u:p@host"] {
            let error = ClickhouseClient::new(wrong, &ClickhouseSettings::default()).unwrap_err().to_string();
            assert!(error.contains("https://host:8443") && !error.contains("u:p"), "{error}");
        }
    }
}

//! A ClickHouse client for the HTTP interface. It sends one statement per request, for statements that return no rows.

use std::fmt;

use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::error::{EngineError, StatementError};
use super::http::{ServerFlags, require_tls};
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
        let mut request = self.client.post(self.url.clone()).body(sql.to_owned());
        if let Some(user) = &self.user {
            request = request.header("X-ClickHouse-User", user);
        }
        if let Some(password) = &self.password {
            request = request.header("X-ClickHouse-Key", password.reveal());
        }
        let unreachable = |error: reqwest::Error| SERVER.unreachable(&self.url, error);
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let text = answer.text().await.map_err(unreachable)?;
        let detail: String = text.trim().chars().take(LONGEST_DETAIL).collect();
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(EngineError::LogIn { engine: CLICKHOUSE, detail, fix: LOG_IN_FIX })
            }
            _ if detail.starts_with("Code:") => {
                Err(EngineError::Refused(Box::new(StatementError::new(CLICKHOUSE, "", &detail, sql))))
            }
            status => Err(EngineError::Protocol { engine: CLICKHOUSE, detail: format!("{status}: {detail}") }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

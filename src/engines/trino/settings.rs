//! Settings of the `[trino]` section.

use serde::{Deserialize, Serialize};

use crate::util::secret::Secret;

/// The `[trino]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrinoSettings {
    /// URL of the server, such as `https://host:8443`.
    pub url: Option<String>,
    pub user: Option<String>,
    /// The user's password. It is sent only over TLS or to this machine.
    pub password: Option<Secret>,
    /// A JSON web token, which replaces user and password.
    pub token: Option<Secret>,
    /// The catalog that contains the tables.
    pub catalog: String,
    pub schema: String,
}

impl Default for TrinoSettings {
    fn default() -> Self {
        let [catalog, schema] = ["delta", "tickhouse"].map(str::to_owned);
        Self { url: None, user: None, password: None, token: None, catalog, schema }
    }
}

//! The `[trino]` section.

use serde::{Deserialize, Serialize};

use crate::util::secret::Secret;

/// The `[trino]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrinoSettings {
    /// `https://host:8443`
    pub url: Option<String>,
    pub user: Option<String>,
    /// Of the user; goes out over TLS only, or to this machine.
    pub password: Option<Secret>,
    /// A JSON web token in place of user and password.
    pub token: Option<Secret>,
    /// Catalog and schema that hold the tables.
    pub catalog: String,
    pub schema: String,
}

impl Default for TrinoSettings {
    fn default() -> Self {
        let [catalog, schema] = ["delta", "tickhouse"].map(str::to_owned);
        Self { url: None, user: None, password: None, token: None, catalog, schema }
    }
}

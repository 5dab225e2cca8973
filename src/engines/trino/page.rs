//! One page of a result, in Trino's JSON format.

use serde::Deserialize;
use serde_json::Value;

/// The JSON object of one page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TrinoPage {
    pub(super) id: String,
    pub(super) next_uri: Option<String>,
    #[serde(default)]
    pub(super) columns: Option<Vec<TrinoColumn>>,
    #[serde(default)]
    pub(super) data: Vec<Vec<Value>>,
    #[serde(default)]
    pub(super) stats: TrinoStats,
    pub(super) error: Option<TrinoFailure>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TrinoColumn {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TrinoStats {
    pub(super) processed_rows: u64,
    pub(super) completed_splits: u64,
    pub(super) total_splits: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TrinoFailure {
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) error_name: String,
}

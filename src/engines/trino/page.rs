//! One page of an answer, as Trino writes it.

use serde::Deserialize;
use serde_json::Value;

/// One piece of an answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    pub(super) id: String,
    pub(super) next_uri: Option<String>,
    #[serde(default)]
    pub(super) columns: Option<Vec<ColumnInfo>>,
    #[serde(default)]
    pub(super) data: Vec<Vec<Value>>,
    #[serde(default)]
    pub(super) stats: Stats,
    pub(super) error: Option<Failure>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ColumnInfo {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Stats {
    pub(super) processed_rows: u64,
    pub(super) completed_splits: u64,
    pub(super) total_splits: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failure {
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) error_name: String,
}

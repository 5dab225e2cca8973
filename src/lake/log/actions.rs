//! Actions of a log as they stand in commits and checkpoints, read without the kernel.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::json::LineDelimitedWriter;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::lake::log::record::CommitRecord;

/// One line of a commit, or one row of a checkpoint.
#[derive(Deserialize)]
pub(in crate::lake) struct Action {
    pub add: Option<Add>,
    pub remove: Option<Remove>,
    pub txn: Option<Txn>,
    #[serde(rename = "metaData")]
    pub metadata: Option<MetaData>,
    pub protocol: Option<Protocol>,
    #[serde(rename = "commitInfo")]
    pub info: Option<CommitInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::lake) struct Add {
    /// Path as written in the log: percent-encoded like a URL.
    pub path: String,
    pub size: i64,
    #[serde(default)]
    pub partition_values: BTreeMap<String, Option<String>>,
    pub stats: Option<String>,
    /// Only commits have this action; see [`CommitInfo::writer`].
    #[serde(skip)]
    pub writer: Option<Arc<str>>,
    pub deletion_vector: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::lake) struct Remove {
    pub path: String,
    /// Milliseconds since the epoch.
    pub deletion_timestamp: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::lake) struct Txn {
    pub app_id: String,
    pub version: i64,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::lake) struct MetaData {
    pub id: Option<String>,
    pub schema_string: String,
    #[serde(default)]
    pub partition_columns: Vec<String>,
    #[serde(default)]
    pub configuration: BTreeMap<String, Option<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::lake) struct Protocol {
    pub min_reader_version: i32,
    pub min_writer_version: i32,
}

#[derive(Deserialize)]
pub(in crate::lake) struct CommitInfo {
    pub tickhouse: Option<CommitRecord>,
    /// Id of a maintenance commit.
    #[serde(rename = "tickhouseMaintenance")]
    pub maintenance: Option<String>,
    #[serde(rename = "engineInfo")]
    engine: Option<String>,
}

impl CommitInfo {
    /// The tool that wrote the commit, as it names itself.
    pub(in crate::lake) fn writer(&self) -> Option<Arc<str>> {
        match self.tickhouse.is_some() || self.maintenance.is_some() {
            true => Some("tickhouse".into()),
            false => self.engine.as_deref().map(Into::into),
        }
    }
}

/// # Errors
/// There is no line, or a line is not an action: the commit is torn.
pub(in crate::lake) fn parse_commit(commit: &[u8]) -> Result<Vec<Action>, String> {
    let mut actions = Vec::new();
    parse_lines(commit, &mut actions)?;
    if actions.is_empty() {
        return Err("it has no action".to_owned());
    }
    Ok(actions)
}

/// Calls back with each action of a part of a checkpoint.
///
/// # Errors
/// The file is not a Parquet file of actions.
pub(in crate::lake) fn read_checkpoint(bytes: Bytes, mut take: impl FnMut(Action)) -> Result<(), String> {
    const WANTED: [&str; 5] = ["add", "remove", "txn", "metaData", "protocol"];
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| error.to_string())?;
    let schema = builder.parquet_schema();
    let leaves = (0..schema.num_columns()).filter(|leaf| {
        let path = schema.column(*leaf).path().string();
        let root = path.split('.').next().unwrap_or_default();
        // Other writers repeat `stats` and `partitionValues` as structs, which are not needed here.
        WANTED.contains(&root) && !path.contains("_parsed")
    });
    let mask = ProjectionMask::leaves(schema, leaves);
    let reader = builder.with_projection(mask).build().map_err(|error| error.to_string())?;
    for batch in reader {
        let batch = batch.map_err(|error| error.to_string())?;
        let mut writer = LineDelimitedWriter::new(Vec::new());
        writer.write(&batch).and_then(|()| writer.finish()).map_err(|error| error.to_string())?;
        let mut actions = Vec::new();
        parse_lines(&writer.into_inner(), &mut actions)?;
        actions.into_iter().for_each(&mut take);
    }
    Ok(())
}

fn parse_lines(text: &[u8], actions: &mut Vec<Action>) -> Result<(), String> {
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        actions.push(serde_json::from_slice(line).map_err(|error| error.to_string())?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_complete_or_torn() {
        let complete =
            "{\"commitInfo\":{\"timestamp\":1}}\n{\"add\":{\"path\":\"a\",\"size\":3,\"partitionValues\":{}}}\n";
        assert_eq!(parse_commit(complete.as_bytes()).unwrap().len(), 2);
        // Other writers may leave the info out.
        assert_eq!(parse_commit(&complete.as_bytes()[31..]).unwrap().len(), 1);
        for torn in [&complete[..complete.len() - 4], &complete[20..], "", "[]", "{\"add\":{}}"] {
            assert!(parse_commit(torn.as_bytes()).is_err(), "{torn}");
        }
    }
}

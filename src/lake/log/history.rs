//! The history of a table, as far back as its log goes, and time travel to older versions.
//!
//! Times are those that the writers put into their commits. A table can be read from its oldest checkpoint on, or from
//! version 0.

use std::ops::RangeInclusive;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use deltalake::DeltaTable;
use futures::TryStreamExt;
use object_store::path::Path;
use serde::Deserialize;

use crate::lake::error::LakeError;
use crate::lake::log::damage::damaged_commit;
use crate::lake::log::head::LogHead;
use crate::lake::log::record::CommitRecord;
use crate::lake::log::table::Table;
use crate::lake::store::log_file::{COMMIT, LOG, versioned};

/// Selects a version of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    Version(u64),
    /// The newest version at or before this time.
    Time(DateTime<Utc>),
}

/// One version of a table: who made it, and what it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCommit {
    pub version: u64,
    /// Time by the writer's clock; `None` if the writer recorded none.
    pub time: Option<DateTime<Utc>>,
    pub operation: Option<String>,
    pub engine: Option<String>,
    pub files_added: u64,
    pub files_removed: u64,
    /// Rows of the added files; `None` unless all of them have statistics.
    pub rows_added: Option<u64>,
    pub bytes_added: u64,
    /// The reason given by an operator who requested the commit.
    pub reason: Option<String>,
}

#[derive(Deserialize)]
struct HistoryAction {
    #[serde(rename = "commitInfo")]
    info: Option<HistoryCommitInfo>,
    add: Option<HistoryAdd>,
    remove: Option<HistoryRemove>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HistoryCommitInfo {
    /// Milliseconds since the epoch.
    timestamp: Option<i64>,
    operation: Option<String>,
    engine_info: Option<String>,
    tickhouse: Option<CommitRecord>,
}

#[derive(Deserialize)]
struct HistoryAdd {
    size: u64,
    stats: Option<String>,
}

#[derive(Deserialize)]
struct HistoryRemove {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HistoryStats {
    num_records: Option<u64>,
}

impl TableCommit {
    /// # Errors
    /// A line is not a Delta action.
    fn parse(version: u64, commit: &[u8]) -> Result<Self, String> {
        let mut parsed = Self {
            version,
            time: None,
            operation: None,
            engine: None,
            files_added: 0,
            files_removed: 0,
            rows_added: Some(0),
            bytes_added: 0,
            reason: None,
        };
        for line in commit.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let line: HistoryAction = serde_json::from_slice(line).map_err(|error| error.to_string())?;
            if let Some(info) = line.info {
                parsed.time = info.timestamp.and_then(DateTime::from_timestamp_millis);
                parsed.operation = info.operation;
                parsed.engine = info.engine_info;
                parsed.reason = info.tickhouse.and_then(|record| record.reason);
            }
            if let Some(added) = line.add {
                parsed.files_added += 1;
                parsed.bytes_added += added.size;
                let stats = added.stats.and_then(|stats| serde_json::from_str::<HistoryStats>(&stats).ok());
                let rows = stats.and_then(|stats| stats.num_records);
                parsed.rows_added = parsed.rows_added.zip(rows).map(|(all, rows)| all + rows);
            }
            parsed.files_removed += u64::from(line.remove.is_some());
        }
        Ok(parsed)
    }
}

/// The versions that a log still has.
struct LogRange {
    /// Oldest commit; none are missing between it and the newest.
    oldest_commit: u64,
    /// Oldest version that can be read.
    oldest: u64,
}

impl Table {
    /// Newest first, at most `limit`.
    ///
    /// # Errors
    /// The log can't be read.
    pub(in crate::lake) async fn history(&self, limit: usize) -> Result<Vec<TableCommit>, LakeError> {
        let mut commits = Vec::new();
        for version in (0..=self.version()).rev().take(limit) {
            let Some(commit) = self.commit(version).await? else { break };
            commits.push(commit);
        }
        Ok(commits)
    }

    /// The table at another version; the handle is only for reading.
    ///
    /// # Errors
    /// The log holds no such version, or can't be read.
    pub(in crate::lake) async fn at(&self, as_of: AsOf) -> Result<Self, LakeError> {
        let log_range = self.log_range().await?;
        let version = match as_of {
            AsOf::Version(version) => version,
            AsOf::Time(time) => {
                self.version_at_time(time, log_range.oldest_commit.max(log_range.oldest)..=self.version()).await?
            }
        };
        let newest = self.version();
        if version > newest {
            return Err(LakeError::NoVersion { table: self.name.clone(), version, newest });
        }
        if version < log_range.oldest {
            let asked = format!("version {version}");
            return Err(LakeError::TooOld {
                table: self.name.clone(),
                asked,
                oldest: self.describe_version(log_range.oldest).await?,
            });
        }
        let mut delta = DeltaTable::new(Arc::clone(&self.log));
        let mut loaded = delta.load_version(version).await;
        if loaded.is_err() && self.hides_dangling_checkpoint_hint().await? {
            delta = DeltaTable::new(Arc::clone(&self.log));
            loaded = delta.load_version(version).await;
        }
        loaded.map_err(|error| self.error("load an older version", error))?;
        let mut table = self.clone();
        table.delta = delta;
        table.head = Some(LogHead::new(version, table.snapshot()?.metadata().clone(), table.snapshot_files()?));
        Ok(table)
    }

    /// The commit of a version; `None` if the log no longer has it.
    pub(in crate::lake) async fn commit(&self, version: u64) -> Result<Option<TableCommit>, LakeError> {
        let read = self.log.read_commit_entry(version).await;
        let Some(commit) = read.map_err(|error| self.error("read a commit", error))? else { return Ok(None) };
        let parsed = TableCommit::parse(version, &commit);
        parsed.map(Some).map_err(|detail| damaged_commit(&self.name, version, detail))
    }

    /// When a version was committed.
    pub(in crate::lake) async fn time_of(&self, version: u64) -> Result<DateTime<Utc>, LakeError> {
        let time = self.commit(version).await?.and_then(|commit| commit.time);
        time.ok_or_else(|| LakeError::Table {
            action: "look for the time of a commit",
            table: self.name.clone(),
            detail: format!("version {version} has no time: give a version instead"),
        })
    }

    /// The newest of `versions` that existed at `time`.
    async fn version_at_time(&self, time: DateTime<Utc>, versions: RangeInclusive<u64>) -> Result<u64, LakeError> {
        let (mut there, mut later) = (*versions.start(), *versions.end() + 1);
        if self.time_of(there).await? > time {
            let asked = format!("{} and before", time.to_rfc3339_opts(SecondsFormat::AutoSi, true));
            return Err(LakeError::TooOld {
                table: self.name.clone(),
                asked,
                oldest: self.describe_version(there).await?,
            });
        }
        while later - there > 1 {
            let middle = there + (later - there) / 2;
            match self.time_of(middle).await? <= time {
                true => there = middle,
                false => later = middle,
            }
        }
        Ok(there)
    }

    async fn describe_version(&self, version: u64) -> Result<String, LakeError> {
        let time = self.commit(version).await?.and_then(|commit| commit.time);
        let time = time.map(|time| format!(" of {}", time.to_rfc3339_opts(SecondsFormat::Millis, true)));
        Ok(format!("{version}{}", time.unwrap_or_default()))
    }

    async fn log_range(&self) -> Result<LogRange, LakeError> {
        let failed = |error: object_store::Error| LakeError::store("list the log", &self.name, &error);
        let files = self.store.list(Some(&Path::from(LOG))).map_ok(|file| file.location);
        let files: Vec<Path> = files.try_collect().await.map_err(failed)?;
        let oldest = |is_one: fn(&str) -> bool| {
            files.iter().filter_map(versioned).filter(|(_, rest)| is_one(rest)).map(|(version, _)| version).min()
        };
        let commit = oldest(|rest| rest == COMMIT).unwrap_or(self.version());
        let checkpoint = oldest(|rest| rest.starts_with(".checkpoint."));
        let readable = if commit == 0 { 0 } else { checkpoint.unwrap_or(commit) };
        Ok(LogRange { oldest_commit: commit, oldest: readable })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_lists_what_it_changed() {
        let commit = br#"{"commitInfo":{"timestamp":1767623400123,"operation":"WRITE","engineInfo":"x"}}
{"add":{"path":"a","size":10,"stats":"{\"numRecords\":3}"}}
{"add":{"path":"b","size":5,"stats":"{\"numRecords\":4}"}}
{"remove":{"path":"c"}}
{"txn":{"appId":"a","version":1}}
"#;
        let parsed = TableCommit::parse(7, commit).unwrap();
        assert_eq!((parsed.files_added, parsed.files_removed, parsed.bytes_added), (2, 1, 15));
        assert_eq!((parsed.rows_added, parsed.operation.as_deref()), (Some(7), Some("WRITE")));
        assert_eq!(parsed.time.unwrap().to_rfc3339(), "2026-01-05T14:30:00.123+00:00");
        let unknown = TableCommit::parse(7, br#"{"add":{"path":"a","size":10}}"#).unwrap();
        assert_eq!((unknown.rows_added, unknown.time), (None, None));
        assert!(TableCommit::parse(7, b"{\"add\":").is_err());
    }
}

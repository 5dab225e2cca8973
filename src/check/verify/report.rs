//! The report of `verify`.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use super::files::TableContents;
use super::finding::{Finding, Findings};
use super::kafka::KafkaReport;
use super::logged::TICKS;
use super::settings::VerifySettings;
use crate::lake::{AuditedTable, LoggedVersion};

/// The report, in the form in which it is printed as JSON.
#[derive(Debug, Serialize)]
pub struct VerifyReport {
    pub healthy: bool,
    pub table: String,
    pub tables: Vec<TableReport>,
    /// The comparison with Kafka, if it was requested.
    pub kafka: Option<KafkaReport>,
    /// Number of findings of each kind, including those that are not listed.
    pub counts: BTreeMap<&'static str, u64>,
    pub findings: Vec<Finding>,
    /// Checks that were skipped because of a finding or a missing setting.
    pub not_checked: Vec<String>,
    /// Observations that need no repair.
    pub notes: Vec<String>,
    pub seconds: f64,
}

#[derive(Debug, Serialize)]
pub struct TableReport {
    pub table: &'static str,
    /// The version that was checked.
    pub version: u64,
    /// Number of commits read from the log, without those covered by the checkpoint.
    pub commits: u64,
    pub files: u64,
    pub bytes: u64,
    pub rows: u64,
}

impl TableReport {
    pub(super) fn new(
        name: &'static str,
        table: &AuditedTable,
        version: &LoggedVersion,
        contents: &TableContents,
    ) -> Self {
        Self {
            table: name,
            version: version.version,
            commits: table.commits,
            files: contents.files,
            bytes: contents.bytes,
            rows: contents.rows,
        }
    }
}

impl VerifyReport {
    pub(super) fn new(
        settings: &VerifySettings,
        mut tables: Vec<TableReport>,
        findings: Findings,
        not_checked: Vec<String>,
        started: Instant,
    ) -> Self {
        tables.sort_by_key(|table| table.table != TICKS);
        Self {
            healthy: findings.is_empty(),
            table: settings.location.to_string(),
            tables,
            kafka: None,
            counts: findings.counts().map(|(what, count)| (what.name(), count)).collect(),
            findings: findings.listed(),
            not_checked,
            notes: Vec::new(),
            seconds: started.elapsed().as_secs_f64(),
        }
    }
}

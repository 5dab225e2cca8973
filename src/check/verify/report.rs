//! What a check found and what it looked at.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use super::files::Held;
use super::finding::{Finding, Findings};
use super::kafka::KafkaReport;
use super::logged::TICKS;
use super::settings::VerifySettings;
use crate::lake::{AuditedTable, LoggedVersion};

/// The answer, as it is printed as JSON.
#[derive(Debug, Serialize)]
pub struct Report {
    pub healthy: bool,
    pub table: String,
    pub tables: Vec<TableReport>,
    /// What was compared with Kafka, if it was asked for.
    pub kafka: Option<KafkaReport>,
    /// How many findings there are of each kind, listed or not.
    pub counts: BTreeMap<&'static str, u64>,
    pub findings: Vec<Finding>,
    /// What a finding or a missing word kept from being looked at.
    pub not_checked: Vec<String>,
    /// What is worth knowing and nothing to repair.
    pub notes: Vec<String>,
    pub seconds: f64,
}

#[derive(Debug, Serialize)]
pub struct TableReport {
    pub table: &'static str,
    /// That was checked.
    pub version: u64,
    /// Commits of the log that were read, a checkpoint aside.
    pub commits: u64,
    pub files: u64,
    pub bytes: u64,
    pub rows: u64,
}

impl TableReport {
    pub(super) fn new(name: &'static str, table: &AuditedTable, version: &LoggedVersion, held: &Held) -> Self {
        Self {
            table: name,
            version: version.version,
            commits: table.commits,
            files: held.files,
            bytes: held.bytes,
            rows: held.rows,
        }
    }
}

impl Report {
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

//! Verifies a lake: the tables by themselves, and against the records that Kafka still has.
//!
//! ```text
//!  lake::Audit: log ──> state of the newest complete version, problems of the log
//!                         │ files
//!                         ▼
//!  readers (4 at most): Parquet ──> rows: statistics, dates, hashes
//!                         │ bounded queue (16 batches of identities)
//!                         ▼
//!  identities: a bitmap of offsets per partition ──> counters of the newest commit
//!                         ▼
//!  kafka: one digest per offset of the tables <── compared ──> the topic, decoded again
//! ```
//!
//! Nothing is written, and no consumer group is joined. `dead_letters` is read after the log of `ticks`: dead letters
//! are committed first, so everything that the counters include exists even while ingest is running.

mod counters;
mod digest;
mod error;
mod files;
mod finding;
mod identities;
mod kafka;
mod logged;
mod progress;
mod report;
mod rows;
mod settings;
mod statistics;
mod topic;
mod window;

use std::sync::Arc;
use std::time::Instant;

use chrono_tz::Tz;

pub use error::VerifyError;
pub use finding::{Finding, FindingKind, Findings};
pub use kafka::KafkaReport;
pub use progress::{ProgressSnapshot, VerifyProgress};
pub use report::{TableReport, VerifyReport};
pub use settings::VerifySettings;
pub use topic::PartitionComparison;

use crate::lake::{Audit, LakeError, LogDamage, LoggedVersion, MARKET_ZONE, SIGNALS};
use crate::market::{MarketZone, PartitionBy};
use files::{TableContents, read_all};
use logged::{DEAD_LETTERS, LoggedTable, TICKS};
use rows::{DateRule, TableRules};

/// Verifies the tables and, if requested, compares them with the topic.
///
/// # Errors
/// There is no lake, or the store doesn't respond.
pub async fn verify(settings: &VerifySettings, progress: &Arc<VerifyProgress>) -> Result<VerifyReport, VerifyError> {
    let started = Instant::now();
    let mut findings = Findings::new(settings.limit);
    let mut not_checked = Vec::new();
    let audit = Audit::new(&settings.location, &settings.store)?;
    let (ticks, dead_letters) =
        (log_of(&audit, TICKS, &mut findings).await?, log_of(&audit, DEAD_LETTERS, &mut findings).await?);
    let of = |name: &str| format!("{}/{name}", settings.location);
    let (ticks, dead_letters) = match (ticks, dead_letters) {
        (Some(ticks), Some(dead_letters)) => (ticks, dead_letters),
        (None, None) => return Err(LakeError::NoTable { location: settings.location.to_string() }.into()),
        (Some(_), None) => return Err(LakeError::TableGone { table: of(DEAD_LETTERS), other: of(TICKS) }.into()),
        (None, Some(_)) => return Err(LakeError::TableGone { table: of(TICKS), other: of(DEAD_LETTERS) }.into()),
    };
    let signals = log_of(&audit, SIGNALS, &mut findings).await?;

    let zone = ticks.state().and_then(zone_of);
    if zone.is_none() {
        not_checked.push(format!("dates of rows: the log of ticks has no zone in {MARKET_ZONE}"));
    }
    let (mut tables, mut notes) = (Vec::new(), Vec::new());
    let mut all_contents = Vec::new();
    for logged in [Some(&dead_letters), Some(&ticks), signals.as_ref()].into_iter().flatten() {
        let (name, table) = (logged.name, &logged.table);
        let Some(version) = logged.state() else {
            not_checked.push(format!("{name}: its log can't be followed"));
            all_contents.push(None);
            continue;
        };
        if version.version < table.newest {
            let (checked, newest) = (version.version, table.newest);
            not_checked.push(format!("{name}: what came after version {checked}; the newest is {newest}"));
        }
        let bounds = match name {
            TICKS => counters::bounds(version, None),
            DEAD_LETTERS => ticks.state().and_then(|ticks| counters::bounds(ticks, Some(version))),
            _ => None,
        };
        let rules = rules_of(name, version, zone.as_ref());
        let contents = read_all(table, version, rules, bounds.as_ref(), &mut findings, progress).await?;
        notes.extend(cut_times(name, &contents));
        tables.push(TableReport::new(name, table, version, &contents));
        all_contents.push(Some(contents));
    }
    let [Some(dead_letters_contents), Some(ticks_contents), ..] = all_contents.as_slice() else {
        not_checked.push("counters: a log can't be followed".to_owned());
        return Ok(VerifyReport::new(settings, tables, findings, not_checked, started));
    };
    let (Some(version), Some(dead_letters_version)) = (ticks.state(), dead_letters.state()) else {
        return Ok(VerifyReport::new(settings, tables, findings, not_checked, started));
    };
    counters::check(version, ticks_contents, dead_letters_contents, &mut findings);
    not_checked.extend(uncounted(ticks_contents, dead_letters_contents));
    not_checked.extend(counters::unknown(version));
    let compared = match (settings.kafka.clone(), &zone) {
        (None, _) => None,
        (Some(_), None) => {
            not_checked.push("Kafka: without a zone its records can't be decoded".to_owned());
            None
        }
        (Some(kafka), Some(zone)) => {
            let checked = kafka::TablesRead {
                ticks: (&ticks, version, ticks_contents),
                dead_letters: (&dead_letters, dead_letters_version, dead_letters_contents),
                zone,
            };
            Some(kafka::compare(kafka, &checked, settings.limit, &mut findings, &mut not_checked, progress).await?)
        }
    };
    let mut report = VerifyReport::new(settings, tables, findings, not_checked, started);
    report.kafka = compared;
    report.notes = notes;
    Ok(report)
}

fn cut_times<'a>(table: &'a str, contents: &'a TableContents) -> impl Iterator<Item = String> + 'a {
    contents.cut_times.iter().map(move |(writer, files)| {
        format!(
            "{table}: in the statistics of {files} files, written by {writer}, times are cut to milliseconds; the \
             Delta protocol allows it and queries allow for it, so there is nothing to do"
        )
    })
}

fn uncounted(ticks: &TableContents, dead_letters: &TableContents) -> Option<String> {
    let unreadable = ticks.unreadable + dead_letters.unreadable;
    (unreadable > 0).then(|| format!("counters that are above what was read: {unreadable} files could not be read"))
}

async fn log_of(
    audit: &Audit,
    name: &'static str,
    findings: &mut Findings,
) -> Result<Option<LoggedTable>, VerifyError> {
    let Some(table) = audit.table(name).await? else { return Ok(None) };
    for problem in &table.problems {
        findings.add(name, of_log(problem.damage), || (problem.location.clone(), problem.detail.clone()));
    }
    Ok(Some(LoggedTable { name, table }))
}

fn of_log(damage: LogDamage) -> FindingKind {
    match damage {
        LogDamage::Hole => FindingKind::LogHole,
        LogDamage::EmptyCommit => FindingKind::CommitEmpty,
        LogDamage::TornCommit => FindingKind::CommitTorn,
        LogDamage::Checkpoint => FindingKind::Checkpoint,
        LogDamage::CheckpointHint => FindingKind::CheckpointHint,
        LogDamage::NoBeginning => FindingKind::NoBeginning,
        LogDamage::PathTwice => FindingKind::PathTwice,
    }
}

fn zone_of(ticks: &LoggedVersion) -> Option<MarketZone> {
    ticks.properties.get(MARKET_ZONE)?.parse::<Tz>().ok().map(MarketZone::new)
}

fn rules_of(name: &'static str, version: &LoggedVersion, zone: Option<&MarketZone>) -> TableRules {
    let by = PartitionBy::of_column(&version.partition_column);
    let trade = || Some(DateRule::Trade(zone?.clone(), by?));
    TableRules {
        table: name,
        schema: Arc::clone(&version.schema),
        date: if name == DEAD_LETTERS { Some(DateRule::Ingest) } else { trade() },
        has_identity: name != SIGNALS,
        has_payload: name == DEAD_LETTERS,
    }
}

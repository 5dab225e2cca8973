//! Whether a lake holds what it promises: from its tables alone, and against what Kafka still holds.
//!
//! ```text
//!  lake::Audit: log ──> state of the newest whole version, problems of the log
//!                         │ files
//!                         ▼
//!  readers (4 at most): Parquet ──> rows: statistics, dates, hashes
//!                         │ bounded queue (16 batches of identities)
//!                         ▼
//!  identities: a bitmap of offsets per partition ──> counters of the newest commit
//!                         ▼
//!  kafka: rows of the table as one number an offset <── compared ──> the topic, decoded anew
//! ```
//!
//! Nothing is written, and no group is joined. `dead_letters` is read after the log of `ticks`: letters are committed
//! first, so everything that the counters speak of is there while ingest goes on.

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
pub use finding::{Finding, Findings, What};
pub use kafka::KafkaReport;
pub use progress::{Checked, Progress};
pub use report::{Report, TableReport};
pub use settings::VerifySettings;
pub use topic::PartitionCompared;

use crate::lake::{Audit, LakeError, LogDamage, LoggedVersion, MARKET_ZONE, SIGNALS};
use crate::market::{MarketZone, PartitionBy};
use files::{Held, read_all};
use logged::{DEAD_LETTERS, Logged, TICKS};
use rows::{DateRule, Rules};

/// # Errors
/// There is no lake, or the store doesn't answer.
pub async fn verify(settings: &VerifySettings, progress: &Arc<Progress>) -> Result<Report, VerifyError> {
    let started = Instant::now();
    let mut findings = Findings::new(settings.limit);
    let mut not_checked = Vec::new();
    let audit = Audit::new(&settings.location, &settings.store)?;
    let (ticks, letters) =
        (log_of(&audit, TICKS, &mut findings).await?, log_of(&audit, DEAD_LETTERS, &mut findings).await?);
    let of = |name: &str| format!("{}/{name}", settings.location);
    let (ticks, letters) = match (ticks, letters) {
        (Some(ticks), Some(letters)) => (ticks, letters),
        (None, None) => return Err(LakeError::NoTable { location: settings.location.to_string() }.into()),
        (Some(_), None) => return Err(LakeError::TableGone { table: of(DEAD_LETTERS), other: of(TICKS) }.into()),
        (None, Some(_)) => return Err(LakeError::TableGone { table: of(TICKS), other: of(DEAD_LETTERS) }.into()),
    };
    let signals = log_of(&audit, SIGNALS, &mut findings).await?;

    let zone = ticks.state().and_then(zone_of);
    if zone.is_none() {
        not_checked.push(format!("dates of rows: the log of ticks tells no zone in {MARKET_ZONE}"));
    }
    let (mut tables, mut notes) = (Vec::new(), Vec::new());
    let mut all_held = Vec::new();
    for logged in [Some(&letters), Some(&ticks), signals.as_ref()].into_iter().flatten() {
        let (name, table) = (logged.name, &logged.table);
        let Some(version) = logged.state() else {
            not_checked.push(format!("{name}: its log can't be followed"));
            all_held.push(None);
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
        let held = read_all(table, version, rules, bounds.as_ref(), &mut findings, progress).await?;
        notes.extend(cut_times(name, &held));
        tables.push(TableReport::new(name, table, version, &held));
        all_held.push(Some(held));
    }
    let [Some(letters_held), Some(ticks_held), ..] = all_held.as_slice() else {
        not_checked.push("counters: a log can't be followed".to_owned());
        return Ok(Report::new(settings, tables, findings, not_checked, started));
    };
    let (Some(version), Some(letters_version)) = (ticks.state(), letters.state()) else {
        return Ok(Report::new(settings, tables, findings, not_checked, started));
    };
    counters::check(version, ticks_held, letters_held, &mut findings);
    not_checked.extend(uncounted(ticks_held, letters_held));
    not_checked.extend(counters::unknown(version));
    let compared = match (settings.kafka.clone(), &zone) {
        (None, _) => None,
        (Some(_), None) => {
            not_checked.push("Kafka: without a zone its records can't be decoded".to_owned());
            None
        }
        (Some(kafka), Some(zone)) => {
            let checked = kafka::TablesRead {
                ticks: (&ticks, version, ticks_held),
                letters: (&letters, letters_version, letters_held),
                zone,
            };
            Some(kafka::compare(kafka, &checked, settings.limit, &mut findings, &mut not_checked, progress).await?)
        }
    };
    let mut report = Report::new(settings, tables, findings, not_checked, started);
    report.kafka = compared;
    report.notes = notes;
    Ok(report)
}

fn cut_times<'a>(table: &'a str, held: &'a Held) -> impl Iterator<Item = String> + 'a {
    held.cut_times.iter().map(move |(writer, files)| {
        format!(
            "{table}: in the statistics of {files} files, written by {writer}, times are cut to milliseconds; the Delta \
             protocol allows it and queries allow for it, so there is nothing to do"
        )
    })
}

fn uncounted(ticks: &Held, letters: &Held) -> Option<String> {
    let unread = ticks.unread + letters.unread;
    (unread > 0).then(|| format!("counters that are above what was read: {unread} files could not be read"))
}

async fn log_of(audit: &Audit, name: &'static str, findings: &mut Findings) -> Result<Option<Logged>, VerifyError> {
    let Some(table) = audit.table(name).await? else { return Ok(None) };
    for problem in &table.problems {
        findings.add(name, of_log(problem.damage), || (problem.place.clone(), problem.detail.clone()));
    }
    Ok(Some(Logged { name, table }))
}

fn of_log(damage: LogDamage) -> What {
    match damage {
        LogDamage::Hole => What::LogHole,
        LogDamage::EmptyCommit => What::CommitEmpty,
        LogDamage::TornCommit => What::CommitTorn,
        LogDamage::Checkpoint => What::Checkpoint,
        LogDamage::CheckpointHint => What::CheckpointHint,
        LogDamage::NoBeginning => What::NoBeginning,
        LogDamage::PathTwice => What::PathTwice,
    }
}

fn zone_of(ticks: &LoggedVersion) -> Option<MarketZone> {
    ticks.properties.get(MARKET_ZONE)?.parse::<Tz>().ok().map(MarketZone::new)
}

fn rules_of(name: &'static str, version: &LoggedVersion, zone: Option<&MarketZone>) -> Rules {
    let by = PartitionBy::of_column(&version.partition_column);
    let trade = || Some(DateRule::Trade(zone?.clone(), by?));
    Rules {
        table: name,
        schema: Arc::clone(&version.schema),
        date: if name == DEAD_LETTERS { Some(DateRule::Ingest) } else { trade() },
        has_identity: name != SIGNALS,
        has_payload: name == DEAD_LETTERS,
    }
}

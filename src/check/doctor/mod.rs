//! Checks everything that a lake depends on, and says how to fix what doesn't work.
//!
//! ```text
//!  store: access, conditional put, clock ──┐
//!  tables: log, properties, files, orphans ├──> checks ──(--fix)──> safe repairs, each after a copy ──> tables again
//!  Kafka: brokers, topic, group, lag ──────┘
//! ```
//!
//! Rows are not checked: `verify` does that. Without `fix`, `doctor` writes only a small file under `_tickhouse/`, to
//! test whether the store is writable.

mod check;
mod kafka;
mod kafka_times;
mod repair;
mod settings;
mod store;
mod tables;

use chrono::Utc;

pub use check::{CheckStatus, DoctorCheck, DoctorReport};
pub use settings::{DoctorSettings, ExpectedProperties};

use crate::lake::{Audit, LakeError, LogRepair, LoggedVersion};

/// Maximum number of commits that are removed one after the other. If more are damaged, a backup is the better repair.
const ROUNDS: usize = 10;

/// Runs all checks and, with `fix`, the safe repairs.
///
/// # Errors
/// The settings don't describe a store.
pub async fn run_checks(settings: &DoctorSettings) -> Result<DoctorReport, LakeError> {
    let mut report = DoctorReport::default();
    let audit = Audit::new(&settings.location, &settings.store)?;
    if !store::check(&audit, settings, &mut report).await? {
        report.not_checked.push("the tables: the store can't be read".to_owned());
    }
    let mut ticks = None;
    if report.not_checked.is_empty() {
        ticks = tables(&audit, settings, &mut report).await?;
    }
    match &settings.kafka {
        None => report.not_checked.push("Kafka: give --brokers to check it".to_owned()),
        Some(settings) => kafka::check(settings, ticks.as_ref(), &mut report).await,
    }
    Ok(report.judged())
}

/// Checks the tables; with `fix`, repairs and checks again until nothing repairable is left.
async fn tables(
    audit: &Audit,
    settings: &DoctorSettings,
    report: &mut DoctorReport,
) -> Result<Option<LoggedVersion>, LakeError> {
    let log_repair = LogRepair::new(audit, Utc::now())?;
    let mut rounds = 0;
    loop {
        let found = tables::check(audit, settings).await;
        rounds += 1;
        let repairable = found.checks.iter().any(|(_, repair)| repair.is_some());
        if !settings.fix || !repairable || rounds > ROUNDS {
            report.checks.extend(
                found.checks.into_iter().map(|(check, repair)| repair::with_offered_fix(check, repair.as_ref())),
            );
            report.not_checked.extend(found.not_checked);
            return Ok(found.ticks);
        }
        let mut failed = false;
        for (check, repair) in found.checks {
            let Some(repair) = repair else { continue };
            let done = repair::apply(&repair, audit, &log_repair).await;
            failed |= done.is_err();
            report.checks.push(repair::with_outcome(check, &repair, done, &log_repair.folder));
            if repair.copies() {
                report.copies = Some(log_repair.folder.clone());
            }
            // Repairing the log may have changed the other findings, so all tables are checked again.
            if repair.changes_the_log() {
                break;
            }
        }
        if failed {
            report.not_checked.push("the tables after a fix that failed: run it again".to_owned());
            return Ok(found.ticks);
        }
    }
}

//! Whether everything that a lake stands on works, and what to do where it doesn't.
//!
//! ```text
//!  store: access, conditional put, clock ──┐
//!  tables: log, properties, files, orphans ├──> checks ──(--fix)──> safe ones mended, each after a copy ──> tables again
//!  Kafka: brokers, topic, group, lag ──────┘
//! ```
//!
//! Rows are not looked at: that is what `verify` is for. Without `fix` nothing is changed but a small file of its own
//! under `_tickhouse/`, which tells whether the store can be written.

mod check;
mod kafka;
mod kafka_times;
mod mend;
mod settings;
mod store;
mod tables;

use chrono::Utc;

pub use check::{Check, Report, Status};
pub use settings::{DoctorSettings, Expected};

use crate::lake::{Audit, LakeError, LoggedVersion, Mending};

/// Commits that can be taken away one after the other. Who lost more than this should look at a backup.
const ROUNDS: usize = 10;

/// # Errors
/// The location is none of a store.
pub async fn examine(settings: &DoctorSettings) -> Result<Report, LakeError> {
    let mut report = Report::default();
    let audit = Audit::new(&settings.location, &settings.store)?;
    if !store::check(&audit, settings, &mut report).await? {
        report.not_checked.push("the tables: the store can't be read".to_owned());
    }
    let mut ticks = None;
    if report.not_checked.is_empty() {
        ticks = tables(&audit, settings, &mut report).await?;
    }
    match &settings.kafka {
        None => report.not_checked.push("Kafka: say with --brokers where it is".to_owned()),
        Some(settings) => kafka::check(settings, ticks.as_ref(), &mut report).await,
    }
    Ok(report.judged())
}

/// Looks at the tables, and with `fix` mends and looks again until nothing is left that can be mended.
async fn tables(
    audit: &Audit,
    settings: &DoctorSettings,
    report: &mut Report,
) -> Result<Option<LoggedVersion>, LakeError> {
    let mending = Mending::new(audit, Utc::now())?;
    let mut rounds = 0;
    loop {
        let found = tables::check(audit, settings).await;
        rounds += 1;
        let mendable = found.checks.iter().any(|(_, mend)| mend.is_some());
        if !settings.fix || !mendable || rounds > ROUNDS {
            report.checks.extend(found.checks.into_iter().map(|(check, mend)| mend::offered(check, mend.as_ref())));
            report.not_checked.extend(found.not_checked);
            return Ok(found.ticks);
        }
        let mut failed = false;
        for (check, mend) in found.checks {
            let Some(mend) = mend else { continue };
            let done = mend::apply(&mend, audit, &mending).await;
            failed |= done.is_err();
            report.checks.push(mend::told(check, &mend, done, &mending.folder));
            if mend.copies() {
                report.copies = Some(mending.folder.clone());
            }
            // What is left may look different by now.
            if mend.changes_the_log() {
                break;
            }
        }
        if failed {
            report.not_checked.push("the tables after a fix that failed: run it again".to_owned());
            return Ok(found.ticks);
        }
    }
}

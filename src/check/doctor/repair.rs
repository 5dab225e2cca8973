//! Safe repairs of `--fix`, which lose no data, and their descriptions in the report.

use super::check::{CheckStatus, DoctorCheck};
use crate::lake::{Audit, AuditedTable, LakeError, LogRepair};

/// A repair that loses no data.
pub(super) enum Repair {
    /// The newest commit is empty or torn, and nothing follows it.
    LastCommit(Box<AuditedTable>),
    Hint(Box<AuditedTable>),
    Checkpoint(Box<AuditedTable>, u64),
    TemporaryFiles,
}

impl Repair {
    pub(super) fn copies(&self) -> bool {
        !matches!(self, Self::TemporaryFiles)
    }

    pub(super) fn changes_the_log(&self) -> bool {
        self.copies()
    }

    fn description(&self) -> &'static str {
        match self {
            Self::LastCommit(_) => {
                "removed the commit; ingest reads its messages again, as far as Kafka still has them"
            }
            Self::Hint(_) => "removed the hint; readers list the log until the next checkpoint writes it again",
            Self::Checkpoint(..) => "removed the checkpoint; the log is complete without it",
            Self::TemporaryFiles => "deleted them; no table names them",
        }
    }
}

/// The check as reported without `--fix`.
pub(super) fn with_offered_fix(mut check: DoctorCheck, repair: Option<&Repair>) -> DoctorCheck {
    if repair.is_some() {
        check.fix = format!("`tickhouse doctor --fix`, or by hand: {}", check.fix);
    }
    check
}

/// Applies a repair. Returns `Ok(false)` if another commit followed in the meantime, so that it was no longer possible.
///
/// # Errors
/// The store can't be read or written.
pub(super) async fn apply(repair: &Repair, audit: &Audit, log_repair: &LogRepair) -> Result<bool, LakeError> {
    match repair {
        Repair::LastCommit(table) => return log_repair.remove_last_commit(table).await,
        Repair::Hint(table) => log_repair.remove_checkpoint_hint(table).await?,
        Repair::Checkpoint(table, version) => log_repair.remove_checkpoint(table, *version).await?,
        Repair::TemporaryFiles => drop(audit.remove_temporary_files().await?),
    }
    Ok(true)
}

/// Adds the outcome of the repair to the check.
pub(super) fn with_outcome(
    check: DoctorCheck,
    repair: &Repair,
    done: Result<bool, LakeError>,
    folder: &str,
) -> DoctorCheck {
    match done {
        Ok(true) => {
            let copy = if repair.copies() { format!("; a copy is in {folder}") } else { String::new() };
            DoctorCheck {
                status: CheckStatus::Fixed,
                detail: format!("{}: {}{copy}", check.detail, repair.description()),
                ..check
            }
        }
        Ok(false) => {
            let detail = format!("{}; another commit followed it meanwhile, so it was left alone", check.detail);
            DoctorCheck { status: CheckStatus::Fail, detail, ..check }
        }
        Err(error) => DoctorCheck {
            status: CheckStatus::Fail,
            detail: format!("{}; fixing it failed: {error}", check.detail),
            ..check
        },
    }
}

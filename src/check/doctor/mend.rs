//! What `--fix` does, which is only what loses nothing, and how it is told.

use super::check::{Check, Status};
use crate::lake::{Audit, AuditedTable, LakeError, Mending};

/// A fix that is safe.
pub(super) enum Mend {
    /// The newest commit is empty or torn, and nothing follows it.
    LastCommit(Box<AuditedTable>),
    Hint(Box<AuditedTable>),
    Checkpoint(Box<AuditedTable>, u64),
    TemporaryFiles,
}

impl Mend {
    pub(super) fn copies(&self) -> bool {
        !matches!(self, Self::TemporaryFiles)
    }

    pub(super) fn changes_the_log(&self) -> bool {
        self.copies()
    }

    fn told(&self) -> &'static str {
        match self {
            Self::LastCommit(_) => "took the commit away; ingest reads its messages again, as far as Kafka holds them",
            Self::Hint(_) => "took the hint away; readers list the log until the next checkpoint writes it anew",
            Self::Checkpoint(..) => "took the checkpoint away; the log is whole without it",
            Self::TemporaryFiles => "deleted them; no table names them",
        }
    }
}

/// The check as it is told without `--fix`.
pub(super) fn offered(mut check: Check, mend: Option<&Mend>) -> Check {
    if mend.is_some() {
        check.fix = format!("`tickhouse doctor --fix`, or by hand: {}", check.fix);
    }
    check
}

/// `Ok(false)`: it was not to be done any more.
///
/// # Errors
/// The store can't be read or written.
pub(super) async fn apply(mend: &Mend, audit: &Audit, mending: &Mending) -> Result<bool, LakeError> {
    match mend {
        Mend::LastCommit(table) => return mending.take_last_commit(table).await,
        Mend::Hint(table) => mending.take_hint(table).await?,
        Mend::Checkpoint(table, version) => mending.take_checkpoint(table, *version).await?,
        Mend::TemporaryFiles => drop(audit.remove_temporary_files().await?),
    }
    Ok(true)
}

/// What became of a fix.
pub(super) fn told(check: Check, mend: &Mend, done: Result<bool, LakeError>, folder: &str) -> Check {
    match done {
        Ok(true) => {
            let copy = if mend.copies() { format!("; a copy is in {folder}") } else { String::new() };
            Check { status: Status::Fixed, detail: format!("{}: {}{copy}", check.detail, mend.told()), ..check }
        }
        Ok(false) => {
            let detail = format!("{}; another commit followed it meanwhile, so it was left alone", check.detail);
            Check { status: Status::Fail, detail, ..check }
        }
        Err(error) => {
            Check { status: Status::Fail, detail: format!("{}; fixing it failed: {error}", check.detail), ..check }
        }
    }
}

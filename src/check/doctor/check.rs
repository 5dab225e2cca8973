//! The result of one check: its status, its details and how to fix the problem.

use std::fmt;

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    Ok,
    /// The check failed, and `--fix` repaired it.
    Fixed,
    /// The check passed, but something needs attention.
    Warn,
    /// Something doesn't work, or data is lost.
    Fail,
}

impl fmt::Display for CheckStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Fixed => "fixed",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DoctorCheck {
    /// Stable name that scripts can rely on, such as `topic` or `ticks/log`.
    pub check: String,
    pub status: CheckStatus,
    pub detail: String,
    /// Empty if nothing has to be done.
    pub fix: String,
}

impl DoctorCheck {
    pub fn ok(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { check: check.into(), status: CheckStatus::Ok, detail: detail.into(), fix: String::new() }
    }

    pub fn warn(check: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check: check.into(), status: CheckStatus::Warn, detail: detail.into(), fix: fix.into() }
    }

    pub fn fail(check: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check: check.into(), status: CheckStatus::Fail, detail: detail.into(), fix: fix.into() }
    }
}

/// The results of all checks, and a list of what could not be checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DoctorReport {
    /// Whether no check has the status `Warn` or `Fail`.
    pub healthy: bool,
    pub checks: Vec<DoctorCheck>,
    pub not_checked: Vec<String>,
    /// Folder with copies of the files that `--fix` changed, relative to the root of the lake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<String>,
}

impl DoctorReport {
    /// Sets `healthy` from the checks.
    #[must_use]
    pub fn judged(mut self) -> Self {
        self.healthy = self.checks.iter().all(|check| matches!(check.status, CheckStatus::Ok | CheckStatus::Fixed));
        self
    }
}

//! A check, its status, and how to fix it.

use std::fmt;

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    Ok,
    /// The check failed, and `--fix` repaired it.
    Fixed,
    /// It works, but needs attention.
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
    /// Name that scripts rely on, such as `topic` or `ticks/log`.
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

/// All checks, and what could not be checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DoctorReport {
    /// No check warns or fails.
    pub healthy: bool,
    pub checks: Vec<DoctorCheck>,
    pub not_checked: Vec<String>,
    /// Folder with copies of what `--fix` changed, relative to the root of the lake.
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

//! What was looked at, how it is, and what to do about it.

use std::fmt;

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    /// It was wrong, and `--fix` mended it.
    Fixed,
    /// It works, and needs somebody to look at it.
    Warn,
    /// Something doesn't work, or is lost.
    Fail,
}

impl fmt::Display for Status {
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
pub struct Check {
    /// Under a name that scripts rely on, as `topic` or `ticks/log`.
    pub check: String,
    pub status: Status,
    pub detail: String,
    /// Empty where nothing is to be done.
    pub fix: String,
}

impl Check {
    pub fn ok(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Ok, detail: detail.into(), fix: String::new() }
    }

    pub fn warn(check: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Warn, detail: detail.into(), fix: fix.into() }
    }

    pub fn fail(check: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Fail, detail: detail.into(), fix: fix.into() }
    }
}

/// All checks, and what could not be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// No check warns or fails.
    pub healthy: bool,
    pub checks: Vec<Check>,
    pub not_checked: Vec<String>,
    /// Where copies of what `--fix` changed are, relative to the root of the lake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<String>,
}

impl Report {
    /// Judges what was found.
    #[must_use]
    pub fn judged(mut self) -> Self {
        self.healthy = self.checks.iter().all(|check| matches!(check.status, Status::Ok | Status::Fixed));
        self
    }
}

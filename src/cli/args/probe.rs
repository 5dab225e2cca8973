//! `tickhouse probe`.

use clap::{Args, ValueEnum};

use crate::serve::http::Listen;
use crate::serve::metrics::DEFAULT_LISTEN;

/// Ask an ingest of this machine for its health, as the check of a container that has no shell: exit code 0 is yes
#[derive(Debug, Clone, Args)]
pub struct ProbeArgs {
    /// What to ask
    #[arg(default_value = "readyz")]
    pub question: Question,
    /// Where it listens: --metrics-listen of the ingest
    #[arg(long, value_name = "ADDRESS:PORT", default_value = DEFAULT_LISTEN)]
    pub address: Listen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Question {
    /// Does its loop turn
    Livez,
    /// Does it do its work
    Readyz,
}

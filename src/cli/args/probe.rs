//! Flags of `tickhouse probe`.

use clap::{Args, ValueEnum};

use crate::serve::http::Listen;
use crate::serve::metrics::DEFAULT_LISTEN;

const AFTER_HELP: &str = "\
Examples:
  tickhouse probe
  tickhouse probe livez --address 127.0.0.1:9464";

/// Ask a running ingest for its health; exit code 0 is healthy
///
/// It is the health check of a container that has no shell.
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ProbeArgs {
    /// Endpoint that is asked
    #[arg(default_value = "readyz")]
    pub question: Question,
    /// Address and port of --metrics-listen of the ingest
    #[arg(long, value_name = "ADDRESS:PORT", default_value = DEFAULT_LISTEN)]
    pub address: Listen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Question {
    /// Whether its loop runs
    Livez,
    /// Whether it does its work
    Readyz,
}

//! Flags of `tickhouse demo`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::serve::http::Listen;
use crate::util::units::parse_duration;

const AFTER_HELP: &str = "\
Examples:
  tickhouse demo
  tickhouse demo --rate 20000 --symbols 500 --duration 1m
  tickhouse demo --table ./demo-lake
  tickhouse demo --table ./demo-lake --resume";

/// Run everything in one process, with a simulated market
///
/// An embedded broker, simulated ticks, ingest into a local lake, signals and the live page.
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct DemoArgs {
    /// Ticks a second
    #[arg(long, value_name = "RATE", default_value_t = 2_000.0, value_parser = rate)]
    pub rate: f64,
    /// Number of symbols
    #[arg(long, value_name = "COUNT", default_value_t = 120)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub symbols: u32,
    /// Stop after this time [default: run until Ctrl-C]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Address and port of the live page [default: 127.0.0.1:8080, or one of the next ports if that is in use]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<Listen>,
    /// Folder of the lake, which must not exist unless --resume is given [default: a new temporary folder]
    #[arg(long, value_name = "FOLDER")]
    pub table: Option<PathBuf>,
    /// Continue the demo lake in --table; the offsets of its new broker start at 0
    #[arg(long, requires = "table")]
    pub resume: bool,
    /// Seed of the simulation: the same seed gives the same prices
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && (1.0..=1_000_000.0).contains(rate));
    rate.ok_or_else(|| "use a number from 1 to 1000000".to_owned())
}

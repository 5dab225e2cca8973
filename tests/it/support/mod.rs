//! What the tests stand on: topics, lakes, daemons in this process, and the binary.

mod binary;
mod daemon;
mod log;
mod place;
mod table;
mod terminal;
mod topic;

use std::time::Duration;

pub use binary::{Finished, Tickhouse};
pub use daemon::{ingest, landed, spec, until_latest, until_latest_warning};
pub use place::{Place, assert_healthy, over_stores};
pub use table::{Contents, Letter};
pub use topic::{Outgoing, Topic, tick, ticks};

/// Nothing here takes this long, not even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A setting of the test run itself.
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

//! What the tests stand on: topics, lakes, daemons in this process, and the binary.

mod binary;
mod daemon;
mod place;
mod table;
mod topic;

use std::time::Duration;

pub use binary::{Finished, Live, Tickhouse};
pub use daemon::{Running, committed_by_all, ingest, spec, until_latest};
pub use place::{Place, over_stores};
pub use table::{Contents, Row};
pub use topic::{Sent, Topic, tick, ticks};

/// Nothing here takes this long, not even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A setting of the test run itself.
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

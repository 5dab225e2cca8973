//! What the tests stand on: topics, lakes, daemons in this process, and the binary.

mod binary;
mod daemon;
mod place;
mod table;
mod terminal;
mod topic;

use std::time::Duration;

pub use binary::{Finished, Tickhouse};
pub use daemon::{ingest, landed, spec, until_latest};
pub use place::{Place, over_stores};
pub use table::{Contents, Letter};
pub use topic::{Outgoing, Topic, tick, ticks};

/// Nothing here takes this long, not even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A setting of the test run itself.
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The log of what runs in this process, with TICKHOUSE_TEST_LOG=debug.
fn show_log() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        if let Some(filter) = setting("TICKHOUSE_TEST_LOG") {
            tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().init();
        }
    });
}

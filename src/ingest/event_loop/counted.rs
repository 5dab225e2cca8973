//! What the loop counts, and the sign of life that it gives while it waits.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::decode::Coercions;
use crate::ingest::event_loop::status::{MaintenanceStatus, Status, Volume};
use crate::lake::StoreMetrics;

/// Shows that the loop turns where nothing happens.
pub(in crate::ingest) const BEAT: Duration = Duration::from_secs(1);

/// What is counted elsewhere than in the status itself.
pub(in crate::ingest) struct Counted {
    pub read: Volume,
    pub coercions: Coercions,
    pub rebalances: u64,
    pub is_spare: bool,
    pub writing: Volume,
    pub already_applied: Arc<AtomicU64>,
    pub tally: Arc<StoreMetrics>,
    pub maintenance: watch::Receiver<MaintenanceStatus>,
}

/// Kafka timestamp of the last record of a batch, by partition; milliseconds since the epoch.
pub(in crate::ingest) type Newest = BTreeMap<i32, i64>;

/// Waits, and shows meanwhile that the task is alive.
pub(in crate::ingest) async fn beating<T>(
    status: &watch::Sender<Status>,
    tally: &StoreMetrics,
    future: impl Future<Output = T>,
) -> T {
    let mut future = pin!(future);
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            done = &mut future => return done,
            _ = beat.tick() => status.send_modify(|status| {
                status.turned_at = Some(Instant::now());
                status.lake = tally.read();
            }),
        }
    }
}

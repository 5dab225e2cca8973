//! Counters of the loop, and the heartbeat that it publishes while it waits.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::decode::Coercions;
use crate::ingest::event_loop::status::{CountAndBytes, IngestStatus, MaintenanceStatus};
use crate::lake::StoreMetrics;

/// Interval at which the loop publishes its status if nothing else happens.
pub(in crate::ingest) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Counters that are copied into the status when it is published.
pub(in crate::ingest) struct PipelineCounters {
    pub read: CountAndBytes,
    pub coercions: Coercions,
    pub rebalances: u64,
    pub is_idle: bool,
    pub writing: CountAndBytes,
    pub already_applied: Arc<AtomicU64>,
    pub tally: Arc<StoreMetrics>,
    pub maintenance: watch::Receiver<MaintenanceStatus>,
}

impl PipelineCounters {
    pub(in crate::ingest) fn new(tally: Arc<StoreMetrics>, maintenance: watch::Receiver<MaintenanceStatus>) -> Self {
        Self {
            read: CountAndBytes::default(),
            coercions: Coercions::default(),
            rebalances: 0,
            is_idle: false,
            writing: CountAndBytes::default(),
            already_applied: Arc::default(),
            tally,
            maintenance,
        }
    }
}

/// The Kafka timestamp of the last record of a batch by partition, in milliseconds since the epoch.
pub(in crate::ingest) type NewestTimestamps = BTreeMap<i32, i64>;

/// Awaits a future and publishes a heartbeat meanwhile.
pub(in crate::ingest) async fn with_heartbeat<T>(
    status: &watch::Sender<IngestStatus>,
    tally: &StoreMetrics,
    future: impl Future<Output = T>,
) -> T {
    let mut future = pin!(future);
    let mut heartbeat = interval(HEARTBEAT_INTERVAL);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            done = &mut future => return done,
            _ = heartbeat.tick() => status.send_modify(|status| {
                status.last_heartbeat = Some(Instant::now());
                status.lake = tally.read();
            }),
        }
    }
}

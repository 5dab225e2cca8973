//! Liveness and readiness of the process.
//!
//! Liveness depends only on the ingest loop, because a restart doesn't fix unreachable brokers or an unreachable store.

use std::time::Duration;

use super::view::MetricsSnapshot;
use crate::ingest::IngestPhase;

/// Time without a heartbeat of the loop after which it counts as stuck. The loop normally iterates once a second; a
/// machine that swaps or a container with too little CPU may need longer.
pub(super) const STUCK_AFTER: Duration = Duration::from_secs(30);

/// Why the ingest is not ready. Clients without a token can read it, so it contains no names from the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reason {
    pub code: &'static str,
    pub message: &'static str,
}

impl MetricsSnapshot<'_> {
    /// Time since the last heartbeat of the loop.
    pub(super) fn still_for(&self) -> Duration {
        self.instant.saturating_duration_since(self.status.last_heartbeat.unwrap_or(self.facts.started))
    }

    pub(super) fn is_live(&self) -> bool {
        self.still_for() < STUCK_AFTER
    }

    /// The reasons why the ingest is not ready; empty if it is ready.
    pub(super) fn reasons(&self) -> Vec<Reason> {
        let status = &self.status;
        let running = status.phase == IngestPhase::Running;
        let has_none = status.partitions.is_empty() && status.pending == 0 && !status.is_idle;
        let all = [
            (!self.is_live(), "stuck", "the loop doesn't turn; the process has to be started again"),
            (
                status.phase == IngestPhase::Opening,
                "opening",
                "the topic or the tables are not open yet; the log says why",
            ),
            (status.phase == IngestPhase::Stopping, "stopping", "the ingest was asked to stop"),
            (running && has_none, "no_partitions", "the group has given this worker no partition yet"),
            (
                running && status.pending > 0,
                "pending_partitions",
                "it isn't known yet where to begin in some partitions",
            ),
            (
                status.brokers_unreachable,
                "brokers_away",
                "no broker answers, or the brokers refuse this client; the log says why",
            ),
            (status.lake.failing > 0, "store_failing", "the last request to the store failed; the log says why"),
        ];
        let of = |(_, code, message)| Reason { code, message };
        all.into_iter().filter(|(is_so, ..)| *is_so).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::ingest::{IngestStatus, PartitionStatus};
    use crate::serve::metrics::view::ProcessInfo;

    fn codes(status: IngestStatus, still_for: Duration) -> (bool, Vec<&'static str>) {
        let facts = ProcessInfo::new(String::new(), String::new(), 0);
        let instant = Instant::now();
        let status = IngestStatus { last_heartbeat: Some(instant), ..status };
        let moment = MetricsSnapshot { facts: &facts, status, instant: instant + still_for, now: 0 };
        (moment.is_live(), moment.reasons().into_iter().map(|reason| reason.code).collect())
    }

    #[tokio::test]
    async fn alive_is_whether_the_loop_turns_and_ready_is_everything() {
        let reading = PartitionStatus { end: 5, lag: 5, newest: None };
        let good = || IngestStatus {
            phase: IngestPhase::Running,
            partitions: [(0, reading)].into(),
            ..IngestStatus::default()
        };
        let mut failing = good();
        failing.lake.failing = 1;
        let standby = IngestStatus { is_idle: true, partitions: [].into(), ..good() };
        for (status, expected) in [
            (good(), &[][..]),
            (standby, &[]),
            (IngestStatus { partitions: [].into(), ..good() }, &["no_partitions"]),
            (IngestStatus { pending: 1, ..good() }, &["pending_partitions"]),
            (IngestStatus { pending: 1, partitions: [].into(), ..good() }, &["pending_partitions"]),
            (IngestStatus { brokers_unreachable: true, ..good() }, &["brokers_away"]),
            (failing, &["store_failing"]),
            (IngestStatus::default(), &["opening"]),
            (IngestStatus { phase: IngestPhase::Stopping, ..good() }, &["stopping"]),
        ] {
            assert_eq!(codes(status, Duration::from_secs(2)), (true, expected.to_vec()));
        }
        assert_eq!(codes(good(), STUCK_AFTER), (false, vec!["stuck"]));
    }
}

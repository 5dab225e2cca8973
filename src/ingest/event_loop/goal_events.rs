//! The events of the loop for `--until-latest`: whether its goal is reached, and when the loop gives up.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::ingest::error::IngestError;
use crate::ingest::event_loop::counters::with_heartbeat;
use crate::ingest::event_loop::goal::OwnWork;
use crate::ingest::event_loop::pipeline::Pipeline;
use crate::ingest::event_loop::unreached::{GoalUnreached, UnreachedReason};

/// A loop that handles its timeout this late was suspended or busy: events that arrived meanwhile are not handled yet.
const LATE: Duration = Duration::from_secs(5);

impl Pipeline {
    pub(in crate::ingest) fn own_work(&self) -> OwnWork {
        let known =
            self.unannounced.is_empty() && self.stale_watermarks.is_empty() && self.waiting_assignments.is_empty();
        let is_member = self.goal.as_ref().is_some_and(|goal| goal.is_member);
        if !is_member || !known || !self.partitions.all_read() {
            OwnWork::Reading
        } else if self.in_flight.is_some() || !self.partitions.all_committed() {
            OwnWork::AllRead
        } else {
            OwnWork::AllCommitted
        }
    }

    /// Returns when the table is read again, and when the loop gives up.
    pub(in crate::ingest) fn goal_times(&self, stopping: bool, own: OwnWork) -> (Option<Instant>, Option<Instant>) {
        let Some(goal) = self.goal.as_ref().filter(|_| !stopping && self.in_flight.is_none()) else {
            return (None, None);
        };
        let others =
            (own == OwnWork::AllCommitted && !self.brokers.are_unreachable()).then_some(self.options.flush.idle);
        ((own == OwnWork::AllCommitted).then_some(goal.check_at), Some(goal.give_up_at(others)))
    }

    /// The group assigned partitions, revoked some, or has none for this worker.
    pub(in crate::ingest) fn on_group(&mut self) {
        if let Some(goal) = &mut self.goal {
            goal.is_member = true;
            goal.on_rebalance(Instant::now());
        }
    }

    pub(in crate::ingest) async fn check_goal(&mut self, stop: &CancellationToken) -> Result<(), IngestError> {
        let (Some(goal), Some(lake)) = (&mut self.goal, &mut self.lake) else { return Ok(()) };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            behind = with_heartbeat(&self.status, &self.counters.tally, goal.partitions_behind(lake)) => {
                goal.is_reached = behind?.is_empty();
            }
        }
        self.follow_epoch()
    }

    /// Returns the error that ends the ingest; `None` if there is a reason to continue.
    ///
    /// # Errors
    /// The lake can't be read.
    pub(in crate::ingest) async fn give_up(&mut self) -> Result<Option<GoalUnreached>, IngestError> {
        let own = self.own_work();
        let (_, Some(due)) = self.goal_times(false, own) else { return Ok(None) };
        let (Some(goal), Some(lake)) = (&mut self.goal, &mut self.lake) else { return Ok(None) };
        if due.elapsed() > LATE {
            goal.restart_timeout(Instant::now());
            return Ok(None);
        }
        let behind = with_heartbeat(&self.status, &self.counters.tally, goal.partitions_behind(lake)).await?;
        goal.is_reached = goal.is_member && behind.is_empty();
        let (is_reached, is_member) = (goal.is_reached, goal.is_member);
        self.follow_epoch()?;
        if is_reached {
            return Ok(None);
        }
        let reason = if self.brokers.are_unreachable() {
            UnreachedReason::Brokers(self.last_broker_error.clone())
        } else if !is_member {
            UnreachedReason::NotAssigned
        } else if own == OwnWork::AllCommitted {
            UnreachedReason::OtherMembers
        } else {
            UnreachedReason::NoProgress
        };
        Ok(Some(GoalUnreached { reason, behind }))
    }

    /// After the last flush: checks that the goal was reached, if there is one.
    pub(in crate::ingest) async fn end(&mut self, stop_by: Option<Instant>) -> Result<(), IngestError> {
        self.optional.end();
        let (Some(goal), Some(lake)) = (&mut self.goal, &mut self.lake) else { return Ok(()) };
        if goal.is_reached {
            return Ok(());
        }
        let by = stop_by.unwrap_or_else(Instant::now);
        let behind = timeout_at(by, goal.partitions_behind(lake)).await.map_err(|_| IngestError::StopTimeout)??;
        match behind.is_empty() {
            true => Ok(()),
            false => Err(IngestError::Unreached(GoalUnreached { reason: UnreachedReason::Stopped, behind })),
        }
    }
}

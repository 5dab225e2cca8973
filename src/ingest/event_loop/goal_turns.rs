//! The turns of the loop that concern `--until-latest`: whether its goal is reached, and when it is given up.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::ingest::error::IngestError;
use crate::ingest::event_loop::counted::beating;
use crate::ingest::event_loop::goal::OwnWork;
use crate::ingest::event_loop::pipeline::Pipeline;
use crate::ingest::event_loop::unreached::{Hindrance, Unreached};

/// A loop that comes to it this late was stopped, or busy: what came meanwhile is not read yet.
const LATE: Duration = Duration::from_secs(5);

impl Pipeline {
    pub(in crate::ingest) fn own_work(&self) -> OwnWork {
        let known = self.unannounced.is_empty() && self.asked_again.is_empty() && self.waiting.is_empty();
        let is_member = self.goal.as_ref().is_some_and(|goal| goal.is_member);
        if !is_member || !known || !self.partitions.all_read() {
            OwnWork::Reads
        } else if self.in_flight.is_some() || !self.partitions.all_committed() {
            OwnWork::Read
        } else {
            OwnWork::Committed
        }
    }

    /// When the table is read again, and when the work is given up.
    pub(in crate::ingest) fn goal_times(&self, stopping: bool, own: OwnWork) -> (Option<Instant>, Option<Instant>) {
        let Some(goal) = self.goal.as_ref().filter(|_| !stopping && self.in_flight.is_none()) else {
            return (None, None);
        };
        let others = (own == OwnWork::Committed && !self.brokers.are_away()).then_some(self.options.flush.idle);
        ((own == OwnWork::Committed).then_some(goal.check_at), Some(goal.give_up_at(others)))
    }

    /// The group gave partitions, took some, or has none for this worker.
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
            behind = beating(&self.status, &self.counted.tally, goal.behind(lake)) => {
                goal.is_reached = behind?.is_empty();
            }
        }
        self.follow_epoch()
    }

    /// The error that ends the work; `None` if there is a reason to go on.
    ///
    /// # Errors
    /// The lake can't be read.
    pub(in crate::ingest) async fn give_up(&mut self) -> Result<Option<Unreached>, IngestError> {
        let own = self.own_work();
        let (_, Some(due)) = self.goal_times(false, own) else { return Ok(None) };
        let (Some(goal), Some(lake)) = (&mut self.goal, &mut self.lake) else { return Ok(None) };
        if due.elapsed() > LATE {
            goal.begin_silence(Instant::now());
            return Ok(None);
        }
        let behind = beating(&self.status, &self.counted.tally, goal.behind(lake)).await?;
        goal.is_reached = goal.is_member && behind.is_empty();
        let (is_reached, is_member) = (goal.is_reached, goal.is_member);
        self.follow_epoch()?;
        if is_reached {
            return Ok(None);
        }
        let why = if self.brokers.are_away() {
            Hindrance::Brokers(self.reported.clone())
        } else if !is_member {
            Hindrance::NotAssigned
        } else if own == OwnWork::Committed {
            Hindrance::OtherMembers
        } else {
            Hindrance::Silence
        };
        Ok(Some(Unreached { why, behind }))
    }

    /// After the last flush.
    pub(in crate::ingest) async fn end(&mut self, stop_by: Option<Instant>) -> Result<(), IngestError> {
        self.optional.end();
        let (Some(goal), Some(lake)) = (&mut self.goal, &mut self.lake) else { return Ok(()) };
        if goal.is_reached {
            return Ok(());
        }
        let by = stop_by.unwrap_or_else(Instant::now);
        let behind = timeout_at(by, goal.behind(lake)).await.map_err(|_| IngestError::StopTimeout)??;
        match behind.is_empty() {
            true => Ok(()),
            false => Err(IngestError::Unreached(Unreached { why: Hindrance::Stopped, behind })),
        }
    }
}

//! Starts to read partitions: if the leader epoch of a position is known, the brokers validate it first.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ConsumerWorker;
use crate::kafka::events::{PartitionStart, RecordHandler};
use crate::kafka::raw::{PartitionPosition, RawError};

/// librdkafka's own threads answer, no broker.
const VALIDATE_CALL: Duration = Duration::from_millis(100);

impl<H: RecordHandler> ConsumerWorker<H> {
    pub(super) fn start(&mut self, mut starts: Vec<PartitionStart>) -> Result<(), RawError> {
        // An answer may come after its partition was revoked.
        starts.retain(|start| self.owned.contains(&start.partition));
        let numbers: BTreeSet<i32> = starts.iter().map(|start| start.partition).collect();
        self.validating.retain(|start| !numbers.contains(&start.partition));
        let again: Vec<i32> = numbers.iter().copied().filter(|partition| self.raw.is_assigned(*partition)).collect();
        if !again.is_empty() {
            self.running.retain(|partition| !again.contains(partition));
            self.raw.incremental_unassign(&again)?;
        }
        // The position of an earlier assignment disappears a moment after it; a record proves a new one.
        self.unproven.retain(|partition| !numbers.contains(partition));
        self.unproven.extend(self.raw.positions(&numbers)?.into_iter().map(|at| at.partition));
        self.raw.incremental_assign(&starts.iter().map(position).collect::<Vec<_>>())?;
        let (known, unknown) = starts.into_iter().partition(|start| start.leader_epoch.is_some());
        self.validating.extend::<Vec<PartitionStart>>(known);
        self.begin(unknown)?;
        self.validate()
    }

    /// Validates the positions of the partitions before any of their records are delivered.
    pub(super) fn validate(&mut self) -> Result<(), RawError> {
        if self.validating.is_empty() {
            return Ok(());
        }
        let positions: Vec<PartitionPosition> = self.validating.iter().map(position).collect();
        let asked = self.raw.validate(&positions, VALIDATE_CALL)?;
        let (asked, waiting) =
            std::mem::take(&mut self.validating).into_iter().partition(|start| asked.contains(&start.partition));
        self.validating = waiting;
        self.begin(asked)
    }

    fn begin(&mut self, starts: Vec<PartitionStart>) -> Result<(), RawError> {
        for PartitionStart { partition, generation, offset, .. } in &starts {
            self.handler.start(*partition, *generation, *offset);
            self.running.insert(*partition);
        }
        if self.paused && !starts.is_empty() {
            self.raw.pause(&starts.iter().map(|start| start.partition).collect::<Vec<_>>(), true)?;
        }
        Ok(())
    }
}

fn position(start: &PartitionStart) -> PartitionPosition {
    let PartitionStart { partition, offset, leader_epoch, .. } = *start;
    PartitionPosition { partition, offset, leader_epoch }
}

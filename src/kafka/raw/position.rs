//! The position of a reader in a partition: an offset, and the leader epoch of the record before it.
//!
//! The two name one log: brokers that lost the end of theirs, and may have grown past the offset since, end that epoch
//! below it. librdkafka asks for that when a leader changes and when it seeks, not when it is assigned.

use std::collections::BTreeSet;
use std::ffi::c_int;
use std::time::Duration;

use rdkafka::types::RDKafkaRespErr;
use rdkafka::{TopicPartitionList, bindings as rd};

use super::RawConsumer;
use super::code::{RawError, check_number, number_in};
use super::native::{check, elements, known_epoch, millis, take_error};

const RETRIABLE_CODES: [RDKafkaRespErr; 4] = [
    RDKafkaRespErr::RD_KAFKA_RESP_ERR__STATE,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR__IN_PROGRESS,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) struct PartitionPosition {
    pub partition: i32,
    pub offset: i64,
    /// `None` if it isn't known; then only the offset counts.
    pub leader_epoch: Option<i32>,
}

impl RawConsumer {
    /// Adds partitions to the assignment.
    pub(in crate::kafka) fn incremental_assign(&self, starts: &[PartitionPosition]) -> Result<(), RawError> {
        let list = self.positions_list(starts)?;
        // SAFETY: the list lives through the call; a returned error object is ours to destroy.
        unsafe { take_error("incremental assign", rd::rd_kafka_incremental_assign(self.handle, list.ptr())) }
    }

    /// Lets librdkafka ask the brokers whether the log of each position is still theirs; nothing is fetched before the
    /// answer. The partitions that were started already, so that it does: the others are to be asked for again.
    pub(in crate::kafka) fn validate(
        &self,
        positions: &[PartitionPosition],
        timeout: Duration,
    ) -> Result<Vec<i32>, RawError> {
        const CALL: &str = "validate positions";
        let list = self.positions_list(positions)?;
        // SAFETY: the list lives through the call, which writes an error into each element; the error object is ours.
        let sought =
            unsafe { take_error(CALL, rd::rd_kafka_seek_partitions(self.handle, list.ptr(), millis(timeout))) };
        match sought {
            Err(error) if error.is(RDKafkaRespErr::RD_KAFKA_RESP_ERR__TIMED_OUT) => {}
            sought => sought?,
        }
        let mut started = Vec::new();
        // SAFETY: the list lives through the loop.
        for element in unsafe { elements(list.ptr()) } {
            // SAFETY: the element belongs to the list.
            let number = unsafe { number_in(&raw const element.err) };
            // Its assignment has not reached the fetcher.
            if RETRIABLE_CODES.iter().all(|err| *err as c_int != number) {
                check_number(CALL, number)?;
                started.push(element.partition);
            }
        }
        Ok(started)
    }

    /// Behind the last record that the batch call took from the queue, of the partitions that have one.
    pub(in crate::kafka) fn positions(&self, partitions: &BTreeSet<i32>) -> Result<Vec<PartitionPosition>, RawError> {
        let list = self.list(partitions.iter().map(|partition| (*partition, None)))?;
        // SAFETY: the list lives through the call, which writes the positions into it.
        check("ask for positions", unsafe { rd::rd_kafka_position(self.handle, list.ptr()) })?;
        let known = |element: &rd::rd_kafka_topic_partition_t| {
            let (partition, offset) = (element.partition, element.offset);
            // SAFETY: the element belongs to the list, which lives through the call.
            let leader_epoch = known_epoch(unsafe { rd::rd_kafka_topic_partition_get_leader_epoch(element) });
            (offset >= 0).then_some(PartitionPosition { partition, offset, leader_epoch })
        };
        // SAFETY: the list lives through the call.
        Ok(unsafe { elements(list.ptr()) }.iter().filter_map(known).collect())
    }

    fn positions_list(&self, positions: &[PartitionPosition]) -> Result<TopicPartitionList, RawError> {
        let list = self.list(positions.iter().map(|at| (at.partition, Some(at.offset))))?;
        for PartitionPosition { partition, leader_epoch, .. } in positions {
            let Some(leader_epoch) = leader_epoch else { continue };
            // SAFETY: name and list live through the calls; what is found is an element of the list, or NULL.
            unsafe {
                let element = rd::rd_kafka_topic_partition_list_find(list.ptr(), self.topic.as_ptr(), *partition);
                if !element.is_null() {
                    rd::rd_kafka_topic_partition_set_leader_epoch(element, *leader_epoch);
                }
            }
        }
        Ok(list)
    }
}

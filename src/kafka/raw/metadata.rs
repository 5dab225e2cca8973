//! Queries the partitions of the topic.

use std::collections::BTreeMap;
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode;

use super::code::{self, check_number};
use super::{RawConsumer, RawError, millis};

const CALL: &str = "ask for the topic's partitions";

impl RawConsumer {
    /// Each partition, and whether it has a leader. Blocks up to the timeout.
    pub(in crate::kafka) fn partitions(&self, timeout: Duration) -> Result<BTreeMap<i32, bool>, RawError> {
        let unknown = RawError::new(CALL, RDKafkaErrorCode::UnknownTopicOrPartition);
        let mut metadata: *const rd::rd_kafka_metadata_t = ptr::null();
        // SAFETY: the name lives through the calls; a topic without a configuration of its own and the metadata are
        // ours to destroy, after they were read.
        unsafe {
            let topic = rd::rd_kafka_topic_new(self.handle, self.topic.as_ptr(), ptr::null_mut());
            if topic.is_null() {
                return Err(unknown);
            }
            let asked = code::rd_kafka_metadata(self.handle, 0, topic, &mut metadata, millis(timeout));
            rd::rd_kafka_topic_destroy(topic);
            check_number(CALL, asked)?;
            let found = match (*metadata).topic_cnt {
                ..=0 => Err(unknown),
                _ => {
                    let topic = (*metadata).topics;
                    check_number(CALL, code::number_in(&raw const (*topic).err)).map(|()| {
                        let count = usize::try_from((*topic).partition_cnt).unwrap_or(0);
                        let partition = |number| (*topic).partitions.add(number);
                        (0..count).map(partition).map(|at| ((*at).id, (*at).leader >= 0)).collect()
                    })
                }
            };
            rd::rd_kafka_metadata_destroy(metadata);
            found
        }
    }
}

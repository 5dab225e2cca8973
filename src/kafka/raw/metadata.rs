//! How many partitions the topic has now, asked of a broker.

use std::ptr;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;

use super::{RawConsumer, RawError, check, millis};

const CALL: &str = "ask for the topic's partitions";

impl RawConsumer {
    /// Blocks up to the timeout.
    pub(in crate::kafka) fn partition_count(&self, timeout: Duration) -> Result<i32, RawError> {
        let unknown = RawError { call: CALL, code: RDKafkaErrorCode::UnknownTopicOrPartition };
        let mut metadata: *const rd::rd_kafka_metadata_t = ptr::null();
        // SAFETY: the name lives through the calls; a topic without a configuration of its own and the metadata are
        // ours to destroy, after they were read.
        unsafe {
            let topic = rd::rd_kafka_topic_new(self.handle, self.topic.as_ptr(), ptr::null_mut());
            if topic.is_null() {
                return Err(unknown);
            }
            let asked = rd::rd_kafka_metadata(self.handle, 0, topic, &mut metadata, millis(timeout));
            rd::rd_kafka_topic_destroy(topic);
            check(CALL, asked)?;
            let count = match (*metadata).topic_cnt {
                ..=0 => Err(unknown),
                _ => {
                    let topic = &*(*metadata).topics;
                    match topic.err {
                        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(topic.partition_cnt),
                        err => Err(RawError { call: CALL, code: err.into() }),
                    }
                }
            };
            rd::rd_kafka_metadata_destroy(metadata);
            count
        }
    }
}

//! Queries the id that Kafka gave a topic at its creation, without blocking.
//!
//! Invariant: the queue of a query is its own, and goes before the client that answers into it.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;

use super::code::{self, check_number};
use super::{RawConsumer, RawError, check, millis};

const CALL: &str = "ask for the topic's id";
/// librdkafka answers at its timeout at the latest; this much later it is not waited for any more.
const LATE: Duration = Duration::from_secs(1);

/// A query must be dropped before the client that it was sent with.
pub(in crate::kafka) struct TopicIdQuery {
    queue: *mut rd::rd_kafka_queue_t,
    timeout: Duration,
}

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl Send for TopicIdQuery {}

impl RawConsumer {
    pub(in crate::kafka) fn query_topic_id(&self, timeout: Duration) -> TopicIdQuery {
        // SAFETY: the handle lives as long as self.
        unsafe { start(self.handle, &self.topic, timeout) }
    }
}

impl TopicIdQuery {
    /// Returns `None` if the controller, which answers the query, is not one of the brokers, as in librdkafka's mock
    /// cluster.
    pub(in crate::kafka) fn start<C: ClientContext>(
        client: &Client<C>,
        brokers: &[i32],
        topic: &str,
        timeout: Duration,
    ) -> Result<Option<Self>, String> {
        let topic = CString::new(topic).map_err(|_| "topic name holds a NUL byte".to_owned())?;
        // SAFETY: the client is alive.
        unsafe {
            let controller = rd::rd_kafka_controllerid(client.native_ptr(), millis(timeout));
            let can_answer = controller < 0 || brokers.contains(&controller);
            Ok(can_answer.then(|| start(client.native_ptr(), &topic, timeout)))
        }
    }

    /// Returns `None` while there is no answer. The id itself is `None` if the broker reports none, as before Kafka
    /// 2.8.
    pub(in crate::kafka) fn answer(&self, wait: Duration) -> Option<Result<Option<String>, RawError>> {
        // SAFETY: the queue lives as long as self; a polled event is ours to destroy, after it was read.
        unsafe {
            let event = rd::rd_kafka_queue_poll(self.queue, millis(wait));
            if event.is_null() {
                return None;
            }
            let answer = read(event);
            rd::rd_kafka_event_destroy(event);
            Some(answer)
        }
    }

    /// Blocks up to the timeout.
    pub(in crate::kafka) fn wait(self) -> Result<Option<String>, RawError> {
        let late = RawError::new(CALL, RDKafkaErrorCode::OperationTimedOut);
        self.answer(self.timeout + LATE).unwrap_or(Err(late))
    }
}

impl Drop for TopicIdQuery {
    fn drop(&mut self) {
        // SAFETY: nobody else has the queue; an answer that is still to come is dropped by librdkafka.
        unsafe { rd::rd_kafka_queue_destroy(self.queue) }
    }
}

/// SAFETY: `handle` is a client that lives longer than the query.
unsafe fn start(handle: *mut rd::rd_kafka_t, topic: &CStr, timeout: Duration) -> TopicIdQuery {
    let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let mut names = [topic.as_ptr()];
    // SAFETY: options and names are copied by the call and destroyed here.
    unsafe {
        let queue = rd::rd_kafka_queue_new(handle);
        let options = rd::rd_kafka_AdminOptions_new(handle, operation);
        let reason: *mut c_char = ptr::null_mut();
        let set = rd::rd_kafka_AdminOptions_set_request_timeout(options, millis(timeout), reason, 0);
        debug_assert!(check(CALL, set).is_ok(), "seconds are a timeout");
        let topics = rd::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        rd::rd_kafka_DescribeTopics(handle, topics, options, queue);
        rd::rd_kafka_TopicCollection_destroy(topics);
        rd::rd_kafka_AdminOptions_destroy(options);
        TopicIdQuery { queue, timeout }
    }
}

/// SAFETY: `event` is a valid event.
unsafe fn read(event: *mut rd::rd_kafka_event_t) -> Result<Option<String>, RawError> {
    let unknown = || RawError::new(CALL, RDKafkaErrorCode::UnknownTopicOrPartition);
    // SAFETY: what the event holds lives as long as it does.
    unsafe {
        check_number(CALL, code::rd_kafka_event_error(event))?;
        let result = rd::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Err(unknown());
        }
        let mut count = 0;
        let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if count == 0 {
            return Err(unknown());
        }
        let topic = *topics;
        let error = rd::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() {
            check_number(CALL, code::rd_kafka_error_code(error))?;
        }
        let id = rd::rd_kafka_TopicDescription_topic_id(topic);
        if rd::rd_kafka_Uuid_most_significant_bits(id) == 0 && rd::rd_kafka_Uuid_least_significant_bits(id) == 0 {
            return Ok(None);
        }
        // Kafka's tools print the alphabet of URLs.
        let text = CStr::from_ptr(rd::rd_kafka_Uuid_base64str(id)).to_string_lossy();
        Ok(Some(text.trim_end_matches('=').replace('+', "-").replace('/', "_")))
    }
}

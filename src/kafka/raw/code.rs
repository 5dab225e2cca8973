//! Error codes that come from a broker, as numbers.
//!
//! librdkafka passes on what a broker sends, and a broker that is newer than the bindings sends codes that their enum
//! lacks: undefined behaviour in Rust, even before the value is used. So the calls that may return one are declared
//! here again, with a number, and the fields that may hold one are read as numbers.

use std::ffi::{c_char, c_int, c_void};
use std::fmt;

use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;

/// A librdkafka call failed.
#[derive(Debug, thiserror::Error)]
pub(in crate::kafka) struct RawError {
    pub call: &'static str,
    /// `Unknown` for a code that the bindings lack.
    pub code: RDKafkaErrorCode,
    pub number: c_int,
}

impl RawError {
    pub(in crate::kafka) fn new(call: &'static str, code: RDKafkaErrorCode) -> Self {
        Self { call, code, number: code as c_int }
    }

    pub(super) fn is(&self, err: RDKafkaRespErr) -> bool {
        self.number == err as c_int
    }
}

impl fmt::Display for RawError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            RDKafkaErrorCode::Unknown => write!(f, "{}: the broker's error {}", self.call, self.number),
            code => write!(f, "{}: {code}", self.call),
        }
    }
}

pub(super) fn code_of(number: c_int) -> RDKafkaErrorCode {
    RDKafkaRespErr::try_from(number).map_or(RDKafkaErrorCode::Unknown, RDKafkaErrorCode::from)
}

pub(super) fn check_number(call: &'static str, number: c_int) -> Result<(), RawError> {
    match number {
        0 => Ok(()),
        number => Err(RawError { call, code: code_of(number), number }),
    }
}

/// The number in a field of a struct of librdkafka.
///
/// SAFETY: `field` points to a live one.
pub(super) unsafe fn number_in(field: *const RDKafkaRespErr) -> c_int {
    // SAFETY: promised by the caller; the enum is represented by an int.
    unsafe { field.cast::<c_int>().read() }
}

type RebalanceCallback =
    unsafe extern "C" fn(*mut rd::rd_kafka_t, c_int, *mut rd::rd_kafka_topic_partition_list_t, *mut c_void);

unsafe extern "C" {
    pub(super) fn rd_kafka_conf_set_rebalance_cb(conf: *mut rd::rd_kafka_conf_t, callback: Option<RebalanceCallback>);
    pub(super) fn rd_kafka_last_error() -> c_int;
    pub(super) fn rd_kafka_error_code(error: *const rd::rd_kafka_error_t) -> c_int;
    pub(super) fn rd_kafka_event_error(event: *mut rd::rd_kafka_event_t) -> c_int;
    pub(super) fn rd_kafka_fatal_error(handle: *mut rd::rd_kafka_t, text: *mut c_char, length: usize) -> c_int;
    pub(super) fn rd_kafka_consumer_close(handle: *mut rd::rd_kafka_t) -> c_int;
    pub(super) fn rd_kafka_query_watermark_offsets(
        handle: *mut rd::rd_kafka_t,
        topic: *const c_char,
        partition: i32,
        low: *mut i64,
        high: *mut i64,
        timeout_ms: c_int,
    ) -> c_int;
    pub(super) fn rd_kafka_offsets_for_times(
        handle: *mut rd::rd_kafka_t,
        list: *mut rd::rd_kafka_topic_partition_list_t,
        timeout_ms: c_int,
    ) -> c_int;
    pub(super) fn rd_kafka_metadata(
        handle: *mut rd::rd_kafka_t,
        all_topics: c_int,
        only_topic: *mut rd::rd_kafka_topic_t,
        metadata: *mut *const rd::rd_kafka_metadata,
        timeout_ms: c_int,
    ) -> c_int;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rdkafka::config::ClientConfig;
    use rdkafka::producer::{BaseProducer, Producer};

    use super::super::RawConsumer;
    use super::*;
    use crate::kafka::KafkaSettings;

    unsafe extern "C" {
        fn rd_kafka_mock_push_request_errors_array(
            cluster: *mut rd::rd_kafka_mock_cluster_t,
            api_key: i16,
            count: usize,
            errors: *const c_int,
        );
        fn rd_kafka_mock_topic_set_error(cluster: *mut rd::rd_kafka_mock_cluster_t, topic: *const c_char, error: c_int);
    }

    /// A code of a future broker.
    const UNKNOWN_CODE: c_int = 1_999;
    const LIST_OFFSETS: i16 = 2;
    const ANSWER: Duration = Duration::from_secs(20);

    #[test]
    fn codes_that_the_bindings_lack_are_numbers() {
        assert_eq!(code_of(3), RDKafkaErrorCode::UnknownTopicOrPartition);
        assert_eq!(code_of(-195), RDKafkaErrorCode::BrokerTransportFailure);
        for number in [UNKNOWN_CODE, -9_999, c_int::MIN] {
            let error = check_number("ask", number).unwrap_err();
            assert_eq!(
                (error.code, error.to_string()),
                (RDKafkaErrorCode::Unknown, format!("ask: the broker's error {number}"))
            );
        }
    }

    #[test]
    fn a_broker_s_unknown_code_is_an_error_like_any_other() {
        let producer: BaseProducer = ClientConfig::new().set("test.mock.num.brokers", "1").create().unwrap();
        let cluster = producer.client().mock_cluster().unwrap();
        cluster.create_topic("ticks", 1, 1).unwrap();
        // SAFETY: the producer, which has the cluster, lives to the end.
        let mock = unsafe { rd::rd_kafka_handle_mock_cluster(producer.client().native_ptr()) };
        let kafka = KafkaSettings { brokers: cluster.bootstrap_servers(), ..KafkaSettings::default() };
        let raw = RawConsumer::new(&kafka.consumer_config("group"), "ticks", 10).unwrap();
        assert_eq!(raw.watermarks(0, ANSWER).unwrap(), (0, 0));

        let errors = [UNKNOWN_CODE; 2];
        // SAFETY: the array is copied by the call.
        unsafe { rd_kafka_mock_push_request_errors_array(mock, LIST_OFFSETS, errors.len(), errors.as_ptr()) };
        let error = raw.watermarks(0, ANSWER).unwrap_err();
        assert_eq!((error.code, error.number), (RDKafkaErrorCode::Unknown, UNKNOWN_CODE));

        // SAFETY: the name lives through the call.
        unsafe { rd_kafka_mock_topic_set_error(mock, c"ticks".as_ptr(), UNKNOWN_CODE) };
        let error = raw.partitions(ANSWER).unwrap_err();
        assert_eq!(error.number, UNKNOWN_CODE);
    }
}

//! Conversions between librdkafka's types and Rust's.

use std::ffi::{c_int, c_void};
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::types::RDKafkaRespErr;

use super::code::{self, RawError, check_number};

/// Converts the result of a call whose codes are librdkafka's own.
pub(super) fn check(call: &'static str, err: RDKafkaRespErr) -> Result<(), RawError> {
    match err {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        err => Err(RawError::new(call, err.into())),
    }
}

/// SAFETY: `list` is a valid list that outlives the slice.
pub(super) unsafe fn elements<'a>(
    list: *const rd::rd_kafka_topic_partition_list_t,
) -> &'a [rd::rd_kafka_topic_partition_t] {
    // SAFETY: promised by the caller; an empty list may have no element array.
    unsafe {
        match (*list).cnt {
            ..=0 => &[],
            count => std::slice::from_raw_parts((*list).elems, count as usize),
        }
    }
}

/// SAFETY: `start` is NULL or points to `len` bytes that live for 'a.
pub(super) unsafe fn bytes<'a>(start: *mut c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: promised by the caller.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast::<u8>(), len) })
}

/// SAFETY: `error` is NULL or an error object that nobody else destroys.
pub(super) unsafe fn take_error(call: &'static str, error: *mut rd::rd_kafka_error_t) -> Result<(), RawError> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: promised by the caller.
    unsafe {
        let number = code::rd_kafka_error_code(error);
        rd::rd_kafka_error_destroy(error);
        check_number(call, number)
    }
}

pub(super) fn millis(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX)
}

/// Old brokers and old message formats have no leader epoch.
pub(super) fn known_epoch(epoch: i32) -> Option<i32> {
    (epoch >= 0).then_some(epoch)
}

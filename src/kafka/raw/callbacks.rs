//! The callbacks of librdkafka: they run on the polling thread, except for those of the log and the sockets.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;

use super::code::{self, code_of};
use super::native::elements;
use super::pace::{self, SocketGate};
use crate::kafka::group_consumer::notice::ConsumerNotice;

#[derive(Default)]
pub(super) struct CallbackInbox {
    pub(super) notices: RefCell<Vec<ConsumerNotice>>,
    closing: Cell<bool>,
    pub(super) sockets: SocketGate,
}

impl CallbackInbox {
    /// From now on rebalances are answered in the callback, and connection attempts don't wait.
    pub(super) fn close(&self) {
        self.closing.set(true);
        self.sockets.close();
    }
}

pub(super) unsafe extern "C" fn on_rebalance(
    handle: *mut rd::rd_kafka_t,
    err: c_int,
    partitions: *mut rd::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: opaque is the inbox of this handle; the list lives through the call; see the module's invariants.
    unsafe {
        let inbox = &*opaque.cast::<CallbackInbox>();
        let assigning = err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS as c_int;
        if inbox.closing.get() {
            let error = if assigning {
                rd::rd_kafka_incremental_assign(handle, partitions)
            } else {
                rd::rd_kafka_incremental_unassign(handle, partitions)
            };
            if !error.is_null() {
                rd::rd_kafka_error_destroy(error);
                rd::rd_kafka_assign(handle, ptr::null());
            }
            return;
        }
        let numbers = elements(partitions).iter().map(|element| element.partition).collect();
        inbox.notices.borrow_mut().push(if assigning {
            ConsumerNotice::Assign(numbers)
        } else {
            ConsumerNotice::Revoke { partitions: numbers, lost: rd::rd_kafka_assignment_lost(handle) != 0 }
        });
    }
}

pub(super) unsafe extern "C" fn on_error(
    handle: *mut rd::rd_kafka_t,
    err: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: as in on_rebalance; reason is a C string for the length of the call.
    unsafe {
        let inbox = &*opaque.cast::<CallbackInbox>();
        let mut text = CStr::from_ptr(reason).to_string_lossy().into_owned();
        let mut code = code_of(err);
        let fatal = code == RDKafkaErrorCode::Fatal;
        if fatal {
            let mut buffer = [0 as c_char; 512];
            code = code_of(code::rd_kafka_fatal_error(handle, buffer.as_mut_ptr(), buffer.len()));
            text = CStr::from_ptr(buffer.as_ptr()).to_string_lossy().into_owned();
        }
        inbox.notices.borrow_mut().push(ConsumerNotice::Error { code, text, fatal });
    }
}

pub(super) unsafe extern "C" fn on_socket(domain: c_int, kind: c_int, protocol: c_int, opaque: *mut c_void) -> c_int {
    // SAFETY: opaque is the inbox of the client whose thread this is; only the sockets, which are atomic, are touched.
    unsafe { pace::open(domain, kind, protocol, &raw const (*opaque.cast::<CallbackInbox>()).sockets) }
}

pub(super) unsafe extern "C" fn on_log(
    _: *const rd::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    text: *const c_char,
) {
    // SAFETY: both are C strings for the length of the call.
    let (facility, text) =
        unsafe { (CStr::from_ptr(facility).to_string_lossy(), CStr::from_ptr(text).to_string_lossy()) };
    match level {
        ..=3 => tracing::debug!(target: "librdkafka", %facility, "{text}"),
        _ => tracing::trace!(target: "librdkafka", %facility, "{text}"),
    }
}

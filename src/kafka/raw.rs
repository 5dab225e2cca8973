//! The one audited unsafe module: a librdkafka consumer read by its batch call.
//!
//! The batch call costs half of polling single messages, but rdkafka's own consumer forces an unassign on
//! rebalance events that arrive on that path. So the whole consumer lives here, with our own callbacks.
//!
//! Invariants:
//! - The callbacks run inside [`RawConsumer::batch`] and [`RawConsumer::close`], on the calling thread
//!   (`RawConsumer` is `Send`, not `Sync`), so `Inbox` needs no lock. The log callback touches no state.
//! - A [`BatchMessage`] borrows from the batch; every message of a batch is destroyed when the batch is.
#![allow(unsafe_code, reason = "librdkafka's batch call has no safe wrapper; audited here and nowhere else")]

mod fetch;
mod metadata;
mod position;
mod topic_id;

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::fetch_size::FetchSize;
use super::notice::Notice;
use super::refusal::configuration_problem;
pub(super) use position::Position;
pub(super) use topic_id::TopicIdQuery;

#[derive(Default)]
struct Inbox {
    notices: RefCell<Vec<Notice>>,
    closing: std::cell::Cell<bool>,
}

/// A librdkafka call failed.
#[derive(Debug, thiserror::Error)]
#[error("{call}: {code}")]
pub(super) struct RawError {
    pub call: &'static str,
    pub code: RDKafkaErrorCode,
}

impl RawError {
    fn is(&self, err: RDKafkaRespErr) -> bool {
        self.code == RDKafkaErrorCode::from(err)
    }
}

fn check(call: &'static str, err: RDKafkaRespErr) -> Result<(), RawError> {
    match err {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        err => Err(RawError { call, code: err.into() }),
    }
}

pub(super) struct RawConsumer {
    handle: *mut rd::rd_kafka_t,
    queue: *mut rd::rd_kafka_queue_t,
    inbox: *mut Inbox,
    topic: CString,
    topic_name: String,
    messages: Vec<*mut rd::rd_kafka_message_t>,
    fetch_size: FetchSize,
}

// SAFETY: librdkafka handles may be used from any thread; the inbox is only touched by the thread that polls.
unsafe impl Send for RawConsumer {}

impl RawConsumer {
    pub(super) fn new(config: &ClientConfig, topic: &str, batch_messages: usize) -> Result<Self, String> {
        let native = config.create_native_config().map_err(|error| configuration_problem(&error))?;
        let topic_c = CString::new(topic).map_err(|_| "topic name holds a NUL byte".to_owned())?;
        let inbox = Box::into_raw(Box::new(Inbox::default()));
        let mut reason = [0 as c_char; 512];
        // SAFETY: the duplicated configuration is owned by rd_kafka_new on success and destroyed by us on failure;
        // the inbox outlives the handle (freed after rd_kafka_destroy in Drop).
        unsafe {
            let conf = rd::rd_kafka_conf_dup(native.ptr());
            rd::rd_kafka_conf_set_opaque(conf, inbox.cast());
            rd::rd_kafka_conf_set_rebalance_cb(conf, Some(on_rebalance));
            rd::rd_kafka_conf_set_error_cb(conf, Some(on_error));
            rd::rd_kafka_conf_set_log_cb(conf, Some(on_log));
            let handle =
                rd::rd_kafka_new(rd::rd_kafka_type_t::RD_KAFKA_CONSUMER, conf, reason.as_mut_ptr(), reason.len());
            if handle.is_null() {
                rd::rd_kafka_conf_destroy(conf);
                drop(Box::from_raw(inbox));
                return Err(CStr::from_ptr(reason.as_ptr()).to_string_lossy().into_owned());
            }
            rd::rd_kafka_poll_set_consumer(handle);
            let queue = rd::rd_kafka_queue_get_consumer(handle);
            let fetch_size = FetchSize::of(config, batch_messages);
            let consumer = Self {
                handle,
                queue,
                inbox,
                topic: topic_c,
                topic_name: topic.to_owned(),
                messages: vec![ptr::null_mut(); batch_messages],
                fetch_size,
            };
            fetch::set_fetch_bytes(handle, fetch_size.bytes()).map_err(|error| error.to_string())?;
            Ok(consumer)
        }
    }

    pub(super) fn subscribe(&self) -> Result<(), RawError> {
        let mut topics = TopicPartitionList::new();
        topics.add_partition(&self.topic_name, -1);
        // SAFETY: the list lives through the call.
        check("subscribe", unsafe { rd::rd_kafka_subscribe(self.handle, topics.ptr()) })
    }

    /// Cluster id, asked of the broker if not known yet.
    pub(super) fn cluster_id(&self, timeout: Duration) -> Option<String> {
        // SAFETY: the returned string is ours to free with rd_kafka_mem_free.
        unsafe {
            let id = rd::rd_kafka_clusterid(self.handle, millis(timeout));
            if id.is_null() {
                return None;
            }
            let text = CStr::from_ptr(id).to_string_lossy().into_owned();
            rd::rd_kafka_mem_free(self.handle, id.cast());
            Some(text)
        }
    }

    /// Waits up to `timeout` for a full batch; callbacks run meanwhile.
    pub(super) fn batch(&mut self, timeout: Duration) -> Result<Batch<'_>, RawError> {
        let most = self.fetch_size.messages().min(self.messages.len());
        // SAFETY: the buffer holds `most` pointers; librdkafka fills the first `count` of them.
        let count =
            unsafe { rd::rd_kafka_consume_batch_queue(self.queue, millis(timeout), self.messages.as_mut_ptr(), most) };
        if count < 0 {
            // SAFETY: reads a thread-local.
            return Err(RawError { call: "consume batch", code: unsafe { rd::rd_kafka_last_error() }.into() });
        }
        let (waiting, asked) = (self.waiting(), self.fetch_size.bytes());
        let batch = Batch { messages: &self.messages[..count as usize] };
        self.fetch_size.taken(batch.messages.len(), batch.iter().map(|message| message.bytes()).sum(), waiting);
        if self.fetch_size.bytes() != asked {
            // SAFETY: the handle lives as long as self.
            unsafe { fetch::set_fetch_bytes(self.handle, self.fetch_size.bytes())? }
        }
        Ok(batch)
    }

    pub(super) fn take_notices(&self) -> Vec<Notice> {
        // SAFETY: the inbox lives as long as self; callbacks only run inside batch() and close().
        unsafe { (*self.inbox).notices.take() }
    }

    /// Reads these partitions from these offsets, outside of any group.
    pub(super) fn assign(&self, starts: &[(i32, i64)]) -> Result<(), RawError> {
        let list = self.list(starts.iter().map(|(partition, offset)| (*partition, Some(*offset))))?;
        // SAFETY: the list is copied by the call.
        check("assign", unsafe { rd::rd_kafka_assign(self.handle, list.ptr()) })
    }

    pub(super) fn incremental_unassign(&self, partitions: &[i32]) -> Result<(), RawError> {
        let list = self.list(partitions.iter().map(|partition| (*partition, None)))?;
        // SAFETY: the list lives through the call; a returned error object is ours to destroy.
        unsafe { take_error("incremental unassign", rd::rd_kafka_incremental_unassign(self.handle, list.ptr())) }
    }

    pub(super) fn is_assigned(&self, partition: i32) -> bool {
        let mut list = ptr::null_mut();
        // SAFETY: on success the list is ours; it is read and destroyed here.
        unsafe {
            if rd::rd_kafka_assignment(self.handle, &mut list) != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return false;
            }
            let elements = elements(list);
            let found = elements.iter().any(|element| element.partition == partition);
            rd::rd_kafka_topic_partition_list_destroy(list);
            found
        }
    }

    pub(super) fn pause(&self, partitions: &[i32], paused: bool) -> Result<(), RawError> {
        let list = self.list(partitions.iter().map(|partition| (*partition, None)))?;
        // SAFETY: the list lives through the call.
        let err = unsafe {
            if paused {
                rd::rd_kafka_pause_partitions(self.handle, list.ptr())
            } else {
                rd::rd_kafka_resume_partitions(self.handle, list.ptr())
            }
        };
        check("pause or resume partitions", err)
    }

    /// Low watermark and last stable offset, asked of the broker.
    pub(super) fn watermarks(&self, partition: i32, timeout: Duration) -> Result<(i64, i64), RawError> {
        let (mut low, mut high) = (0, 0);
        // SAFETY: both out-pointers live through the call.
        let err = unsafe {
            rd::rd_kafka_query_watermark_offsets(
                self.handle,
                self.topic.as_ptr(),
                partition,
                &mut low,
                &mut high,
                millis(timeout),
            )
        };
        check("query watermark offsets", err).map(|()| (low, high))
    }

    /// Last stable offset as of the newest fetch; `None` before the first one.
    pub(super) fn known_end(&self, partition: i32) -> Option<i64> {
        let (mut low, mut high) = (0, 0);
        // SAFETY: both out-pointers live through the call, which asks no broker.
        let err = unsafe {
            rd::rd_kafka_get_watermark_offsets(self.handle, self.topic.as_ptr(), partition, &mut low, &mut high)
        };
        (check("get watermark offsets", err).is_ok() && high >= 0).then_some(high)
    }

    /// First offset whose timestamp is at or after `timestamp_ms`; None when there is none.
    pub(super) fn offset_for_time(
        &self,
        partition: i32,
        timestamp_ms: i64,
        timeout: Duration,
    ) -> Result<Option<i64>, RawError> {
        let list = self.list([(partition, Some(timestamp_ms))])?;
        #[cfg(feature = "mutant-offsets-elsewhere")]
        use rd::rd_kafka_committed as find;
        #[cfg(not(feature = "mutant-offsets-elsewhere"))]
        use rd::rd_kafka_offsets_for_times as find;
        // SAFETY: the list lives through the call, which writes the offsets into it.
        check("offsets for times", unsafe { find(self.handle, list.ptr(), millis(timeout)) })?;
        Ok(list.find_partition(&self.topic_name, partition).and_then(|found| match found.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }))
    }

    /// Commits to the group without waiting; for lag tools only.
    pub(super) fn commit_async(&self, offsets: &[(i32, i64)]) -> Result<(), RawError> {
        let list = self.list(offsets.iter().map(|(partition, offset)| (*partition, Some(*offset))))?;
        // SAFETY: the list is copied by the call.
        check("commit offsets", unsafe { rd::rd_kafka_commit(self.handle, list.ptr(), 1) })
    }

    /// Leaves the group. Rebalance callbacks run inside and give up the assignment themselves.
    pub(super) fn close(&mut self) -> Result<(), RawError> {
        // SAFETY: the inbox lives as long as self.
        unsafe {
            (*self.inbox).closing.set(true);
            check("close consumer", rd::rd_kafka_consumer_close(self.handle))
        }
    }

    fn list(&self, items: impl IntoIterator<Item = (i32, Option<i64>)>) -> Result<TopicPartitionList, RawError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in items {
            list.add_partition_offset(&self.topic_name, partition, offset.map_or(Offset::Invalid, Offset::Offset))
                .map_err(|_| RawError { call: "build partition list", code: RDKafkaErrorCode::InvalidArgument })?;
        }
        Ok(list)
    }
}

impl Drop for RawConsumer {
    fn drop(&mut self) {
        // SAFETY: nothing borrows from the handle any more; the inbox goes last, as callbacks may run in destroy.
        unsafe {
            (*self.inbox).closing.set(true);
            rd::rd_kafka_queue_destroy(self.queue);
            rd::rd_kafka_destroy(self.handle);
            drop(Box::from_raw(self.inbox));
        }
    }
}

/// Lets the first member of a group of an embedded cluster in at once; the default is to wait 3 s for others.
pub(super) fn skip_mock_rebalance_delay<C: ClientContext>(client: &Client<C>) {
    // SAFETY: the client is alive; without a mock cluster the handle is NULL and nothing is done.
    unsafe {
        let cluster = rd::rd_kafka_handle_mock_cluster(client.native_ptr());
        if !cluster.is_null() {
            rd::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
        }
    }
}

/// Messages of one batch call.
pub(super) struct Batch<'a> {
    messages: &'a [*mut rd::rd_kafka_message_t],
}

impl Batch<'_> {
    pub(super) fn iter(&self) -> impl Iterator<Item = BatchMessage<'_>> {
        // SAFETY: librdkafka handed out valid messages that live until Drop destroys them.
        self.messages.iter().map(|message| BatchMessage { raw: unsafe { &**message } })
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for message in self.messages {
            // SAFETY: each message is destroyed once, here.
            unsafe { rd::rd_kafka_message_destroy(*message) }
        }
    }
}

/// One entry of a batch: a message, an end-of-partition mark or an error.
pub(super) struct BatchMessage<'a> {
    raw: &'a rd::rd_kafka_message_t,
}

impl<'a> BatchMessage<'a> {
    pub(super) fn error(&self) -> Option<RDKafkaErrorCode> {
        match self.raw.err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => None,
            err => Some(err.into()),
        }
    }

    /// False for an error of the group or of the client.
    pub(super) fn is_of_partition(&self) -> bool {
        !self.raw.rkt.is_null()
    }

    pub(super) fn partition(&self) -> i32 {
        self.raw.partition
    }

    /// Also set on an end-of-partition mark: the next offset to be written.
    pub(super) fn offset(&self) -> i64 {
        self.raw.offset
    }

    /// Of key and payload.
    fn bytes(&self) -> usize {
        self.raw.key_len + self.raw.len
    }

    pub(super) fn payload(&self) -> Option<&'a [u8]> {
        // SAFETY: payload points to len bytes that live as long as the message.
        unsafe { bytes(self.raw.payload, self.raw.len) }
    }

    pub(super) fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: as above.
        unsafe { bytes(self.raw.key, self.raw.key_len) }
    }

    /// Of the leader that took the record from its producer.
    pub(super) fn leader_epoch(&self) -> Option<i32> {
        // SAFETY: the message is valid and came from a consumer.
        position::known_epoch(unsafe { rd::rd_kafka_message_leader_epoch(self.raw) })
    }

    pub(super) fn timestamp(&self) -> Option<i64> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid and the out-pointer lives through the call.
        let timestamp = unsafe { rd::rd_kafka_message_timestamp(self.raw, &mut kind) };
        (kind != rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && timestamp >= 0).then_some(timestamp)
    }

    /// Headers in order; a name that is no UTF-8 becomes U+FFFD.
    pub(super) fn headers(&self) -> Vec<(&'a str, Option<&'a [u8]>)> {
        let mut headers = ptr::null_mut();
        let mut found = Vec::new();
        // SAFETY: the header list and what it points to belong to the message.
        unsafe {
            if rd::rd_kafka_message_headers(self.raw, &mut headers) != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return found;
            }
            loop {
                let (mut name, mut value, mut len) = (ptr::null(), ptr::null(), 0);
                if rd::rd_kafka_header_get_all(headers, found.len(), &mut name, &mut value, &mut len)
                    != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
                {
                    return found;
                }
                let name = CStr::from_ptr(name).to_str().unwrap_or("\u{fffd}");
                found.push((name, bytes(value.cast_mut(), len)));
            }
        }
    }
}

/// SAFETY: `list` is a valid list that outlives the slice.
unsafe fn elements<'a>(list: *const rd::rd_kafka_topic_partition_list_t) -> &'a [rd::rd_kafka_topic_partition_t] {
    // SAFETY: promised by the caller; an empty list may have no element array.
    unsafe {
        match (*list).cnt {
            ..=0 => &[],
            count => std::slice::from_raw_parts((*list).elems, count as usize),
        }
    }
}

/// SAFETY: `start` is NULL or points to `len` bytes that live for 'a.
unsafe fn bytes<'a>(start: *mut c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: promised by the caller.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast::<u8>(), len) })
}

/// SAFETY: `error` is NULL or an error object that nobody else destroys.
unsafe fn take_error(call: &'static str, error: *mut rd::rd_kafka_error_t) -> Result<(), RawError> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: promised by the caller.
    unsafe {
        let code = rd::rd_kafka_error_code(error);
        rd::rd_kafka_error_destroy(error);
        check(call, code)
    }
}

fn millis(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX)
}

unsafe extern "C" fn on_rebalance(
    handle: *mut rd::rd_kafka_t,
    err: RDKafkaRespErr,
    partitions: *mut rd::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: opaque is the inbox of this handle; the list lives through the call; see the module's invariants.
    unsafe {
        let inbox = &*opaque.cast::<Inbox>();
        let assigning = err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
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
            Notice::Assign(numbers)
        } else {
            Notice::Revoke { partitions: numbers, lost: rd::rd_kafka_assignment_lost(handle) != 0 }
        });
    }
}

unsafe extern "C" fn on_error(handle: *mut rd::rd_kafka_t, err: c_int, reason: *const c_char, opaque: *mut c_void) {
    // SAFETY: as in on_rebalance; reason is a C string for the length of the call.
    unsafe {
        let inbox = &*opaque.cast::<Inbox>();
        let mut text = CStr::from_ptr(reason).to_string_lossy().into_owned();
        let mut code = RDKafkaErrorCode::from(std::mem::transmute::<c_int, RDKafkaRespErr>(err));
        let fatal = code == RDKafkaErrorCode::Fatal;
        if fatal {
            let mut buffer = [0 as c_char; 512];
            code = rd::rd_kafka_fatal_error(handle, buffer.as_mut_ptr(), buffer.len()).into();
            text = CStr::from_ptr(buffer.as_ptr()).to_string_lossy().into_owned();
        }
        inbox.notices.borrow_mut().push(Notice::Error { code, text, fatal });
    }
}

unsafe extern "C" fn on_log(_: *const rd::rd_kafka_t, level: c_int, facility: *const c_char, text: *const c_char) {
    // SAFETY: both are C strings for the length of the call.
    let (facility, text) =
        unsafe { (CStr::from_ptr(facility).to_string_lossy(), CStr::from_ptr(text).to_string_lossy()) };
    match level {
        ..=3 => tracing::debug!(target: "librdkafka", %facility, "{text}"),
        _ => tracing::trace!(target: "librdkafka", %facility, "{text}"),
    }
}

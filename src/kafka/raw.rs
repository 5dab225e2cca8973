//! The one audited unsafe module: a librdkafka consumer read by its batch call.
//!
//! The batch call costs half of polling single messages, but rdkafka's own consumer forces an unassign on
//! rebalance events that arrive on that path. So the whole consumer lives here, with our own callbacks.
//!
//! Invariants:
//! - The callbacks run inside [`RawConsumer::batch`] and [`RawConsumer::close`], on the calling thread (`RawConsumer`
//!   is `Send`, not `Sync`), so `CallbackInbox` needs no lock. The log callback touches no state, the socket callback
//!   only the atomics in `SocketGate`.
//! - A [`BatchMessage`] borrows from the batch; every message of a batch is destroyed when the batch is.
#![allow(unsafe_code, reason = "librdkafka's batch call has no safe wrapper; audited here and nowhere else")]

mod callbacks;
mod code;
mod fetch;
mod metadata;
mod native;
mod pace;
mod position;
mod topic_id;

use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::ptr;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList, bindings as rd};

use crate::kafka::group_consumer::fetch_size::FetchSize;
use crate::kafka::group_consumer::notice::ConsumerNotice;
use crate::kafka::refusal::configuration_problem;
use callbacks::{CallbackInbox, on_error, on_log, on_rebalance, on_socket};
pub(in crate::kafka) use code::RawError;
use code::{check_number, code_of};
use native::{bytes, check, elements, known_epoch, millis, take_error};
pub(in crate::kafka) use position::PartitionPosition;
pub(in crate::kafka) use topic_id::TopicIdQuery;

const OFFSET_FOR_TIME: &str = "offsets for times";

pub(in crate::kafka) struct RawConsumer {
    handle: *mut rd::rd_kafka_t,
    queue: *mut rd::rd_kafka_queue_t,
    inbox: *mut CallbackInbox,
    topic: CString,
    topic_name: String,
    messages: Vec<*mut rd::rd_kafka_message_t>,
    fetch_size: FetchSize,
}

// SAFETY: librdkafka handles may be used from any thread; the inbox is only touched by the thread that polls.
unsafe impl Send for RawConsumer {}

impl RawConsumer {
    pub(in crate::kafka) fn new(config: &ClientConfig, topic: &str, batch_messages: usize) -> Result<Self, String> {
        let native = config.create_native_config().map_err(|error| configuration_problem(&error))?;
        let topic_c = CString::new(topic).map_err(|_| "topic name holds a NUL byte".to_owned())?;
        let inbox = Box::into_raw(Box::new(CallbackInbox::default()));
        let mut reason = [0 as c_char; 512];
        // SAFETY: the duplicated configuration is owned by rd_kafka_new on success and destroyed by us on failure;
        // the inbox outlives the handle (freed after rd_kafka_destroy in Drop).
        unsafe {
            let conf = rd::rd_kafka_conf_dup(native.ptr());
            rd::rd_kafka_conf_set_opaque(conf, inbox.cast());
            code::rd_kafka_conf_set_rebalance_cb(conf, Some(on_rebalance));
            rd::rd_kafka_conf_set_error_cb(conf, Some(on_error));
            rd::rd_kafka_conf_set_log_cb(conf, Some(on_log));
            rd::rd_kafka_conf_set_socket_cb(conf, Some(on_socket));
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

    pub(in crate::kafka) fn subscribe(&self) -> Result<(), RawError> {
        let mut topics = TopicPartitionList::new();
        topics.add_partition(&self.topic_name, -1);
        // SAFETY: the list lives through the call.
        check("subscribe", unsafe { rd::rd_kafka_subscribe(self.handle, topics.ptr()) })
    }

    /// Returns the cluster id, and queries a broker if it isn't known yet.
    pub(in crate::kafka) fn cluster_id(&self, timeout: Duration) -> Option<String> {
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
    pub(in crate::kafka) fn batch(&mut self, timeout: Duration) -> Result<MessageBatch<'_>, RawError> {
        let most = self.fetch_size.messages().min(self.messages.len());
        // SAFETY: the buffer holds `most` pointers; librdkafka fills the first `count` of them.
        let count =
            unsafe { rd::rd_kafka_consume_batch_queue(self.queue, millis(timeout), self.messages.as_mut_ptr(), most) };
        if count < 0 {
            // SAFETY: reads a thread-local.
            check_number("consume batch", unsafe { code::rd_kafka_last_error() })?;
            return Ok(MessageBatch { messages: &[] });
        }
        let (waiting, asked) = (self.waiting(), self.fetch_size.bytes());
        let batch = MessageBatch { messages: &self.messages[..count as usize] };
        self.fetch_size.taken(batch.messages.len(), batch.iter().map(|message| message.bytes()).sum(), waiting);
        if self.fetch_size.bytes() != asked {
            // SAFETY: the handle lives as long as self.
            unsafe { fetch::set_fetch_bytes(self.handle, self.fetch_size.bytes())? }
        }
        Ok(batch)
    }

    /// Messages that were fetched and wait for a batch call.
    fn waiting(&self) -> usize {
        // SAFETY: the queue lives as long as self.
        unsafe { rd::rd_kafka_queue_length(self.queue) }
    }

    /// Attempts to connect so far.
    #[cfg(test)]
    pub(in crate::kafka) fn connects(&self) -> u32 {
        // SAFETY: the inbox lives as long as self; the counter is atomic.
        unsafe { (*self.inbox).sockets.opened() }
    }

    pub(in crate::kafka) fn take_notices(&self) -> Vec<ConsumerNotice> {
        // SAFETY: the inbox lives as long as self; callbacks only run inside batch() and close().
        unsafe { (*self.inbox).notices.take() }
    }

    /// Reads these partitions from these offsets, outside of any group.
    pub(in crate::kafka) fn assign(&self, starts: &[(i32, i64)]) -> Result<(), RawError> {
        let list = self.list(starts.iter().map(|(partition, offset)| (*partition, Some(*offset))))?;
        // SAFETY: the list is copied by the call.
        check("assign", unsafe { rd::rd_kafka_assign(self.handle, list.ptr()) })
    }

    pub(in crate::kafka) fn incremental_unassign(&self, partitions: &[i32]) -> Result<(), RawError> {
        let list = self.list(partitions.iter().map(|partition| (*partition, None)))?;
        // SAFETY: the list lives through the call; a returned error object is ours to destroy.
        unsafe { take_error("incremental unassign", rd::rd_kafka_incremental_unassign(self.handle, list.ptr())) }
    }

    pub(in crate::kafka) fn is_assigned(&self, partition: i32) -> bool {
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

    pub(in crate::kafka) fn pause(&self, partitions: &[i32], paused: bool) -> Result<(), RawError> {
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

    /// Queries the low watermark and the last stable offset from the broker.
    pub(in crate::kafka) fn watermarks(&self, partition: i32, timeout: Duration) -> Result<(i64, i64), RawError> {
        let (mut low, mut high) = (0, 0);
        // SAFETY: both out-pointers live through the call.
        let err = unsafe {
            code::rd_kafka_query_watermark_offsets(
                self.handle,
                self.topic.as_ptr(),
                partition,
                &mut low,
                &mut high,
                millis(timeout),
            )
        };
        check_number("query watermark offsets", err).map(|()| (low, high))
    }

    /// Last stable offset as of the newest fetch; `None` before the first one.
    pub(in crate::kafka) fn known_end(&self, partition: i32) -> Option<i64> {
        let (mut low, mut high) = (0, 0);
        // SAFETY: both out-pointers live through the call, which asks no broker.
        let err = unsafe {
            rd::rd_kafka_get_watermark_offsets(self.handle, self.topic.as_ptr(), partition, &mut low, &mut high)
        };
        (check("get watermark offsets", err).is_ok() && high >= 0).then_some(high)
    }

    /// First offset whose timestamp is at or after `timestamp_ms`; None when there is none.
    pub(in crate::kafka) fn offset_for_time(
        &self,
        partition: i32,
        timestamp_ms: i64,
        timeout: Duration,
    ) -> Result<Option<i64>, RawError> {
        let list = self.list([(partition, Some(timestamp_ms))])?;
        // SAFETY: the list lives through the calls; the first one writes an offset or an error into its only element.
        let (err, offset) = unsafe {
            let err = code::rd_kafka_offsets_for_times(self.handle, list.ptr(), millis(timeout));
            check_number(OFFSET_FOR_TIME, err)?;
            let element = (*list.ptr()).elems;
            (code::number_in(&raw const (*element).err), (*element).offset)
        };
        check_number(OFFSET_FOR_TIME, err).map(|()| (offset >= 0).then_some(offset))
    }

    /// Commits to the group without waiting; for lag tools only.
    pub(in crate::kafka) fn commit_async(&self, offsets: &[(i32, i64)]) -> Result<(), RawError> {
        let list = self.list(offsets.iter().map(|(partition, offset)| (*partition, Some(*offset))))?;
        // SAFETY: the list is copied by the call.
        check("commit offsets", unsafe { rd::rd_kafka_commit(self.handle, list.ptr(), 1) })
    }

    /// Leaves the group. Rebalance callbacks run inside and give up the assignment themselves.
    pub(in crate::kafka) fn close(&mut self) -> Result<(), RawError> {
        // SAFETY: the inbox lives as long as self.
        unsafe {
            (*self.inbox).close();
            check_number("close consumer", code::rd_kafka_consumer_close(self.handle))
        }
    }

    fn list(&self, items: impl IntoIterator<Item = (i32, Option<i64>)>) -> Result<TopicPartitionList, RawError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in items {
            list.add_partition_offset(&self.topic_name, partition, offset.map_or(Offset::Invalid, Offset::Offset))
                .map_err(|_| RawError::new("build partition list", RDKafkaErrorCode::InvalidArgument))?;
        }
        Ok(list)
    }
}

impl Drop for RawConsumer {
    fn drop(&mut self) {
        // SAFETY: nothing borrows from the handle any more; the inbox goes last, as callbacks may run in destroy.
        unsafe {
            (*self.inbox).close();
            rd::rd_kafka_queue_destroy(self.queue);
            rd::rd_kafka_destroy(self.handle);
            drop(Box::from_raw(self.inbox));
        }
    }
}

/// Lets the first member of a group of an embedded cluster in at once; the default is to wait 3 s for others.
pub(in crate::kafka) fn skip_mock_rebalance_delay<C: ClientContext>(client: &Client<C>) {
    // SAFETY: the client is alive; without a mock cluster the handle is NULL and nothing is done.
    unsafe {
        let cluster = rd::rd_kafka_handle_mock_cluster(client.native_ptr());
        if !cluster.is_null() {
            rd::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
        }
    }
}

/// Messages of one batch call.
pub(in crate::kafka) struct MessageBatch<'a> {
    messages: &'a [*mut rd::rd_kafka_message_t],
}

impl MessageBatch<'_> {
    pub(in crate::kafka) fn iter(&self) -> impl Iterator<Item = BatchMessage<'_>> {
        self.messages.iter().map(|message| BatchMessage { raw: *message, batch: PhantomData })
    }
}

impl Drop for MessageBatch<'_> {
    fn drop(&mut self) {
        for message in self.messages {
            // SAFETY: each message is destroyed once, here.
            unsafe { rd::rd_kafka_message_destroy(*message) }
        }
    }
}

/// One entry of a batch: a message, an end-of-partition mark or an error.
///
/// Invariant: librdkafka's message lives until the batch is dropped. No reference is made to it, as its error code may
/// be one that the bindings lack.
pub(in crate::kafka) struct BatchMessage<'a> {
    raw: *const rd::rd_kafka_message_t,
    batch: PhantomData<&'a [*mut rd::rd_kafka_message_t]>,
}

impl<'a> BatchMessage<'a> {
    pub(in crate::kafka) fn error(&self) -> Option<RDKafkaErrorCode> {
        // SAFETY: see the invariant.
        match unsafe { code::number_in(&raw const (*self.raw).err) } {
            0 => None,
            number => Some(code_of(number)),
        }
    }

    /// Returns false for an error of the group or of the client.
    pub(in crate::kafka) fn is_of_partition(&self) -> bool {
        // SAFETY: see the invariant.
        unsafe { !(*self.raw).rkt.is_null() }
    }

    pub(in crate::kafka) fn partition(&self) -> i32 {
        // SAFETY: see the invariant.
        unsafe { (*self.raw).partition }
    }

    /// Also set on an end-of-partition mark: the next offset to be written.
    pub(in crate::kafka) fn offset(&self) -> i64 {
        // SAFETY: see the invariant.
        unsafe { (*self.raw).offset }
    }

    /// Bytes of key and payload.
    fn bytes(&self) -> usize {
        // SAFETY: see the invariant.
        unsafe { (*self.raw).key_len + (*self.raw).len }
    }

    pub(in crate::kafka) fn payload(&self) -> Option<&'a [u8]> {
        // SAFETY: payload points to len bytes that live as long as the message.
        unsafe { bytes((*self.raw).payload, (*self.raw).len) }
    }

    pub(in crate::kafka) fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: as above.
        unsafe { bytes((*self.raw).key, (*self.raw).key_len) }
    }

    /// Epoch of the leader that received the record from its producer.
    pub(in crate::kafka) fn leader_epoch(&self) -> Option<i32> {
        // SAFETY: the message is valid and came from a consumer.
        known_epoch(unsafe { rd::rd_kafka_message_leader_epoch(self.raw) })
    }

    pub(in crate::kafka) fn timestamp(&self) -> Option<i64> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid and the out-pointer lives through the call.
        let timestamp = unsafe { rd::rd_kafka_message_timestamp(self.raw, &mut kind) };
        (kind != rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && timestamp >= 0).then_some(timestamp)
    }

    /// Headers in order; a name that is no UTF-8 becomes U+FFFD.
    pub(in crate::kafka) fn headers(&self) -> Vec<(&'a str, Option<&'a [u8]>)> {
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

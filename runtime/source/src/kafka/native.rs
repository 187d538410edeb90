//! The source's unsafe code, beside [`super::leaders`]: what librdkafka has and rdkafka's safe API lacks. These are
//! queues that are read in batches, whose messages are borrowed from the fetch buffer (twice as fast per core as
//! `BaseConsumer::poll`), and the topics' ids.
//!
//! Every type here holds the client that its pointers belong to, and frees the pointers before it releases the client.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_int};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::consumer::Consumer;
use rdkafka::types::RDKafkaErrorCode;

use super::client::Client;

/// The most messages taken from librdkafka in one call. The lock and the clock reading of a call are shared by this
/// many records; the pointers take 32 KiB, which fits into the first-level cache.
const BATCH_MESSAGES_MAX: usize = 4096;

/// The librdkafka queue of one lane.
pub(super) struct Queue {
    raw: NonNull<sys::rd_kafka_queue_t>,
    batch: Vec<*mut sys::rd_kafka_message_t>,
    // Dropped after `raw` has been destroyed: librdkafka can't close a client while a queue of it is alive.
    client: Arc<Client>,
}

// SAFETY: librdkafka's queues may be used from any thread ("librdkafka is completely thread-safe", INTRODUCTION.md).
// `batch` holds no pointers between two calls of `read`, and `read` needs the queue exclusively.
unsafe impl Send for Queue {}

impl Queue {
    /// Creates the queue; `None` only if librdkafka is out of memory.
    pub(super) fn new(client: Arc<Client>) -> Option<Self> {
        // SAFETY: `client` keeps the client alive.
        let raw = NonNull::new(unsafe { sys::rd_kafka_queue_new(client.client().native_ptr()) })?;
        Some(Self { raw, batch: vec![ptr::null_mut(); BATCH_MESSAGES_MAX], client })
    }

    /// Forwards everything that is or will be fetched from a partition, its events included, to this queue. Call this
    /// before the partition is assigned. Then nothing from it can reach the consumer's own queue, because librdkafka
    /// keeps the application's forwarding when it starts to fetch (`rd_kafka_toppar_op_fetch_start`). An unassign
    /// removes the forwarding, and it has to be set again.
    ///
    /// False if the topic's name is invalid.
    #[must_use]
    pub(super) fn take_in(&self, topic: &CStr, partition: i32) -> bool {
        // SAFETY: the client is alive and `topic` is a C string that the call copies.
        let queue =
            unsafe { sys::rd_kafka_queue_get_partition(self.client.client().native_ptr(), topic.as_ptr(), partition) };
        let Some(queue) = NonNull::new(queue) else { return false };
        // SAFETY: both queues are alive here. Afterwards the partition holds a reference to this lane's queue, so that
        // either may be destroyed first. The handle to the partition's queue is given back and not used again.
        unsafe {
            sys::rd_kafka_queue_forward(queue.as_ptr(), self.raw.as_ptr());
            sys::rd_kafka_queue_destroy(queue.as_ptr());
        }
        true
    }

    /// Takes at most `max` messages. It waits at most `timeout` for the first message and does not wait for more.
    pub(super) fn read(&mut self, timeout: Duration, max: usize) -> Messages<'_> {
        let max = max.min(self.batch.len());
        let mut len = self.fill(0, max, Duration::ZERO);
        // Two calls, because librdkafka waits until the batch is full and not until it has a first message.
        if len == 0 && max > 0 && !timeout.is_zero() {
            len = self.fill(0, 1, timeout);
            if len > 0 {
                len += self.fill(len, max, Duration::ZERO);
            }
        }
        Messages { batch: self.batch[..len].iter(), _queue: PhantomData }
    }

    fn fill(&mut self, from: usize, to: usize, timeout: Duration) -> usize {
        let room = &mut self.batch[from..to];
        if room.is_empty() {
            return 0;
        }
        // SAFETY: the queue is alive. librdkafka writes at most `room.len()` pointers, and from then on we own them.
        let n = unsafe {
            sys::rd_kafka_consume_batch_queue(self.raw.as_ptr(), millis(timeout), room.as_mut_ptr(), room.len())
        };
        usize::try_from(n).unwrap_or(0)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: `rd_kafka_queue_new` created the queue, and it is destroyed once, while the client still lives.
        unsafe { sys::rd_kafka_queue_destroy(self.raw.as_ptr()) }
    }
}

/// The messages of one read. Those that the caller does not take are given back.
pub(super) struct Messages<'q> {
    batch: slice::Iter<'q, *mut sys::rd_kafka_message_t>,
    _queue: PhantomData<&'q mut Queue>,
}

impl<'q> Iterator for Messages<'q> {
    type Item = Message<'q>;

    fn next(&mut self) -> Option<Message<'q>> {
        let raw = *self.batch.next()?;
        NonNull::new(raw).map(|raw| Message { raw, _queue: PhantomData })
    }
}

impl Drop for Messages<'_> {
    fn drop(&mut self) {
        for _ in self.by_ref() {}
    }
}

/// The timestamp of a record in Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    pub set_by: TimeSetBy,
}

/// Whose clock set a timestamp: `message.timestamp.type` of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSetBy {
    /// The producer's clock: `CreateTime`.
    Producer,
    /// The broker's clock: `LogAppendTime`.
    Broker,
}

/// A record or an event of a partition.
pub(super) struct Message<'q> {
    raw: NonNull<sys::rd_kafka_message_t>,
    _queue: PhantomData<&'q mut Queue>,
}

impl Message<'_> {
    fn get(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: the pointer came from `rd_kafka_consume_batch_queue` and is destroyed only when `self` is dropped.
        unsafe { self.raw.as_ref() }
    }

    pub(super) fn error(&self) -> Option<RDKafkaErrorCode> {
        let code = self.get().err;
        (code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| code.into())
    }

    pub(super) fn error_text(&self) -> String {
        // SAFETY: the message is alive; the answer is null or a C string that lives as long as the message.
        unsafe { text(sys::rd_kafka_message_errstr(self.raw.as_ptr())) }
    }

    /// Equal for two messages of a batch if and only if they belong to the same topic. The value means nothing beyond
    /// the batch.
    pub(super) fn topic_handle(&self) -> usize {
        self.get().rkt as usize
    }

    pub(super) fn topic(&self) -> Option<&CStr> {
        let topic = self.get().rkt;
        // SAFETY: the message keeps a topic that is not null alive, and the name lives as long as the topic.
        (!topic.is_null()).then(|| unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(topic)) })
    }

    pub(super) fn partition(&self) -> i32 {
        self.get().partition
    }

    pub(super) fn offset(&self) -> i64 {
        self.get().offset
    }

    pub(super) fn timestamp(&self) -> Option<Timestamp> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive, and the call writes to `kind` only until it returns.
        let at_ms = unsafe { sys::rd_kafka_message_timestamp(self.raw.as_ptr(), &raw mut kind) };
        let set_by = match kind {
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => TimeSetBy::Producer,
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => TimeSetBy::Broker,
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => return None,
        };
        (at_ms >= 0).then_some(Timestamp { at_ms, set_by })
    }

    /// The epoch of the leader that wrote the record; `None` if the brokers are too old to report it.
    pub(super) fn leader_epoch(&self) -> Option<i32> {
        // SAFETY: the message is alive.
        let epoch = unsafe { sys::rd_kafka_message_leader_epoch(self.raw.as_ptr()) };
        (epoch >= 0).then_some(epoch)
    }

    pub(super) fn key(&self) -> Option<&[u8]> {
        let m = self.get();
        // SAFETY: a key that is not null has `key_len` bytes, which live as long as the message.
        unsafe { bytes(m.key.cast(), m.key_len) }
    }

    /// The record's value; `None` for a tombstone.
    pub(super) fn value(&self) -> Option<&[u8]> {
        let m = self.get();
        // SAFETY: a payload that is not null has `len` bytes, which live as long as the message.
        unsafe { bytes(m.payload.cast(), m.len) }
    }
}

/// The headers of a record. They are read from the fetch buffer only when they are asked for.
#[derive(Clone, Copy, Default)]
pub struct Headers<'m>(Option<&'m Message<'m>>);

impl<'m> Headers<'m> {
    pub(super) fn of(message: &'m Message<'m>) -> Self {
        Self(Some(message))
    }

    /// Calls `f` with each name and value, in the record's order.
    ///
    /// # Errors
    /// The record's bytes are malformed; in that case `f` was not called.
    pub fn each(self, mut f: impl FnMut(&'m CStr, Option<&'m [u8]>)) -> Result<(), String> {
        let Some(message) = self.0 else { return Ok(()) };
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive, and it owns what is found.
        let error = unsafe { sys::rd_kafka_message_headers(message.raw.as_ptr(), &raw mut headers) };
        match error {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => {}
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__NOENT => return Ok(()),
            error => return Err(format!("the headers can't be read: {}", RDKafkaErrorCode::from(error))),
        }
        for at in 0.. {
            let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
            // SAFETY: `headers` was found above. Name and value belong to it and so to the message, which lives for
            // `'m`.
            unsafe {
                let error = sys::rd_kafka_header_get_all(headers, at, &raw mut name, &raw mut value, &raw mut length);
                if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
                    break;
                }
                f(CStr::from_ptr(name), bytes(value.cast(), length));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        let listed = self.each(|name, value| {
            list.entry(&(name, value));
        });
        match listed {
            Ok(()) => list.finish(),
            Err(unreadable) => f.write_str(&unreadable),
        }
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        // SAFETY: we own the message, and no borrow from it is alive.
        unsafe { sys::rd_kafka_message_destroy(self.raw.as_ptr()) }
    }
}

/// The high watermark as of the last fetch, without a request to the broker.
pub(super) fn cached_high_watermark(client: &Client, topic: &CStr, partition: i32) -> Option<i64> {
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the client is alive, `topic` is a C string, and both integers outlive the call.
    let error = unsafe {
        sys::rd_kafka_get_watermark_offsets(
            client.client().native_ptr(),
            topic.as_ptr(),
            partition,
            &raw mut low,
            &raw mut high,
        )
    };
    (error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
}

/// Asks for the ids of topics (KIP-516). An id is `None` if the broker is too old to have one.
pub(super) fn describe_topics(
    client: &Client,
    topics: &[CString],
    timeout: Duration,
) -> Result<Vec<(String, Answer)>, RDKafkaErrorCode> {
    let native = client.client().native_ptr();
    let mut names: Vec<_> = topics.iter().map(|t| t.as_ptr()).collect();
    let mut found = Vec::with_capacity(topics.len());
    // SAFETY: every object is created and destroyed here, once, on each way out. What is read from the event is copied
    // before the event is destroyed. `names` and `topics` outlive the call that copies them.
    unsafe {
        let queue = sys::rd_kafka_queue_new(native);
        let options =
            sys::rd_kafka_AdminOptions_new(native, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        sys::rd_kafka_AdminOptions_set_request_timeout(options, millis(timeout).max(1), ptr::null_mut(), 0);
        let collection = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        sys::rd_kafka_DescribeTopics(native, collection, options, queue);
        sys::rd_kafka_TopicCollection_destroy(collection);
        sys::rd_kafka_AdminOptions_destroy(options);
        // librdkafka answers at the request's own timeout at the latest; the extra time lets that answer arrive.
        let event = sys::rd_kafka_queue_poll(queue, millis(timeout).saturating_add(500));
        let error = if event.is_null() {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT
        } else {
            sys::rd_kafka_event_error(event)
        };
        if error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            let mut count = 0;
            let list = sys::rd_kafka_DescribeTopics_result_topics(
                sys::rd_kafka_event_DescribeTopics_result(event),
                &raw mut count,
            );
            for i in 0..count {
                let topic = *list.add(i);
                let code = sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(topic));
                let answer = if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                    let id = text(sys::rd_kafka_Uuid_base64str(sys::rd_kafka_TopicDescription_topic_id(topic)));
                    Ok((id != ZERO_ID && !id.is_empty()).then_some(id))
                } else {
                    Err(code.into())
                };
                found.push((text(sys::rd_kafka_TopicDescription_name(topic)), answer));
            }
        }
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_queue_destroy(queue);
        if error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(found) } else { Err(error.into()) }
    }
}

/// The answer about one topic.
pub(super) type Answer = Result<Option<String>, RDKafkaErrorCode>;

/// The all-zero id in base64, which brokers before Kafka 2.8 and the mock cluster report.
const ZERO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

pub(super) fn millis(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX)
}

/// # Safety
/// `from` is null or a C string.
pub(super) unsafe fn text(from: *const std::ffi::c_char) -> String {
    if from.is_null() {
        return String::new();
    }
    // SAFETY: the pointer is not null, so it is a C string by this function's contract.
    unsafe { CStr::from_ptr(from) }.to_string_lossy().into_owned()
}

/// # Safety
/// `from` is null or points to `len` bytes that live for `'a`.
unsafe fn bytes<'a>(from: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the pointer is not null, so it points to `len` bytes by this function's contract.
    (!from.is_null()).then(|| unsafe { slice::from_raw_parts(from, len) })
}

//! Unsafe code, with [`super::leaders`] the only one of the source: what librdkafka has and rdkafka's safe API lacks.
//! Queues read in batches, whose messages are borrowed from the fetch buffer (twice as fast per core as
//! `BaseConsumer::poll`), and the topics' ids.
//!
//! Every type here holds the client that its pointers belong to, and lets go of the pointers first.
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

use super::Client;

/// Messages taken from librdkafka in one call. The lock and the clock reading of a call are spread over this many
/// records; the pointers take 32 KiB, which stays in the first-level cache.
const BATCH_MESSAGES_MAX: usize = 4096;

/// The librdkafka queue of one lane.
pub(super) struct Queue {
    raw: NonNull<sys::rd_kafka_queue_t>,
    batch: Vec<*mut sys::rd_kafka_message_t>,
    // Dropped after `raw` has been destroyed: librdkafka waits in vain for a client whose queues live on.
    client: Arc<Client>,
}

// SAFETY: librdkafka's queues may be used from any thread ("librdkafka is completely thread-safe", INTRODUCTION.md);
// `batch` holds no pointers between two calls of `read`, and `read` needs the queue exclusively.
unsafe impl Send for Queue {}

impl Queue {
    /// `None` only if librdkafka is out of memory.
    pub(super) fn new(client: Arc<Client>) -> Option<Self> {
        // SAFETY: the client is alive, `client` keeps it so.
        let raw = NonNull::new(unsafe { sys::rd_kafka_queue_new(client.client().native_ptr()) })?;
        Some(Self { raw, batch: vec![ptr::null_mut(); BATCH_MESSAGES_MAX], client })
    }

    /// Sends everything that is or will be fetched from a partition, its events included, to this queue. Before the
    /// partition is assigned: then nothing of it can get to the consumer's own queue, because librdkafka leaves a
    /// forwarding of the application's alone when it starts to fetch (`rd_kafka_toppar_op_fetch_start`). After an
    /// unassign the forwarding is gone and has to be set again.
    ///
    /// False if there is no such topic name.
    #[must_use]
    pub(super) fn take_in(&self, topic: &CStr, partition: i32) -> bool {
        // SAFETY: the client is alive and `topic` is a C string that the call copies.
        let queue =
            unsafe { sys::rd_kafka_queue_get_partition(self.client.client().native_ptr(), topic.as_ptr(), partition) };
        let Some(queue) = NonNull::new(queue) else { return false };
        // SAFETY: both queues are alive here. Afterwards the partition holds a reference to this lane's queue, so that
        // either may go first; the handle to the partition's queue is given back and not used again.
        unsafe {
            sys::rd_kafka_queue_forward(queue.as_ptr(), self.raw.as_ptr());
            sys::rd_kafka_queue_destroy(queue.as_ptr());
        }
        true
    }

    /// Takes at most `max` messages; waits for the first for at most `timeout`, for the others not at all.
    pub(super) fn read(&mut self, timeout: Duration, max: usize) -> Messages<'_> {
        let max = max.min(self.batch.len());
        let mut len = self.fill(0, max, Duration::ZERO);
        // Two calls, because librdkafka waits until the batch is full, not until there is something in it.
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
        // SAFETY: the queue is alive; librdkafka writes at most `room.len()` pointers, and from then on they belong to
        // us.
        let n = unsafe {
            sys::rd_kafka_consume_batch_queue(self.raw.as_ptr(), millis(timeout), room.as_mut_ptr(), room.len())
        };
        usize::try_from(n).unwrap_or(0)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_queue_new`, destroyed once, while the client still lives.
        unsafe { sys::rd_kafka_queue_destroy(self.raw.as_ptr()) }
    }
}

/// What one read took. Messages that are not asked for are given back.
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

/// The time that a record has in Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    pub set_by: TimeSetBy,
}

/// Whose clock it was: `message.timestamp.type` of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSetBy {
    /// `CreateTime`.
    Producer,
    /// `LogAppendTime`.
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
        // SAFETY: the message is alive; the answer is null or a C string that lives as long as it.
        unsafe { text(sys::rd_kafka_message_errstr(self.raw.as_ptr())) }
    }

    /// Equal for two messages of a batch if and only if they are of the same topic. Means nothing beyond the batch.
    pub(super) fn topic_handle(&self) -> usize {
        self.get().rkt as usize
    }

    pub(super) fn topic(&self) -> Option<&CStr> {
        let topic = self.get().rkt;
        // SAFETY: a topic that is not null is kept by the message, and its name lives as long as it.
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
        // SAFETY: the message is alive and `kind` is written to only during the call.
        let at_ms = unsafe { sys::rd_kafka_message_timestamp(self.raw.as_ptr(), &raw mut kind) };
        let set_by = match kind {
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => TimeSetBy::Producer,
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => TimeSetBy::Broker,
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => return None,
        };
        (at_ms >= 0).then_some(Timestamp { at_ms, set_by })
    }

    /// Of the leader that wrote the record; `None` where brokers are too old to tell.
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

    /// `None` for a tombstone.
    pub(super) fn value(&self) -> Option<&[u8]> {
        let m = self.get();
        // SAFETY: a payload that is not null has `len` bytes, which live as long as the message.
        unsafe { bytes(m.payload.cast(), m.len) }
    }
}

/// The headers of a record. They are found in the fetch buffer when they are asked for, and not before.
#[derive(Clone, Copy, Default)]
pub struct Headers<'m>(Option<&'m Message<'m>>);

impl<'m> Headers<'m> {
    pub(super) fn of(message: &'m Message<'m>) -> Self {
        Self(Some(message))
    }

    /// Each name and value, in the record's order.
    ///
    /// # Errors
    /// If the record's bytes are not what they should be; `f` was called with none of them.
    pub fn each(self, mut f: impl FnMut(&'m CStr, Option<&'m [u8]>)) -> Result<(), String> {
        let Some(message) = self.0 else { return Ok(()) };
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive, and what is found belongs to it.
        let error = unsafe { sys::rd_kafka_message_headers(message.raw.as_ptr(), &raw mut headers) };
        match error {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => {}
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__NOENT => return Ok(()),
            error => return Err(format!("the headers can't be read: {}", RDKafkaErrorCode::from(error))),
        }
        for at in 0.. {
            let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
            // SAFETY: `headers` was found above; name and value belong to it, that is to the message, which lives for
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
        // SAFETY: we own the message, and nothing borrowed from it is alive.
        unsafe { sys::rd_kafka_message_destroy(self.raw.as_ptr()) }
    }
}

/// The high watermark as of the last fetch, without asking the broker.
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

/// Asks for the ids of topics (KIP-516). An id is `None` where the broker is too old to have one.
pub(super) fn describe_topics(
    client: &Client,
    topics: &[CString],
    timeout: Duration,
) -> Result<Vec<(String, Answer)>, RDKafkaErrorCode> {
    let native = client.client().native_ptr();
    let mut names: Vec<_> = topics.iter().map(|t| t.as_ptr()).collect();
    let mut found = Vec::with_capacity(topics.len());
    // SAFETY: every object is made here and destroyed here, once, on each way out. What is read from the event is
    // copied before the event is destroyed. `names` and `topics` outlive the call that copies them.
    unsafe {
        let queue = sys::rd_kafka_queue_new(native);
        let options =
            sys::rd_kafka_AdminOptions_new(native, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        sys::rd_kafka_AdminOptions_set_request_timeout(options, millis(timeout).max(1), ptr::null_mut(), 0);
        let collection = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        sys::rd_kafka_DescribeTopics(native, collection, options, queue);
        sys::rd_kafka_TopicCollection_destroy(collection);
        sys::rd_kafka_AdminOptions_destroy(options);
        // librdkafka answers at the request's own timeout at the latest; the margin lets that answer arrive.
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

/// What was said about one topic.
pub(super) type Answer = Result<Option<String>, RDKafkaErrorCode>;

/// The all-zero id in base64: a broker before Kafka 2.8, or the mock.
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
    // SAFETY: not null, so a C string by this function's contract.
    unsafe { CStr::from_ptr(from) }.to_string_lossy().into_owned()
}

/// # Safety
/// `from` is null or points to `len` bytes that live for `'a`.
unsafe fn bytes<'a>(from: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: not null, so `len` bytes by this function's contract.
    (!from.is_null()).then(|| unsafe { slice::from_raw_parts(from, len) })
}

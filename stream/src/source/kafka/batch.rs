//! Many records from a Kafka consumer in one call.
//!
//! rust-rdkafka hands out one record a call, each in an event of its own. Librdkafka's `rd_kafka_consume_batch_queue`
//! takes what its queue holds at once, which costs less than half a record. This module is all there is between the
//! two, and the only place in the engine with code that the compiler cannot check.

#![expect(unsafe_code, reason = "calls librdkafka, for which rust-rdkafka has no safe call")]

use std::{
    ffi::{CStr, c_void},
    ptr::{self, NonNull},
    slice,
};

use rdkafka::{
    bindings::{
        rd_kafka_consume_batch_queue, rd_kafka_header_get_all, rd_kafka_message_destroy,
        rd_kafka_message_headers, rd_kafka_message_leader_epoch, rd_kafka_message_t,
        rd_kafka_message_timestamp, rd_kafka_queue_destroy, rd_kafka_queue_get_consumer, rd_kafka_queue_t,
        rd_kafka_timestamp_type_t, rd_kafka_topic_name,
    },
    consumer::{BaseConsumer, Consumer},
    error::{IsError, KafkaError},
    message::BorrowedMessage,
    types::RDKafkaRespErr,
};

use crate::{
    source::{Envelope, Header},
    table::Envelopes,
};

/// A record, for as long as it is looked at.
pub(super) struct Record<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) payload: &'a [u8],
    /// What came with it, as far as that is wanted.
    pub(super) envelope: Option<Envelope<'a>>,
}

/// What a batch holds.
pub(super) enum Taken<'a> {
    Record(Record<'a>),
    /// There are no more records for now; the next one will have this offset.
    End {
        topic: &'a str,
        partition: i32,
        offset: i64,
    },
    Failed(KafkaError),
}

/// A consumer and its queue.
pub(super) struct BatchConsumer {
    /// Dropped first: it belongs to the consumer.
    queue: Queue,
    consumer: BaseConsumer,
}

struct Queue(NonNull<rd_kafka_queue_t>);

// SAFETY: librdkafka's queues are guarded by their own locks and may be used from any thread.
unsafe impl Send for Queue {}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the queue came from `rd_kafka_queue_get_consumer`, whose reference is given back once.
        unsafe { rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

impl BatchConsumer {
    /// Reads what `consumer` is assigned to; `None` if it has no queue, which a consumer with a group always has.
    pub(super) fn new(consumer: BaseConsumer) -> Option<Self> {
        // SAFETY: the client lives as long as the consumer, which outlives the queue (see the order of fields).
        let queue = unsafe { rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        Some(BatchConsumer { queue: Queue(NonNull::new(queue)?), consumer })
    }

    /// The consumer. What its own poll hands out is missing from the batches.
    pub(super) fn consumer(&self) -> &BaseConsumer {
        &self.consumer
    }

    /// Shows the records that are there now, at most so many, and what is said of partitions among them. What
    /// concerns a broker as a whole and lies between two records is only logged by librdkafka: it comes again by the
    /// consumer's own poll, but not before there is a moment without records.
    pub(super) fn take(&mut self, most: usize, envelopes: Envelopes, mut each: impl FnMut(Taken<'_>)) {
        let mut messages: Vec<*mut rd_kafka_message_t> = vec![ptr::null_mut(); most];
        // SAFETY: the queue is alive, and there is room for `most` pointers.
        let taken =
            unsafe { rd_kafka_consume_batch_queue(self.queue.0.as_ptr(), 0, messages.as_mut_ptr(), most) };
        // Negative where the queue is gone, which the consumer's own poll will tell.
        let taken = usize::try_from(taken).unwrap_or_default();
        for message in messages.into_iter().take(taken) {
            let message = Message(message);
            // SAFETY: librdkafka filled the pointer in; the message is its own until it is given back.
            each(unsafe { read(message.0, envelopes) });
        }
    }
}

/// A message that is to be given back.
struct Message(*mut rd_kafka_message_t);

/// A record that the safe call handed out.
pub(super) fn record<'a>(message: &'a BorrowedMessage<'_>, envelopes: Envelopes) -> Taken<'a> {
    // SAFETY: the message is a whole one, which lives as long as it is borrowed.
    unsafe { read(message.ptr(), envelopes) }
}

/// What a message says.
///
/// # Safety
///
/// It is a whole one that librdkafka handed out, and stays so as long as the caller says.
unsafe fn read<'a>(message: *mut rd_kafka_message_t, envelopes: Envelopes) -> Taken<'a> {
    // SAFETY: the caller's.
    let whole = unsafe { &*message };
    if whole.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF {
        return Taken::End { topic: topic(whole), partition: whole.partition, offset: whole.offset };
    }
    if whole.err.is_error() {
        return Taken::Failed(KafkaError::MessageConsumption(whole.err.into()));
    }
    // SAFETY: a payload that is there has `len` bytes and lives as long as its message.
    let payload = unsafe { bytes(whole.payload, whole.len) }.unwrap_or_default();
    Taken::Record(Record {
        topic: topic(whole),
        partition: whole.partition,
        offset: whole.offset,
        payload,
        envelope: (envelopes != Envelopes::None).then(|| {
            // SAFETY: the caller's.
            unsafe { envelope(message, envelopes) }
        }),
    })
}

/// What came with a record.
///
/// # Safety
///
/// As for [`read`].
unsafe fn envelope<'a>(message: *mut rd_kafka_message_t, envelopes: Envelopes) -> Envelope<'a> {
    let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    // SAFETY: the message is a whole one, says the caller, and `kind` may be written to.
    let millis = unsafe { rd_kafka_message_timestamp(message, &raw mut kind) };
    // SAFETY: likewise.
    let leader_epoch = unsafe { rd_kafka_message_leader_epoch(message) };
    // SAFETY: a key that is there has `key_len` bytes and lives as long as its message.
    let key = unsafe { bytes((*message).key, (*message).key_len) };
    Envelope {
        key,
        timestamp_ms: (millis != -1).then_some(millis),
        timestamp_type: match kind {
            rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => CREATED,
            rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => APPENDED,
            rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => NO_TIME,
        },
        leader_epoch: (leader_epoch >= 0).then_some(leader_epoch),
        headers: match envelopes {
            // SAFETY: the caller's.
            Envelopes::Whole => unsafe { headers(message) },
            _ => Vec::new(),
        },
    }
}

/// A record's headers. The safe calls of rust-rdkafka take it that names are UTF-8, and panic where one is not.
///
/// # Safety
///
/// As for [`read`].
unsafe fn headers<'a>(message: *const rd_kafka_message_t) -> Vec<Header<'a>> {
    let mut all = ptr::null_mut();
    // SAFETY: the message is a whole one, says the caller, and `all` may be written to.
    if unsafe { rd_kafka_message_headers(message, &raw mut all) }.is_error() {
        return Vec::new();
    }
    let mut headers = Vec::new();
    loop {
        let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the headers belong to the message and live as long; the others may be written to.
        let answer = unsafe {
            rd_kafka_header_get_all(all, headers.len(), &raw mut name, &raw mut value, &raw mut length)
        };
        if answer.is_error() {
            return headers;
        }
        // SAFETY: a name ends with a zero; a value that is there has `length` bytes. Both live as long as the message.
        let (name, value) = unsafe { (CStr::from_ptr(name).to_bytes(), bytes(value, length)) };
        headers.push(Header { name, value });
    }
}

/// Names of timestamps' types, as Kafka and Flink have them.
const CREATED: &str = "CreateTime";
const APPENDED: &str = "LogAppendTime";
const NO_TIME: &str = "NoTimestampType";

/// Bytes of librdkafka's; `None` where there are none.
///
/// # Safety
///
/// What `start` points to, if anything, has `length` bytes and lives as long as the caller says.
unsafe fn bytes<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast::<u8>(), length) })
}

/// The topic of a record or of a partition's end; topics' names are ASCII.
fn topic(message: &rd_kafka_message_t) -> &str {
    if message.rkt.cast::<c_void>().is_null() {
        return "";
    }
    // SAFETY: a record's topic is alive as long as the record, and its name ends with a zero.
    let name = unsafe { CStr::from_ptr(rd_kafka_topic_name(message.rkt)) };
    name.to_str().unwrap_or_default()
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: each message of a batch is given back once, and nobody holds on to what was read of it.
        unsafe { rd_kafka_message_destroy(self.0) }
    }
}

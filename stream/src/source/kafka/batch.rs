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
        rd_kafka_consume_batch_queue, rd_kafka_message_destroy, rd_kafka_message_t,
        rd_kafka_message_timestamp, rd_kafka_queue_destroy, rd_kafka_queue_get_consumer, rd_kafka_queue_t,
        rd_kafka_timestamp_type_t, rd_kafka_topic_name,
    },
    consumer::{BaseConsumer, Consumer},
    error::{IsError, KafkaError},
    types::RDKafkaRespErr,
};

use crate::source::Envelope;

/// A record, for as long as it is looked at.
pub(super) struct Record<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) payload: &'a [u8],
    /// What came with it, where that is wanted.
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
    pub(super) fn take(&mut self, most: usize, envelopes: bool, mut each: impl FnMut(Taken<'_>)) {
        let mut messages: Vec<*mut rd_kafka_message_t> = vec![ptr::null_mut(); most];
        // SAFETY: the queue is alive, and there is room for `most` pointers.
        let taken =
            unsafe { rd_kafka_consume_batch_queue(self.queue.0.as_ptr(), 0, messages.as_mut_ptr(), most) };
        // Negative where the queue is gone, which the consumer's own poll will tell.
        let taken = usize::try_from(taken).unwrap_or_default();
        for message in messages.into_iter().take(taken) {
            let message = Message(message);
            each(message.read(envelopes));
        }
    }
}

/// A message that is to be given back.
struct Message(*mut rd_kafka_message_t);

impl Message {
    fn read(&self, envelopes: bool) -> Taken<'_> {
        // SAFETY: librdkafka filled the pointer in; the message is its own until `rd_kafka_message_destroy`.
        let message = unsafe { &*self.0 };
        if message.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF {
            return Taken::End {
                topic: topic(message),
                partition: message.partition,
                offset: message.offset,
            };
        }
        if message.err.is_error() {
            return Taken::Failed(KafkaError::MessageConsumption(message.err.into()));
        }
        // SAFETY: a payload that is there has `len` bytes and lives as long as its message.
        let payload = unsafe { bytes(message.payload, message.len) }.unwrap_or_default();
        Taken::Record(Record {
            topic: topic(message),
            partition: message.partition,
            offset: message.offset,
            payload,
            envelope: envelopes.then(|| self.envelope(message)),
        })
    }

    fn envelope<'a>(&'a self, message: &'a rd_kafka_message_t) -> Envelope<'a> {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is a whole one that librdkafka handed out, and `kind` may be written to.
        let millis = unsafe { rd_kafka_message_timestamp(self.0, &raw mut kind) };
        // SAFETY: a key that is there has `key_len` bytes and lives as long as its message.
        let key = unsafe { bytes(message.key, message.key_len) };
        Envelope {
            key,
            timestamp_ms: (millis != -1).then_some(millis),
            timestamp_type: match kind {
                rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => CREATED,
                rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => APPENDED,
                rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => NO_TIME,
            },
        }
    }
}

/// Names of timestamps' types, as Kafka and Flink have them.
pub(super) const CREATED: &str = "CreateTime";
pub(super) const APPENDED: &str = "LogAppendTime";
pub(super) const NO_TIME: &str = "NoTimestampType";

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

//! A bare consume with librdkafka's batch call on the consumer's queue, which is the cheapest way to get records from
//! it.
#![allow(unsafe_code)]

use std::time::{Duration, Instant};

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const BATCH: usize = 8192;
const IDLE: Duration = Duration::from_secs(20);

/// Passes `count` record values to `f`, from the earliest on.
pub fn each(bootstrap: &str, topic: &str, count: u64, mut f: impl FnMut(&[u8])) -> Result<u64, String> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "weir-bench")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("fetch.wait.max.ms", "20")
        .set("queued.max.messages.kbytes", "65536")
        .create()
        .map_err(|e| e.to_string())?;
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(20)).map_err(|e| e.to_string())?;
    let partitions = metadata.topics().first().map_or(0, |t| t.partitions().len());
    let mut assignment = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions).map_err(|e| e.to_string())? {
        assignment.add_partition_offset(topic, partition, Offset::Beginning).map_err(|e| e.to_string())?;
    }
    consumer.assign(&assignment).map_err(|e| e.to_string())?;
    let mut batch = vec![std::ptr::null_mut::<sys::rd_kafka_message_t>(); BATCH];
    let (mut seen, mut last) = (0, Instant::now());
    // SAFETY: the client outlives the queue, which is destroyed below.
    let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
    while seen < count && last.elapsed() < IDLE {
        // SAFETY: `batch` has room for BATCH messages, and each one handed out is destroyed exactly once.
        let got = unsafe { sys::rd_kafka_consume_batch_queue(queue, 50, batch.as_mut_ptr(), BATCH) };
        for message in &batch[..usize::try_from(got).unwrap_or(0)] {
            // SAFETY: librdkafka owns the message until it is destroyed; its payload is valid as long.
            unsafe {
                let m = &**message;
                if m.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && !m.payload.is_null() && seen < count {
                    f(std::slice::from_raw_parts(m.payload.cast::<u8>(), m.len));
                    seen += 1;
                    last = Instant::now();
                }
                sys::rd_kafka_message_destroy(*message);
            }
        }
    }
    // SAFETY: obtained above, and not used after.
    unsafe { sys::rd_kafka_queue_destroy(queue) };
    if seen < count { Err(format!("read {seen} of {count} records, then none for {IDLE:?}")) } else { Ok(seen) }
}

//! Sends the records of `records` to a topic, as fast as the broker accepts them or at a rate.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::records::{EventTime, Shape};

/// Writes records to a topic, which must exist.
#[derive(Debug, Clone, clap::Args)]
pub struct ProduceArgs {
    #[command(flatten)]
    pub shape: Shape,
    /// Records per second; if absent, as many as the broker accepts.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: Option<u64>,
    /// Sets `ts` to the clock's time, which is also the record's timestamp in Kafka, to measure latencies.
    #[arg(long)]
    pub now: bool,
}

/// The result of sending.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub records: u64,
    pub bytes: u64,
}

/// Records between two looks at the clock and the errors: at 50,000 a second, four milliseconds.
const CHUNK: u64 = 200;
/// The time for the first answer of a broker, and for the acknowledgement of a record.
const WITHIN: Duration = Duration::from_secs(60);
/// The wait until there is room in the queue, or the next record is due. It is a sleep, since the client's own `poll`
/// spins during waits as short as this.
const WAIT: Duration = Duration::from_millis(1);
/// Records in the client's queue. They are few enough to be in the processor's caches when their turn comes; half a
/// million cost nearly twice as much.
const QUEUED_RECORDS_MAX: u32 = 20_000;

/// Returns when the broker has acknowledged all `count` records.
///
/// # Errors
/// If the topic's metadata can't be fetched, or a record is not acknowledged in time.
pub fn produce(bootstrap: &str, topic: &str, count: u64, args: &ProduceArgs) -> Result<Sent, String> {
    args.shape.check()?;
    let failed = |e: KafkaError| format!("topic `{topic}` on Kafka at {bootstrap}: {e}");
    let producer = connect(bootstrap).map_err(failed)?;
    let metadata = producer.client().fetch_metadata(Some(topic), WITHIN).map_err(failed)?;
    let partitions = metadata.topics().first().map_or(0, |t| t.partitions().len());
    let partitions = i32::try_from(partitions).unwrap_or(0);
    if partitions == 0 {
        return Err(format!("topic `{topic}` on Kafka at {bootstrap} has no partitions: create it first"));
    }
    let (began, mut value, mut bytes, mut next) = (Instant::now(), Vec::with_capacity(16 << 10), 0, 0);
    while next < count {
        producer.poll(Duration::ZERO);
        producer.context().check(topic)?;
        let due = args.rate.map_or(count, |rate| due_after(began.elapsed(), rate)).min(count);
        if due <= next {
            std::thread::sleep(WAIT);
            continue;
        }
        let now_ms = now_ms();
        for _ in 0..CHUNK.min(due - next) {
            value.clear();
            let event_time = if args.now { EventTime::Ms(now_ms) } else { EventTime::OfWindow };
            let partition = args.shape.write(next, event_time, partitions, &mut value);
            let mut record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(&value);
            if args.now {
                record = record.timestamp(i64::try_from(now_ms).unwrap_or(i64::MAX));
            }
            match producer.send(record) {
                Ok(()) => {
                    next += 1;
                    bytes += value.len() as u64;
                }
                Err((KafkaError::MessageProduction(Code::QueueFull), _)) => {
                    // The record is made again after the wait, with a later time.
                    std::thread::sleep(WAIT);
                    break;
                }
                Err((error, _)) => return Err(failed(error)),
            }
        }
    }
    let flushed = producer.flush(WITHIN);
    producer.context().check(topic)?;
    flushed.map_err(failed)?;
    Ok(Sent { records: count, bytes })
}

/// How many records a rate requires after this time, so that a delay is made up for. The first record is due at once.
fn due_after(elapsed: Duration, rate: u64) -> u64 {
    u64::try_from(elapsed.as_micros() * u128::from(rate) / 1_000_000).unwrap_or(u64::MAX).saturating_add(1)
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn connect(bootstrap: &str) -> Result<BaseProducer<FirstFailure>, KafkaError> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("client.id", "weir-bench")
        .set("enable.idempotence", "true")
        .set("compression.type", "lz4")
        // A record of a slow producer waits at most a tenth of the shortest latency that is measured.
        .set("linger.ms", "5")
        .set("batch.num.messages", "10000")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.messages", QUEUED_RECORDS_MAX.to_string())
        .set("queue.buffering.max.kbytes", "131072")
        .set("message.timeout.ms", WITHIN.as_millis().to_string())
        .set("delivery.report.only.error", "true")
        .set("allow.auto.create.topics", "false")
        .set("log.connection.close", "false")
        .set_log_level(RDKafkaLogLevel::Error);
    BaseProducer::from_config_and_context(&config, FirstFailure::default())
}

/// Remembers why the first failed record was not delivered.
#[derive(Default)]
struct FirstFailure(Mutex<Option<String>>);

impl FirstFailure {
    fn check(&self, topic: &str) -> Result<(), String> {
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().map_or(Ok(()), |why| Err(format!("topic `{topic}`: a record was not acknowledged: {why}")))
    }
}

impl ClientContext for FirstFailure {}

impl ProducerContext for FirstFailure {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_kept_and_caught_up_with() {
        assert_eq!(due_after(Duration::ZERO, 50_000), 1);
        assert_eq!(due_after(Duration::from_millis(2_500), 50_000), 125_001);
    }
}

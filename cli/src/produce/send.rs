//! Sends simulated records to a topic, at the pace that the caller sets.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use weir_runtime::clock::{since, steady};
use weir_runtime::failure::{Failure, Result};
use weir_runtime::source::kafka::access::Access;

use super::delivery::{Delivery, Target, partition_count};
use super::partition::partition_of;

/// A simulated record.
pub trait Record {
    /// Appends the record's key. Records without one go to the partitions in turn.
    fn write_key(&self, out: &mut Vec<u8>);
    /// Appends the record's value, which is JSON.
    fn write_json(&self, out: &mut Vec<u8>);
}

/// How much has been sent so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Records that were handed to the client.
    pub records: u64,
    /// How many of them still wait for the broker's acknowledgement.
    pub waiting: u64,
    pub value_bytes: u64,
    pub elapsed: Duration,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Send up to this many records; fewer if the client's queue is full.
    Send(u64),
    /// Send nothing for this long.
    Wait(Duration),
    /// Send no more. Records that were handed to the client still arrive.
    Stop,
}

/// The number of records that are sent before the pace, errors and the clock are checked again.
const CHUNK: u64 = 2_000;

/// The longest wait before the pace is checked again.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// The time limit for a broker's first answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long a record may wait for its acknowledgement, which includes a broker's restart.
const DELIVER_WITHIN: Duration = Duration::from_secs(60);

/// The capacity of the client's queue: the records of a second at full speed. A full queue slows the sender down if the
/// broker is slower.
const QUEUED_RECORDS_MAX: u32 = 500_000;
const QUEUED_KIB_MAX: u32 = 128 * 1024;

/// Sends all records, or until `pace` says `Stop`, and returns when the broker has acknowledged all of them. `pace` is
/// asked before each chunk.
///
/// # Errors
/// `Config` if the topic does not exist, `Retry` if no broker can be reached or acknowledges a record in time.
pub fn send<R: Record>(
    target: &Target,
    mut records: impl Iterator<Item = R>,
    mut pace: impl FnMut(&Sent) -> Pace,
) -> Result<Sent> {
    let started = steady();
    let producer = connect(target.access.clone())?;
    let partitions = partition_count(&producer, target, CONNECT_WITHIN)?;
    let (mut key, mut value) = (Vec::with_capacity(16), Vec::with_capacity(256));
    let mut sent = Sent { records: 0, waiting: 0, value_bytes: 0, elapsed: Duration::ZERO };
    let mut held_back = None;
    'sending: loop {
        sent.waiting = u64::try_from(producer.in_flight_count()).unwrap_or(0);
        sent.elapsed = since(started);
        let allowed = match pace(&sent) {
            Pace::Send(records) => records.min(CHUNK),
            Pace::Stop => break,
            Pace::Wait(wait) => {
                producer.poll(wait.min(WAIT_MAX));
                producer.context().check(target)?;
                continue;
            }
        };
        for _ in 0..allowed {
            let Some(next) = held_back.take().or_else(|| records.next()) else { break 'sending };
            key.clear();
            value.clear();
            next.write_key(&mut key);
            next.write_json(&mut value);
            let record = BaseRecord::<[u8], [u8]>::to(&target.topic).payload(&value);
            let record = if key.is_empty() {
                record.partition(in_turn(sent.records, partitions))
            } else {
                record.partition(partition_of(&key, partitions)).key(&key)
            };
            match producer.send(record) {
                Ok(()) => {
                    sent.records += 1;
                    sent.value_bytes += value.len() as u64;
                }
                Err((KafkaError::MessageProduction(Code::QueueFull), _)) => {
                    held_back = Some(next);
                    producer.poll(WAIT_MAX);
                    break;
                }
                Err((error, _)) => {
                    return Err(Failure::config(format!("topic {}: the record was refused: {error}", target.topic)));
                }
            }
        }
        producer.poll(Duration::ZERO);
        producer.context().check(target)?;
    }
    let flushed = producer.flush(DELIVER_WITHIN);
    producer.context().check(target)?;
    flushed.map_err(|e| producer.context().explain(target, &format!("not every record was acknowledged: {e}")))?;
    Ok(Sent { waiting: 0, elapsed: since(started), ..sent })
}

fn in_turn(nth: u64, partitions: i32) -> i32 {
    let partitions = u64::from(partitions.unsigned_abs()).max(1);
    i32::try_from(nth % partitions).unwrap_or(0)
}

fn connect(mut access: Access) -> Result<BaseProducer<Delivery>> {
    let mut config = ClientConfig::new();
    config
        .set("client.id", "weir-produce")
        // Retries then neither repeat nor reorder records, so the same run gives the same partitions.
        .set("enable.idempotence", "true")
        .set("compression.type", "lz4")
        // At full speed batches fill up anyway, and at ten records per second this delay does not matter.
        .set("linger.ms", "20")
        .set("batch.num.messages", "10000")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.messages", QUEUED_RECORDS_MAX.to_string())
        .set("queue.buffering.max.kbytes", QUEUED_KIB_MAX.to_string())
        .set("message.timeout.ms", DELIVER_WITHIN.as_millis().to_string())
        // Success is not reported: a callback per record would cost as much as the record.
        .set("delivery.report.only.error", "true")
        .set("allow.auto.create.topics", "false")
        .set("log.connection.close", "false")
        .set_log_level(RDKafkaLogLevel::Error);
    access.configure(&mut config)?;
    BaseProducer::from_config_and_context(&config, Delivery::by(access.clone()))
        .map_err(|e| Failure::config(format!("Kafka connection to {}: {e}", access.bootstrap_servers())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rdkafka::Message;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::{Offset, TopicPartitionList};
    use weir_plan::plan::KafkaConnection;
    use weir_runtime::failure::Remedy;
    use weir_runtime::storage::Secrets;

    use std::time::Instant;

    use super::*;
    use crate::produce::rides::{EventPace, Rides, RidesSpec};

    fn rides(count: u64) -> Rides {
        let pace = EventPace::PerSecond(10);
        Rides::new(RidesSpec { seed: 1, count: Some(count), start_us: 0, pace, disorder_us: 0, late_per_million: 0 })
    }

    fn target(cluster: &MockCluster<'_, DefaultProducerContext>, topic: &str) -> Target {
        let connection = KafkaConnection::plaintext(cluster.bootstrap_servers());
        Target { access: Access::new(&connection, &Secrets::default()), topic: topic.to_owned() }
    }

    /// Every record as (partition, key, value), sorted by partition and offset.
    fn read(target: &Target, partitions: i32, count: usize) -> Vec<(i32, Vec<u8>, Vec<u8>)> {
        let mut config = ClientConfig::new();
        let consumer: BaseConsumer =
            config.set("bootstrap.servers", target.access.bootstrap_servers()).set("group.id", "t").create().unwrap();
        let mut list = TopicPartitionList::new();
        for p in 0..partitions {
            list.add_partition_offset(&target.topic, p, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut found = Vec::new();
        let until = Instant::now() + Duration::from_secs(30);
        while found.len() < count {
            assert!(Instant::now() < until, "{} of {count}", found.len());
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                let m = message.unwrap();
                found.push((m.partition(), m.key().unwrap().to_vec(), m.payload().unwrap().to_vec()));
            }
        }
        found.sort_by_key(|(p, ..)| *p);
        found
    }

    #[test]
    fn every_ride_arrives_once_in_its_keys_partition_in_order_whatever_the_pace() {
        let cluster = MockCluster::new(1).unwrap();
        let mut expected: Vec<_> = rides(5_000)
            .map(|ride| {
                let (mut key, mut value) = (Vec::new(), Vec::new());
                ride.write_key(&mut key);
                ride.write_json(&mut value);
                (partition_of(&key, 3), key, value)
            })
            .collect();
        expected.sort_by_key(|(p, ..)| *p);
        for (topic, chunk) in [("slow", 7), ("fast", u64::MAX)] {
            cluster.create_topic(topic, 3, 1).unwrap();
            let target = target(&cluster, topic);
            let sent = send(&target, rides(5_000), |_| Pace::Send(chunk)).unwrap();
            assert_eq!((sent.records, sent.waiting), (5_000, 0));
            assert_eq!(read(&target, 3, 5_000), expected);
        }
    }

    #[test]
    fn pace_stops_and_holds_back() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("a", 1, 1).unwrap();
        let target = target(&cluster, "a");
        let mut asked = 0;
        let sent = send(&target, rides(1_000), |sent| {
            asked += 1;
            match asked {
                1 => Pace::Send(10),
                2 => Pace::Wait(Duration::from_millis(1)),
                3 => Pace::Send(5),
                _ => {
                    assert_eq!(sent.records, 15);
                    Pace::Stop
                }
            }
        });
        assert_eq!(sent.unwrap().records, 15);
    }

    #[test]
    fn broker_that_refuses_a_record_ends_it_with_a_sentence() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("a", 1, 1).unwrap();
        let refusal = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
        cluster.request_errors(rdkafka::types::RDKafkaApiKey::Produce, &[refusal; 5]);
        let target = target(&cluster, "a");
        let failure = send(&target, rides(10), |_| Pace::Send(10)).unwrap_err();
        assert_eq!(failure.remedy, Remedy::Config, "a person must grant the right");
        assert!(failure.message.contains("a record for partition 0 was not delivered"), "{failure}");
    }
}

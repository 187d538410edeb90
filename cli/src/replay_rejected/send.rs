//! Produces letters to Kafka as the records that they were, with headers that say where they come from. When `settle`
//! returns, all letters taken so far are acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use weir_runtime::clock::steady;
use weir_runtime::failure::{Failure, Result};
use weir_runtime::source::kafka::access::Access;

use super::letter::{Letter, Origin};
use super::walk::{Outlet, Position};
use crate::produce::delivery::{Delivery, Target, partition_count};
use crate::produce::partition::partition_of;

/// The header with the rejected record's `topic/partition/offset`.
pub const FROM_HEADER: &str = "weir-replayed-from";
/// The header with the reason why the record was rejected.
pub const REASON_HEADER: &str = "weir-replayed-reason";

/// The capacity of the client's queue, in KiB. A batch fits, unless its records are very large; then the full queue
/// slows the sender down.
const QUEUED_KIB_MAX: u32 = 64 * 1024;
/// The largest value that the client allows. The broker decides whether a record is too large; it accepted this record
/// once.
const RECORD_BYTES_MAX: u32 = 1_000_000_000;
/// The time between two checks for the client's messages.
const POLL: Duration = Duration::from_millis(100);
/// How much longer a flush waits than a record, so that the record's own deadline passes first: its error says more.
const FLUSH_MARGIN: Duration = Duration::from_secs(5);

/// Where letters are produced to.
#[derive(Clone)]
pub struct Destination {
    /// How the brokers are reached.
    pub access: Access,
    /// The topic. `None`: each record's own topic.
    pub topic: Option<String>,
    /// How long brokers may be unavailable, and how long a record may wait for its acknowledgement.
    pub patience: Duration,
}

pub struct Sender {
    producer: BaseProducer<Delivery>,
    destination: Destination,
    /// The topics of the letters so far, with their number of partitions.
    topics: BTreeMap<String, (Target, i32)>,
    /// The topic of the last letter, for an error about a missing acknowledgement.
    last: Option<String>,
}

impl Sender {
    /// Creates the client. This sends no request to the brokers yet.
    pub fn connect(mut destination: Destination) -> Result<Self> {
        let mut config = ClientConfig::new();
        config
            .set("client.id", "weir-replay-rejected")
            // The client's own retries then neither repeat nor reorder records. This setting implies acks=all.
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            .set("message.max.bytes", RECORD_BYTES_MAX.to_string())
            .set("queue.buffering.max.kbytes", QUEUED_KIB_MAX.to_string())
            .set("message.timeout.ms", destination.patience.as_millis().to_string())
            // Success is not reported.
            .set("delivery.report.only.error", "true")
            .set("allow.auto.create.topics", "false")
            .set("log.connection.close", "false")
            .set_log_level(RDKafkaLogLevel::Error);
        destination.access.configure(&mut config)?;
        let producer = BaseProducer::from_config_and_context(&config, Delivery::by(destination.access.clone()))
            .map_err(|e| {
                Failure::config(format!("Kafka connection to {}: {e}", destination.access.bootstrap_servers()))
            })?;
        Ok(Self { producer, destination, topics: BTreeMap::new(), last: None })
    }

    /// The topics to which letters were produced.
    #[must_use]
    pub fn topics(&self) -> String {
        let names: Vec<&str> = self.topics.keys().map(String::as_str).collect();
        if names.is_empty() { "no topic".to_owned() } else { names.join(", ") }
    }

    /// The topic and the partition for a letter.
    fn place(&mut self, letter: &Letter<'_>) -> Result<(Target, i32)> {
        let topic = self.destination.topic.as_deref().unwrap_or(letter.origin.topic);
        if !self.topics.contains_key(topic) {
            let target = Target { access: self.destination.access.clone(), topic: topic.to_owned() };
            let count = partition_count(&self.producer, &target, self.destination.patience)?;
            self.topics.insert(topic.to_owned(), (target, count));
        }
        let Some((target, count)) = self.topics.get(topic) else {
            return Err(Failure::bug("a topic that was just found is gone"));
        };
        let partition = partition_for(letter, topic, *count).map_err(Failure::config)?;
        Ok((target.clone(), partition))
    }
}

impl Outlet for Sender {
    fn take(&mut self, letter: &Letter<'_>) -> Result<()> {
        let (target, partition) = self.place(letter)?;
        let from = letter.origin.to_string();
        let headers = OwnedHeaders::new_with_capacity(2)
            .insert(Header { key: FROM_HEADER, value: Some(&from) })
            .insert(Header { key: REASON_HEADER, value: Some(letter.reason) });
        let mut record = BaseRecord::<[u8], [u8]>::to(&target.topic).partition(partition).headers(headers);
        (record.key, record.payload, record.timestamp) = (letter.key, letter.value, letter.timestamp_ms);
        let until = steady() + self.destination.patience;
        while let Err((error, unsent)) = self.producer.send(record) {
            let full = matches!(error, KafkaError::MessageProduction(Code::QueueFull));
            self.producer.context().check(&target)?;
            if !full || steady() >= until {
                let why = format!("the record replayed from {from} was refused: {error}");
                let failure = self.producer.context().explain(&target, &why);
                return Err(if full { failure } else { Failure::config(failure.message) });
            }
            record = unsent;
            self.producer.poll(POLL);
        }
        self.producer.poll(Duration::ZERO);
        self.last = Some(target.topic);
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        let Some((target, _)) = self.last.as_ref().and_then(|topic| self.topics.get(topic)) else { return Ok(()) };
        let flushed = self.producer.flush(self.destination.patience + FLUSH_MARGIN);
        self.producer.context().check(target)?;
        flushed.map_err(|e| self.producer.context().explain(target, &format!("not every record was acknowledged: {e}")))
    }

    fn report(&self, letters: u64, next: Position) -> String {
        format!("{letters} dead letters replayed; next: {next}")
    }
}

/// The partition for a letter. In its own topic, a record returns to its partition, as its producer chose it; in
/// another topic, its key decides.
fn partition_for(letter: &Letter<'_>, topic: &str, count: i32) -> Result<i32, String> {
    let Letter { origin, key, .. } = letter;
    let Origin { partition, .. } = *origin;
    if topic == origin.topic {
        return if partition < count {
            Ok(partition)
        } else {
            Err(format!(
                "topic {topic} has {count} partitions, and the record {origin} is from another one: write --topic with \
                 another topic"
            ))
        };
    }
    Ok(key.map_or_else(|| partition.checked_rem(count).unwrap_or(0), |key| partition_of(key, count)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::message::{Headers, Message};
    use rdkafka::mocking::MockCluster;
    use rdkafka::{Offset, TopicPartitionList};
    use weir_plan::plan::KafkaConnection;
    use weir_runtime::failure::Remedy;
    use weir_runtime::storage::Secrets;

    use super::super::letter::tests::letter;
    use std::time::Instant;

    use super::*;

    fn destination(cluster: &MockCluster<'_, rdkafka::producer::DefaultProducerContext>) -> Destination {
        let access = Access::new(&KafkaConnection::plaintext(cluster.bootstrap_servers()), &Secrets::default());
        Destination { access, topic: None, patience: Duration::from_secs(30) }
    }

    #[test]
    fn a_record_goes_back_to_its_partition_and_elsewhere_to_that_of_its_key() {
        let keyless = Letter { key: None, ..letter(7, "") };
        assert_eq!(partition_for(&letter(7, ""), "rides", 4), Ok(3));
        assert_eq!(partition_for(&letter(7, ""), "other", 4), Ok(partition_of(b"k", 4)));
        assert_eq!(partition_for(&keyless, "other", 2), Ok(1));
        let says = "topic rides has 3 partitions, and the record rides/3/7 is from another one: write --topic with \
                    another topic";
        assert_eq!(partition_for(&letter(7, ""), "rides", 3), Err(says.to_owned()));
    }

    type Found = (Option<Vec<u8>>, Option<Vec<u8>>, Option<i64>, Vec<(String, Vec<u8>)>);

    fn read(bootstrap: &str, count: usize) -> Vec<Found> {
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", bootstrap).set("group.id", "t").create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("rides", 3, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let mut found = Vec::new();
        let until = Instant::now() + Duration::from_secs(30);
        while found.len() < count {
            assert!(Instant::now() < until, "{} of {count}", found.len());
            if let Some(message) = consumer.poll(POLL) {
                let m = message.unwrap();
                let headers =
                    m.headers().unwrap().iter().map(|h| (h.key.to_owned(), h.value.unwrap().to_vec())).collect();
                found.push((
                    m.key().map(<[u8]>::to_vec),
                    m.payload().map(<[u8]>::to_vec),
                    m.timestamp().to_millis(),
                    headers,
                ));
            }
        }
        found
    }

    #[test]
    fn keys_values_and_times_arrive_as_they_were_with_where_they_are_from() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("rides", 4, 1).unwrap();
        let mut sender = Sender::connect(destination(&cluster)).unwrap();
        let letters = [
            letter(7, "no JSON"),
            Letter { key: None, value: None, ..letter(8, "a tombstone") },
            Letter { key: Some(b""), value: Some(b""), ..letter(9, "empty") },
            Letter { key: Some(b"\xff\x00"), value: Some(b"\x00\xff"), ..letter(10, "\u{e9}") },
        ];
        letters.iter().for_each(|l| sender.take(l).unwrap());
        sender.settle().unwrap();
        let expected: Vec<Found> = letters
            .iter()
            .map(|l| {
                let headers = vec![
                    (FROM_HEADER.to_owned(), l.origin.to_string().into_bytes()),
                    (REASON_HEADER.to_owned(), l.reason.as_bytes().to_vec()),
                ];
                (l.key.map(<[u8]>::to_vec), l.value.map(<[u8]>::to_vec), l.timestamp_ms, headers)
            })
            .collect();
        assert_eq!(read(&cluster.bootstrap_servers(), 4), expected);
        assert_eq!(sender.topics(), "rides");
    }

    #[test]
    fn a_record_that_the_broker_refuses_is_named_by_where_it_is_from() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("rides", 4, 1).unwrap();
        let refusal = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
        cluster.request_errors(rdkafka::types::RDKafkaApiKey::Produce, &[refusal; 5]);
        let mut sender = Sender::connect(destination(&cluster)).unwrap();
        sender.take(&letter(7, "no JSON")).unwrap();
        let failure = sender.settle().unwrap_err();
        assert_eq!(failure.remedy, Remedy::Config);
        assert!(
            failure.message.contains("a record for partition 3 (weir-replayed-from: rides/3/7) was not delivered"),
            "{failure}"
        );
    }
}

//! Topics as a plain client sees them: creates, deletes, produces, and reads everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// One record to produce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub partition: i32,
    pub key: Option<String>,
    pub value: Vec<u8>,
}

/// A record as Kafka has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    pub key: Option<Vec<u8>>,
    /// `None`: a tombstone.
    pub value: Option<Vec<u8>>,
    pub timestamp_ms: Option<i64>,
    /// When the broker acknowledged the record to its producer, by this machine's clock, for records that [`produce`]
    /// has sent.
    pub acknowledged_us: Option<i64>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl From<Vec<u8>> for Stored {
    fn from(value: Vec<u8>) -> Self {
        Self { value: Some(value), ..Self::default() }
    }
}

/// A topic's records by partition and offset, as a plain consumer reads them. A partition without records is an empty
/// map.
pub type Contents = BTreeMap<i32, BTreeMap<i64, Stored>>;

const ADMIN_LIMIT: Duration = Duration::from_secs(120);
const READ_LIMIT: Duration = Duration::from_secs(240);
/// The longest timeout that a broker accepts by default, so that only the test ends its transaction.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(900);

/// Creates a topic and waits until every partition has a leader.
pub fn create(bootstrap: &str, topic: &str, partitions: i32) {
    create_as(bootstrap, &NewTopic::new(topic, partitions, TopicReplication::Fixed(1)));
}

/// Creates a topic with its own settings or replicas, and waits until every partition has a leader.
pub fn create_as(bootstrap: &str, new: &NewTopic<'_>) {
    let (topic, partitions) = (new.name, new.num_partitions);
    let results = wait_for(async { admin(bootstrap).create_topics([new], &AdminOptions::new()).await });
    for result in results.unwrap() {
        result.unwrap_or_else(|(name, code)| panic!("topic {name} can't be created: {code}"));
    }
    wait_for_leaders(bootstrap, topic, partitions);
}

/// Adds partitions to a topic until it has this many.
pub fn add_partitions(bootstrap: &str, topic: &str, partitions: i32) {
    let more = NewPartitions::new(topic, usize::try_from(partitions).unwrap());
    for result in wait_for(async { admin(bootstrap).create_partitions(&[more], &AdminOptions::new()).await }).unwrap() {
        result.unwrap_or_else(|(name, code)| panic!("topic {name} can't be given more partitions: {code}"));
    }
    wait_for_leaders(bootstrap, topic, partitions);
}

fn wait_for_leaders(bootstrap: &str, topic: &str, partitions: i32) {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
    crate::deadline::until(&format!("topic {topic} has its leaders"), ADMIN_LIMIT, || {
        let metadata = client.fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
        let partitions_led = metadata.topics().first()?.partitions().iter().filter(|p| p.leader() >= 0).count();
        (partitions_led == usize::try_from(partitions).ok()?).then_some(())
    });
}

/// Waits until each partition has this many in-sync replicas.
pub fn wait_for_replicas(bootstrap: &str, topic: &str, replicas: usize) {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
    crate::deadline::until(&format!("{topic} has its replicas"), ADMIN_LIMIT, || {
        let metadata = client.fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
        metadata.topics().first()?.partitions().iter().all(|p| p.isr().len() >= replicas).then_some(())
    });
}

/// Gives a topic these settings, removes all other settings of the topic, and returns when the broker applies them: a
/// compaction that is no longer wanted has been aborted by then.
pub fn configure(bootstrap: &str, topic: &str, settings: &[(&str, &str)]) {
    let none = AlterConfig::new(ResourceSpecifier::Topic(topic));
    let config = settings.iter().fold(none, |config, (name, value)| config.set(name, value));
    let results = wait_for(async { admin(bootstrap).alter_configs([&config], &AdminOptions::new()).await });
    for result in results.unwrap() {
        result.unwrap_or_else(|(topic, code)| panic!("{topic:?} can't be given {settings:?}: {code}"));
    }
    wait_until_applied(bootstrap);
}

/// Returns when the only broker applies everything that its controller has decided before this call. A broker applies
/// decisions batch by batch, and knows a batch's topics before it does the rest of the batch. So this creates two
/// topics, one after the other: once the broker knows the first one, the second comes in a later batch, and when the
/// broker knows it, all earlier batches are done.
pub(crate) fn wait_until_applied(bootstrap: &str) {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    for _ in 0..2 {
        create(bootstrap, &format!("applied-{}", NEXT.fetch_add(1, Ordering::Relaxed)), 1);
    }
}

/// Deletes a topic and waits until no broker knows it any more.
pub fn delete(bootstrap: &str, topic: &str) {
    let results = wait_for(async { admin(bootstrap).delete_topics(&[topic], &AdminOptions::new()).await });
    for result in results.unwrap() {
        result.unwrap_or_else(|(name, code)| panic!("topic {name} can't be deleted: {code}"));
    }
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
    crate::deadline::until(&format!("topic {topic} is gone"), ADMIN_LIMIT, || {
        let metadata = client.fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
        metadata.topics().first()?.error().map(drop)
    });
}

/// Makes Kafka delete the records before these offsets at once, as retention would do later.
pub fn delete_records_before(bootstrap: &str, topic: &str, offsets: &[(i32, i64)]) {
    let mut list = TopicPartitionList::new();
    for &(partition, offset) in offsets {
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
    }
    let deleted = wait_for(async { admin(bootstrap).delete_records(&list, &AdminOptions::new()).await }).unwrap();
    for partition in deleted.elements() {
        partition
            .error()
            .unwrap_or_else(|e| panic!("records of {topic}-{} can't be deleted: {e}", partition.partition()));
    }
}

/// What a consumer group has committed, by partition; a partition without an offset is left out.
pub fn group_offsets(bootstrap: &str, group: &str, topic: &str, partitions: i32) -> BTreeMap<i32, i64> {
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("group.id", group).create().unwrap();
    let mut asked = TopicPartitionList::new();
    for partition in 0..partitions {
        asked.add_partition(topic, partition);
    }
    // A broker that has just started may not know yet which broker coordinates the group.
    let committed = crate::deadline::until(&format!("Kafka tells the offsets of {group}"), ADMIN_LIMIT, || {
        client.committed_offsets(asked.clone(), ADMIN_LIMIT).ok()
    });
    committed
        .elements()
        .iter()
        .filter_map(|e| Some((e.partition(), e.offset().to_raw().filter(|o| *o >= 0)?)))
        .collect()
}

/// Produces all records, in order within each partition, and returns when the broker has them.
pub fn produce(bootstrap: &str, topic: &str, records: &[Record]) {
    send(bootstrap, topic, records.iter().map(|record| (None, record)));
}

/// Produces each of these lists, which have equal lengths, as one batch, with a codec of the test's choice.
pub fn produce_batches(bootstrap: &str, topic: &str, codec: &str, batches: &[&[Record]]) {
    let length = batches.first().map_or(1, |batch| batch.len());
    // A batch is sent when it is full, and not before. (A flush can't ensure this: it may look at the queue before the
    // client's thread has filled it, and then the batch lingers.)
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("batch.num.messages", length.to_string())
        .set("linger.ms", "60000")
        .set("compression.type", codec)
        .create()
        .unwrap();
    for batch in batches {
        assert_eq!(batch.len(), length);
        for record in *batch {
            let to_send = BaseRecord::<String, Vec<u8>>::to(topic).partition(record.partition).payload(&record.value);
            producer.send(to_send).map_err(|(e, _)| e).unwrap();
        }
        producer.flush(Timeout::After(READ_LIMIT)).unwrap();
    }
}

/// Produces records with timestamps of the producer's choice, in milliseconds since 1970.
pub fn produce_stamped(bootstrap: &str, topic: &str, records: &[(i64, Record)]) {
    send(bootstrap, topic, records.iter().map(|(at_ms, record)| (Some(*at_ms), record)));
}

fn send<'r>(bootstrap: &str, topic: &str, records: impl Iterator<Item = (Option<i64>, &'r Record)>) {
    let producer: BaseProducer<Acknowledgements> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("message.max.bytes", "16000000")
        .set("compression.type", "lz4")
        .create_with_context(Acknowledgements)
        .unwrap();
    for (at_ms, record) in records {
        let mut to_send = BaseRecord::<String, Vec<u8>>::to(topic).partition(record.partition).payload(&record.value);
        (to_send.key, to_send.timestamp) = (record.key.as_ref(), at_ms);
        while let Err((error, unsent)) = producer.send(to_send) {
            let full = error.rdkafka_error_code() == Some(rdkafka::error::RDKafkaErrorCode::QueueFull);
            assert!(full, "a record for {topic} can't be sent: {error}");
            producer.poll(Duration::from_millis(10));
            to_send = unsent;
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(Timeout::After(READ_LIMIT)).unwrap();
}

/// When records were acknowledged, in microseconds since 1970, by topic, partition and offset.
static ACKNOWLEDGED: Mutex<BTreeMap<(String, i32), BTreeMap<i64, i64>>> = Mutex::new(BTreeMap::new());

/// Records when the broker acknowledges records to a producer. From then on the broker reports these records to every
/// client.
struct Acknowledgements;

impl ClientContext for Acknowledgements {}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {
        let Ok(record) = result else { return };
        let at_us = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
        let mut all = ACKNOWLEDGED.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry((record.topic().to_owned(), record.partition())).or_default().insert(record.offset(), at_us);
    }
}

fn acknowledged_us(topic: &str, partition: i32, offset: i64) -> Option<i64> {
    let all = ACKNOWLEDGED.lock().unwrap_or_else(PoisonError::into_inner);
    all.get(&(topic.to_owned(), partition))?.get(&offset).copied()
}

/// Produces a record with headers. A header's value may be null, and a name may occur twice.
pub fn produce_with_headers(bootstrap: &str, topic: &str, record: &Record, headers: &[(&str, Option<&str>)]) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
    let headers = headers.iter().fold(OwnedHeaders::new(), |all, &(key, value)| all.insert(Header { key, value }));
    let mut to_send =
        BaseRecord::<String, Vec<u8>>::to(topic).partition(record.partition).payload(&record.value).headers(headers);
    to_send.key = record.key.as_ref();
    producer.send(to_send).map_err(|(e, _)| e).unwrap();
    producer.flush(ADMIN_LIMIT).unwrap();
}

/// Produces a record with a key and no value.
pub fn produce_tombstone(bootstrap: &str, topic: &str, partition: i32, key: &str) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
    producer.send(BaseRecord::<str, [u8]>::to(topic).partition(partition).key(key)).map_err(|(e, _)| e).unwrap();
    producer.flush(ADMIN_LIMIT).unwrap();
}

/// Produces all records in one transaction, and commits or aborts it.
pub fn produce_in_transaction(bootstrap: &str, topic: &str, records: &[Record], commit: bool) {
    let transaction = OpenTransaction::with(bootstrap, topic, records);
    if commit { transaction.commit() } else { transaction.abort() }
}

/// A transaction that has records in the log and has not ended yet.
pub struct OpenTransaction {
    producer: BaseProducer,
    bootstrap: String,
    topic: String,
    /// The partitions in which it has records.
    partitions: BTreeSet<i32>,
}

impl OpenTransaction {
    #[must_use]
    pub fn with(bootstrap: &str, topic: &str, records: &[Record]) -> Self {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("transactional.id", format!("{topic}-producer"))
            .set("transaction.timeout.ms", TRANSACTION_LIMIT.as_millis().to_string())
            .create()
            .unwrap();
        producer.init_transactions(ADMIN_LIMIT).unwrap();
        producer.begin_transaction().unwrap();
        for record in records {
            let to_send = BaseRecord::<String, Vec<u8>>::to(topic).partition(record.partition).payload(&record.value);
            producer.send(to_send).map_err(|(e, _)| e).unwrap();
        }
        producer.flush(ADMIN_LIMIT).unwrap();
        let partitions = records.iter().map(|record| record.partition).collect();
        Self { producer, bootstrap: bootstrap.to_owned(), topic: topic.to_owned(), partitions }
    }

    pub fn commit(self) {
        self.producer.commit_transaction(ADMIN_LIMIT).unwrap();
        self.wait_for_markers();
    }

    pub fn abort(self) {
        self.producer.abort_transaction(ADMIN_LIMIT).unwrap();
        self.wait_for_markers();
    }

    /// Waits for the markers in the partitions. The coordinator answers when the end of the transaction is decided, and
    /// writes the markers after that. Until then consumers can neither read the records nor skip them.
    fn wait_for_markers(&self) {
        let client = |isolation: &str| -> BaseConsumer {
            ClientConfig::new()
                .set("bootstrap.servers", &self.bootstrap)
                .set("isolation.level", isolation)
                .create()
                .unwrap()
        };
        let (stable, all) = (client("read_committed"), client("read_uncommitted"));
        let end =
            |client: &BaseConsumer, partition| client.fetch_watermarks(&self.topic, partition, ADMIN_LIMIT).unwrap().1;
        crate::deadline::until(&format!("{} has its markers", self.topic), ADMIN_LIMIT, || {
            self.partitions.iter().all(|&partition| end(&stable, partition) == end(&all, partition)).then_some(())
        });
    }
}

/// The end of each partition: the offset of the next record, after markers and aborted records.
#[must_use]
pub fn ends(bootstrap: &str, topic: &str, partitions: i32) -> Vec<i64> {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
    (0..partitions).map(|p| client.fetch_watermarks(topic, p, ADMIN_LIMIT).unwrap().1).collect()
}

/// Reads every partition from its beginning to its current end.
#[must_use]
pub fn read(bootstrap: &str, topic: &str) -> Contents {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "weir-tests-plain")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), ADMIN_LIMIT).unwrap();
    let partitions: Vec<i32> =
        metadata.topics()[0].partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect();
    let mut assignment = TopicPartitionList::new();
    for p in &partitions {
        assignment.add_partition_offset(topic, *p, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();

    let mut contents: Contents = partitions.iter().map(|p| (*p, BTreeMap::new())).collect();
    let mut unfinished = partitions.len();
    let end = Instant::now() + READ_LIMIT;
    while unfinished > 0 {
        assert!(Instant::now() < end, "{topic} can't be read to its end");
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(m)) => {
                let (key, value) = (m.key().map(<[u8]>::to_vec), m.payload().map(<[u8]>::to_vec));
                let headers = m.headers().into_iter().flat_map(Headers::iter);
                let headers = headers.map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect();
                let acknowledged_us = acknowledged_us(topic, m.partition(), m.offset());
                let stored = Stored { key, value, timestamp_ms: m.timestamp().to_millis(), acknowledged_us, headers };
                contents.get_mut(&m.partition()).unwrap().insert(m.offset(), stored);
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => unfinished -= 1,
            Some(Err(e)) => panic!("{topic} can't be read: {e}"),
        }
    }
    contents
}

/// [`read`] for an engine that uses another clock than this machine's, with which the times of acknowledgements can't
/// be compared.
#[must_use]
pub fn read_for_another_clock(bootstrap: &str, topic: &str) -> Contents {
    let mut contents = read(bootstrap, topic);
    contents.values_mut().flat_map(BTreeMap::values_mut).for_each(|record| record.acknowledged_us = None);
    contents
}

fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap()
}

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(ADMIN_LIMIT, future).await })
        .expect("Kafka answers an admin request in time")
}

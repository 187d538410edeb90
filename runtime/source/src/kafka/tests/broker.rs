//! Tests against a real broker, for what the mock cluster gets wrong: transactions, topics deleted and created again,
//! retention. `KAFKA_BOOTSTRAP` is the broker's address; these tests are ignored by default.
#![allow(clippy::unwrap_used)]

use std::ops::Range;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use weir_base::failure::Remedy;
use weir_plan::plan::{KafkaConnection, KafkaSource, OnLostOffsets, StartFrom};

use crate::kafka::position::absolute;
use crate::kafka::*;

const SOON: Duration = Duration::from_secs(60);

struct Broker {
    servers: String,
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
    topic: String,
}

impl Broker {
    /// Connects to the broker and creates a topic for this test alone.
    fn with_topic(partitions: i32) -> Self {
        let servers = std::env::var("KAFKA_BOOTSTRAP").unwrap();
        let admin = ClientConfig::new().set("bootstrap.servers", &servers).create().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let broker = Self { servers, admin, runtime, topic: format!("t-{}", uuid::Uuid::new_v4()) };
        broker.create(partitions);
        broker
    }

    fn create(&self, partitions: i32) {
        let topic = NewTopic::new(&self.topic, partitions, TopicReplication::Fixed(1));
        let until = Instant::now() + SOON;
        loop {
            let made = self.runtime.block_on(self.admin.create_topics([&topic], &AdminOptions::new())).unwrap();
            match made.into_iter().next().unwrap() {
                Ok(_) => return,
                // The topic was just deleted, and the broker has not removed it completely.
                Err((_, Code::TopicAlreadyExists)) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(100))
                }
                Err(e) => panic!("{e:?}"),
            }
        }
    }

    fn delete(&self) {
        self.runtime
            .block_on(self.admin.delete_topics(&[&self.topic], &AdminOptions::new()))
            .unwrap()
            .pop()
            .unwrap()
            .unwrap();
    }

    fn drop_records_before(&self, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, absolute(offset)).unwrap();
        self.runtime.block_on(self.admin.delete_records(&list, &AdminOptions::new())).unwrap();
    }

    fn producer(&self, transactional_id: Option<&str>) -> BaseProducer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers);
        if let Some(id) = transactional_id {
            config.set("transactional.id", format!("{}-{id}", self.topic));
        }
        let producer: BaseProducer = config.create().unwrap();
        if transactional_id.is_some() {
            producer.init_transactions(SOON).unwrap();
        }
        producer
    }

    fn send(&self, producer: &BaseProducer, partition: i32, values: Range<i64>) {
        for value in values {
            let value = value.to_string();
            producer
                .send(BaseRecord::<(), _>::to(&self.topic).partition(partition).payload(&value))
                .map_err(|(e, _)| e)
                .unwrap();
        }
        producer.flush(SOON).unwrap();
    }

    fn input(&self, on_lost_offsets: OnLostOffsets) -> KafkaInput {
        let source = KafkaSource {
            connection: KafkaConnection::plaintext(&self.servers),
            topics: Topics::Named(vec![self.topic.clone()]),
            group_id: self.topic.clone(),
            start_from: StartFrom::Earliest,
            on_lost_offsets,
        };
        KafkaInput::connect(&source, "test").unwrap()
    }

    fn at(&self, partition: i32, next: i64) -> Position {
        Position {
            partition: TopicPartition { topic: self.topic.clone(), partition },
            next,
            end: None,
            leader_epoch: None,
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let deleting = self.admin.delete_topics(&[&self.topic], &AdminOptions::new());
        drop(self.runtime.block_on(deleting));
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    values: Vec<i64>,
    ends: Vec<i64>,
    lost: Vec<(i64, i64)>,
}

/// Polls a lane of one partition until `done` is true or an error comes.
fn read(lane: &mut LaneInput, done: impl Fn(&Seen) -> bool) -> Result<Seen> {
    let mut seen = Seen::default();
    let until = Instant::now() + SOON;
    while !done(&seen) {
        assert!(Instant::now() < until, "nothing more came: {seen:?}");
        let mut take = |event: LaneEvent<'_>| match event {
            LaneEvent::Record(r) => seen.values.push(std::str::from_utf8(r.value.unwrap()).unwrap().parse().unwrap()),
            LaneEvent::EndOfPartition { offset, .. } => seen.ends.push(offset),
            LaneEvent::OffsetsLost { wanted, next, .. } => seen.lost.push((wanted, next)),
            LaneEvent::Unreadable { from, next, reason, .. } => panic!("[{from}, {next}) is sound: {reason}"),
            LaneEvent::TopicGone { .. } => panic!("the topic has a name"),
            LaneEvent::Problem(problem) => eprintln!("{problem}"),
        };
        lane.poll(Duration::from_millis(50), 1000, |event| {
            take(event);
            Taken::Yes
        })?;
    }
    Ok(seen)
}

#[test]
#[ignore = "needs a broker at KAFKA_BOOTSTRAP"]
fn aborted_records_are_not_seen_and_the_end_is_behind_the_hole() {
    let broker = Broker::with_topic(1);
    let input = broker.input(OnLostOffsets::Fail);
    let producer = broker.producer(Some("a"));
    for (values, commit) in [(0..3, true), (3..6, false), (6..8, true), (8..10, false)] {
        producer.begin_transaction().unwrap();
        broker.send(&producer, 0, values);
        if commit { producer.commit_transaction(SOON) } else { producer.abort_transaction(SOON) }.unwrap();
    }
    // There are ten records and four markers; the last marker comes a moment after the answer. The log ends with an
    // aborted transaction: a hole of three offsets.
    let until = Instant::now() + SOON;
    while input.offset_bounds(&[broker.at(0, 0).partition], SOON).unwrap() != [OffsetBounds { low: 0, end: 14 }] {
        assert!(Instant::now() < until, "the last marker is missing");
    }
    let mut lanes = input.assign(&[broker.at(0, 0)], 1).unwrap();
    let seen = read(&mut lanes[0], |seen| !seen.ends.is_empty()).unwrap();
    assert_eq!(seen, Seen { values: vec![0, 1, 2, 6, 7], ends: vec![14], lost: vec![] });

    // A hole alone moves the end on.
    producer.begin_transaction().unwrap();
    broker.send(&producer, 0, 10..12);
    producer.abort_transaction(SOON).unwrap();
    let seen = read(&mut lanes[0], |seen| !seen.ends.is_empty()).unwrap();
    assert_eq!(seen, Seen { values: vec![], ends: vec![17], lost: vec![] });
}

#[test]
#[ignore = "needs a broker at KAFKA_BOOTSTRAP"]
fn a_record_behind_a_hole_that_is_not_taken_comes_again_first() {
    let broker = Broker::with_topic(1);
    let producer = broker.producer(Some("a"));
    for (values, commit) in [(0..3, true), (3..6, false), (6..9, true)] {
        producer.begin_transaction().unwrap();
        broker.send(&producer, 0, values);
        if commit { producer.commit_transaction(SOON) } else { producer.abort_transaction(SOON) }.unwrap();
    }
    let mut lanes = broker.input(OnLostOffsets::Fail).assign(&[broker.at(0, 0)], 1).unwrap();
    let lane = &mut lanes[0];
    let (mut values, mut refused) = (Vec::new(), Vec::new());
    let until = Instant::now() + SOON;
    while refused.is_empty() {
        assert!(Instant::now() < until, "{values:?}");
        let take = |event: LaneEvent<'_>| match event {
            // This is the first record behind a hole of three records and a marker.
            LaneEvent::Record(r) if r.offset == 8 => {
                refused.push(r.offset);
                Taken::NotYet
            }
            LaneEvent::Record(r) => {
                values.push(r.offset);
                Taken::Yes
            }
            _ => Taken::Yes,
        };
        lane.poll(Duration::from_millis(50), 100, take).unwrap();
    }
    assert_eq!(values, [0, 1, 2]);
    assert!(lane.leader_epoch(0, 3).is_some(), "the epoch has the leader of what was taken");
    lane.go_on(0).unwrap();
    let seen = read(lane, |seen| !seen.ends.is_empty()).unwrap();
    assert_eq!(seen, Seen { values: vec![6, 7, 8], ends: vec![12], lost: vec![] });
}

#[test]
#[ignore = "needs a broker at KAFKA_BOOTSTRAP"]
fn open_transaction_holds_the_end_below_the_high_watermark() {
    let broker = Broker::with_topic(1);
    let input = broker.input(OnLostOffsets::Fail);
    broker.send(&broker.producer(None), 0, 0..2);
    let open = broker.producer(Some("open"));
    open.begin_transaction().unwrap();
    broker.send(&open, 0, 2..4);
    broker.send(&broker.producer(None), 0, 4..5);
    let at = broker.at(0, 0);
    assert_eq!(
        input.offset_bounds(std::slice::from_ref(&at.partition), SOON).unwrap(),
        [OffsetBounds { low: 0, end: 2 }]
    );
    let mut lanes = input.assign(std::slice::from_ref(&at), 1).unwrap();
    let seen = read(&mut lanes[0], |seen| !seen.ends.is_empty()).unwrap();
    assert_eq!(seen, Seen { values: vec![0, 1], ends: vec![2], lost: vec![] });
    assert_eq!(input.cached_high_watermark(&at.partition), Some(5));
    open.commit_transaction(SOON).unwrap();
    let seen = read(&mut lanes[0], |seen| !seen.ends.is_empty()).unwrap();
    assert_eq!(seen, Seen { values: vec![2, 3, 4], ends: vec![6], lost: vec![] });
}

#[test]
#[ignore = "needs a broker at KAFKA_BOOTSTRAP"]
fn offsets_removed_by_retention_are_told_and_skipped_as_the_document_says() {
    for (policy, next, values) in [(OnLostOffsets::Earliest, 6, vec![6, 7, 8, 9]), (OnLostOffsets::Latest, 10, vec![])]
    {
        let broker = Broker::with_topic(1);
        broker.send(&broker.producer(None), 0, 0..10);
        broker.drop_records_before(0, 6);
        let input = broker.input(policy);
        let mut lanes = input.assign(&[broker.at(0, 3)], 1).unwrap();
        let seen = read(&mut lanes[0], |seen| !seen.ends.is_empty()).unwrap();
        assert_eq!(seen, Seen { values, ends: vec![10], lost: vec![(3, next)] });

        let mut lanes = broker.input(OnLostOffsets::Fail).assign(&[broker.at(0, 3)], 1).unwrap();
        let failure = read(&mut lanes[0], |_| false).unwrap_err();
        assert_eq!(failure.remedy, Remedy::Config);
        assert!(failure.message.contains("offset 3 comes next, but Kafka has [6, 10)"), "{failure}");
    }
}

/// On a busy machine the first fetch may be answered before librdkafka compares positions with the log.
#[test]
#[ignore = "needs a broker at KAFKA_BOOTSTRAP"]
fn positions_that_retention_took_are_no_failure_of_the_comparison_with_the_log() {
    let broker = Broker::with_topic(1);
    broker.send(&broker.producer(None), 0, 0..10);
    let input = broker.input(OnLostOffsets::Earliest);
    broker.drop_records_before(0, 4);
    let positions = [Position { leader_epoch: Some(0), ..broker.at(0, 2) }];
    let mut lanes = input.assign(&positions, 1).unwrap();
    let until = Instant::now() + SOON;
    while leaders::validate(&input.client(), &[(&positions[0].partition, 2, 0)], SOON).unwrap().is_empty() {
        assert!(Instant::now() < until, "librdkafka does not stop at an offset that is gone");
    }
    input.validate(&positions).unwrap();
    assert_eq!(read(&mut lanes[0], |seen| !seen.lost.is_empty()).unwrap().lost, [(2, 4)]);
}

#[test]
#[ignore = "needs a broker at KAFKA_BOOTSTRAP"]
fn topic_that_does_not_exist_is_a_config_failure() {
    let broker = Broker::with_topic(1);
    broker.delete();
    let failure = broker.input(OnLostOffsets::Fail).look(&BTreeSet::new(), SOON).unwrap_err();
    assert_eq!(failure.remedy, Remedy::Config);
    assert!(failure.message.contains(&broker.topic) && failure.message.contains(&broker.servers), "{failure}");
}

#[test]
#[ignore = "needs a broker at KAFKA_BOOTSTRAP"]
fn topic_deleted_while_it_is_read_is_a_config_failure_that_names_it() {
    let broker = Broker::with_topic(2);
    broker.send(&broker.producer(None), 0, 0..3);
    let input = broker.input(OnLostOffsets::Earliest);
    let mut lanes = input.assign(&[broker.at(0, 0), broker.at(1, 0)], 1).unwrap();
    read(&mut lanes[0], |seen| seen.ends.len() == 2).unwrap();
    // librdkafka holds the news back until the next refresh if the topic was first seen less than a second ago.
    std::thread::sleep(Duration::from_millis(1500));
    broker.delete();
    let failure = read(&mut lanes[0], |_| false).unwrap_err();
    assert_eq!(failure.remedy, Remedy::Config);
    assert!(failure.message.contains(&broker.topic), "{failure}");
}

#[test]
#[ignore = "needs a broker at KAFKA_BOOTSTRAP"]
fn topic_made_anew_has_another_id_and_nothing_else_may_tell() {
    let broker = Broker::with_topic(1);
    broker.send(&broker.producer(None), 0, 0..3);
    let input = broker.input(OnLostOffsets::Fail);
    let before = input.topic_ids(std::slice::from_ref(&broker.topic), SOON).unwrap();
    assert_eq!(before, input.topic_ids(std::slice::from_ref(&broker.topic), SOON).unwrap());
    assert!(before[0].1.is_some(), "{before:?}");
    let mut lanes = input.assign(&[broker.at(0, 0)], 1).unwrap();
    read(&mut lanes[0], |seen| !seen.ends.is_empty()).unwrap();
    broker.delete();
    broker.create(1);
    broker.send(&broker.producer(None), 0, 100..110);
    // Timing decides which of the two happens: librdkafka noticed that the topic was missing, or it reads on from
    // offset 3 as if nothing had happened.
    match read(&mut lanes[0], |seen| !seen.values.is_empty()) {
        Ok(seen) => assert_eq!(seen.values[0], 103),
        Err(failure) => assert_eq!(failure.remedy, Remedy::Config),
    }
    let after = input.topic_ids(std::slice::from_ref(&broker.topic), SOON).unwrap();
    assert_eq!(after[0].0, broker.topic);
    assert_ne!(before, after);
}

#[test]
#[ignore = "needs a broker at KAFKA_BOOTSTRAP"]
fn record_of_ten_megabytes_gets_through() {
    let broker = Broker::with_topic(1);
    let limits = rdkafka::admin::AlterConfig::new(rdkafka::admin::ResourceSpecifier::Topic(&broker.topic))
        .set("max.message.bytes", "20000000");
    broker
        .runtime
        .block_on(broker.admin.alter_configs([&limits], &AdminOptions::new()))
        .unwrap()
        .pop()
        .unwrap()
        .unwrap();
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &broker.servers)
        .set("message.max.bytes", "20000000")
        .create()
        .unwrap();
    let value = vec![b'7'; 10_000_000];
    for value in [&b"1"[..], &value, b"2"] {
        producer.send(BaseRecord::<(), _>::to(&broker.topic).partition(0).payload(value)).map_err(|(e, _)| e).unwrap();
        producer.flush(SOON).unwrap();
    }
    let mut lanes = broker.input(OnLostOffsets::Fail).assign(&[broker.at(0, 0)], 1).unwrap();
    let mut lengths = Vec::new();
    let until = Instant::now() + SOON;
    while lengths.len() < 3 {
        assert!(Instant::now() < until, "{lengths:?}");
        lanes[0]
            .poll(Duration::from_millis(50), 10, |event| {
                if let LaneEvent::Record(r) = event {
                    lengths.push(r.value.unwrap().len());
                }
                Taken::Yes
            })
            .unwrap();
    }
    assert_eq!(lengths, [1, 10_000_000, 1]);
}

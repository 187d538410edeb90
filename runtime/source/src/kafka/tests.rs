//! Tests against librdkafka's mock cluster, as far as it is faithful: transactions, deletion and topic ids need a real
//! broker.
#![allow(clippy::unwrap_used)]

mod broker;
mod failures;
mod groups;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use weir_base::failure::Remedy;
use weir_plan::plan::{KafkaSource, OnLostOffsets};
use weir_testing::kafka::{SOON, cluster, source};

use super::position::absolute;
use super::*;

/// The deadline for questions that nobody answers. librdkafka needs part of it to begin.
const ASKED_FOR: Duration = Duration::from_secs(6);

impl KafkaInput {
    /// A client of a cluster without TLS and users.
    fn connect(source: &KafkaSource, client_id: &str) -> Result<Self> {
        Self::connect_with(source, client_id, &Secrets::default(), Fetching::default())
    }
}

fn partitions_of(input: &KafkaInput, deadline: Duration) -> Result<Vec<TopicPartition>> {
    input.look(&BTreeSet::new(), deadline).map(|found| found.partitions)
}

fn at(topic: &str, partition: i32, next: i64) -> Position {
    Position { partition: TopicPartition { topic: topic.to_owned(), partition }, next, end: None, leader_epoch: None }
}

/// Fills partitions with values `p<partition>o<offset>`.
fn fill(servers: &str, topic: &str, counts: &[(i32, i64)]) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    for &(partition, count) in counts {
        for offset in 0..count {
            let value = format!("p{partition}o{offset}");
            producer
                .send(BaseRecord::<(), _>::to(topic).partition(partition).payload(&value))
                .map_err(|(e, _)| e)
                .unwrap();
        }
    }
    producer.flush(SOON).unwrap();
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    values: BTreeMap<usize, Vec<String>>,
    ends: BTreeMap<usize, Vec<i64>>,
    lost: Vec<(usize, i64, i64)>,
    unreadable: Vec<(usize, i64, i64)>,
    gone: Vec<usize>,
    problems: Vec<Failure>,
}

impl Seen {
    fn add(&mut self, event: LaneEvent<'_>) -> Taken {
        match event {
            LaneEvent::Record(r) => {
                let value = String::from_utf8(r.value.unwrap().to_vec()).unwrap();
                assert!(value.ends_with(&format!("o{}", r.offset)), "{value} at offset {}", r.offset);
                self.values.entry(r.partition).or_default().push(value);
            }
            LaneEvent::EndOfPartition { partition, offset } => self.ends.entry(partition).or_default().push(offset),
            LaneEvent::OffsetsLost { partition, wanted, next } => self.lost.push((partition, wanted, next)),
            LaneEvent::Unreadable { partition, from, next, .. } => self.unreadable.push((partition, from, next)),
            LaneEvent::TopicGone { partition } => self.gone.push(partition),
            LaneEvent::Problem(problem) => self.problems.push(problem),
        }
        Taken::Yes
    }
}

/// Polls until `done` is true or an error comes.
fn read(lane: &mut LaneInput, done: impl Fn(&Seen) -> bool) -> Result<Seen> {
    let mut seen = Seen::default();
    let until = Instant::now() + SOON;
    while !done(&seen) {
        assert!(Instant::now() < until, "nothing more came: {seen:?}");
        lane.poll(Duration::from_millis(50), 100, |event| seen.add(event))?;
    }
    Ok(seen)
}

fn values(partition: i32, offsets: std::ops::Range<i64>) -> Vec<String> {
    offsets.map(|o| format!("p{partition}o{o}")).collect()
}

#[test]
fn each_lane_sees_its_partitions_from_their_offsets_and_their_ends() {
    let cluster = cluster(&[("a", 3), ("b", 2)]);
    let servers = cluster.bootstrap_servers();
    fill(&servers, "a", &[(0, 5), (1, 300), (2, 7)]);
    fill(&servers, "b", &[(1, 4)]);
    let input = KafkaInput::connect(&source(&servers, &["a", "b"]), "test").unwrap();
    let positions = [at("a", 0, 2), at("a", 1, 0), at("a", 2, 7), at("b", 0, 0), at("b", 1, 3)];
    let mut lanes = input.assign(&positions, 2).unwrap();
    let mut odd = lanes.pop().unwrap();
    let mut even = lanes.pop().unwrap();
    assert_eq!((even.partitions(), odd.partitions()), (&[0, 2, 4][..], &[1, 3][..]));
    let seen = read(&mut odd, |seen| seen.ends.len() == 2).unwrap();
    assert_eq!(seen.values, BTreeMap::from([(1, values(1, 0..300))]));
    assert_eq!(seen.ends, BTreeMap::from([(1, vec![300]), (3, vec![0])]));
    let seen = read(&mut even, |seen| seen.ends.len() == 3).unwrap();
    assert_eq!(seen.values, BTreeMap::from([(0, values(0, 2..5)), (4, values(1, 3..4))]));
    assert_eq!(seen.ends, BTreeMap::from([(0, vec![5]), (2, vec![7]), (4, vec![4])]));
    assert_eq!(input.cached_high_watermark(&positions[1].partition), Some(300));
}

#[test]
fn a_pattern_finds_topics_by_their_whole_names_and_tells_which_are_gone() {
    let cluster = cluster(&[("rides-b", 1), ("rides-a", 2), ("old-rides-a", 1), ("__rides-a", 1)]);
    let servers = cluster.bootstrap_servers();
    let topics = Topics::Matching(weir_plan::topics::TopicPattern::parse("(__)?rides-.*").unwrap());
    let of = |on_lost_offsets| KafkaSource { topics: topics.clone(), on_lost_offsets, ..source(&servers, &[]) };
    let known = BTreeSet::from(["rides-a".to_owned(), "rides-z".to_owned(), "not-ours".to_owned()]);
    let found = KafkaInput::connect(&of(OnLostOffsets::Latest), "test").unwrap().look(&known, SOON).unwrap();
    assert_eq!(
        found.partitions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["rides-a-0", "rides-a-1", "rides-b-0"]
    );
    assert_eq!(
        (found.topics(), found.gone),
        (vec!["rides-a".to_owned(), "rides-b".to_owned()], vec!["rides-z".to_owned()])
    );
    let refused = KafkaInput::connect(&of(OnLostOffsets::Fail), "test").unwrap().look(&known, SOON).unwrap_err();
    assert_eq!(refused.remedy, Remedy::Config);
    assert!(refused.message.starts_with("topic rides-z, which was read since it matches topicPattern"), "{refused}");
}

#[test]
fn assigned_partitions_are_found_if_they_are_there() {
    let cluster = cluster(&[("a", 3)]);
    let servers = cluster.bootstrap_servers();
    let look = |partitions: &[i32]| {
        let topics = Topics::Assigned(BTreeMap::from([("a".to_owned(), partitions.iter().copied().collect())]));
        let input = KafkaInput::connect(&KafkaSource { topics, ..source(&servers, &[]) }, "test").unwrap();
        assert!(!input.may_find_more());
        partitions_of(&input, SOON)
    };
    assert_eq!(look(&[0, 2]).unwrap().iter().map(|p| p.partition).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(look(&[0, 3]).unwrap_err().message, "topic a has no partition 3, which `assign` names: write 0 to 2");
}

#[test]
fn nothing_at_or_above_the_end_bound_is_handed_out() {
    let cluster = cluster(&[("a", 3)]);
    let servers = cluster.bootstrap_servers();
    fill(&servers, "a", &[(0, 10), (1, 10), (2, 10)]);
    let input = KafkaInput::connect(&source(&servers, &["a"]), "test").unwrap();
    let bounded = |partition, next, end| Position { end: Some(end), ..at("a", partition, next) };
    let mut lanes = input.assign(&[bounded(0, 0, 4), bounded(1, 6, 6), bounded(2, 8, 10)], 1).unwrap();
    let seen = read(&mut lanes[0], |seen| seen.ends.len() == 3).unwrap();
    assert_eq!(seen.values, BTreeMap::from([(0, values(0, 0..4)), (2, values(2, 8..10))]));
    assert_eq!(seen.ends, BTreeMap::from([(0, vec![4]), (1, vec![6]), (2, vec![10])]));
    fill(&servers, "a", &[(0, 1), (1, 1), (2, 1)]);
    let mut late = Seen::default();
    for _ in 0..10 {
        lanes[0].poll(Duration::from_millis(50), 100, |event| late.add(event)).unwrap();
    }
    assert_eq!(late, Seen::default());
}

#[test]
fn poll_hands_out_at_most_what_was_asked_for_and_returns_before_the_timeout_once_there_is_something() {
    let cluster = cluster(&[("a", 1)]);
    let servers = cluster.bootstrap_servers();
    fill(&servers, "a", &[(0, 10)]);
    let input = KafkaInput::connect(&source(&servers, &["a"]), "test").unwrap();
    let mut lanes = input.assign(&[at("a", 0, 0)], 1).unwrap();
    let started = Instant::now();
    let mut counts = Vec::new();
    while counts.iter().sum::<usize>() < 11 {
        counts.push(lanes[0].poll(SOON, 4, |_| Taken::Yes).unwrap());
    }
    assert!(counts.iter().all(|&n| (1..=4).contains(&n)), "{counts:?}");
    assert!(started.elapsed() < SOON / 2, "{:?}", started.elapsed());
}

#[test]
fn paused_partition_is_silent_and_goes_on_where_it_was() {
    let cluster = cluster(&[("a", 2)]);
    let servers = cluster.bootstrap_servers();
    fill(&servers, "a", &[(0, 20), (1, 20)]);
    let input = KafkaInput::connect(&source(&servers, &["a"]), "test").unwrap();
    let mut lanes = input.assign(&[at("a", 0, 0), at("a", 1, 0)], 1).unwrap();
    let lane = &mut lanes[0];
    let mut seen = Seen::default();
    while seen.values.values().map(Vec::len).sum::<usize>() < 3 {
        lane.poll(SOON, 1, |event| seen.add(event)).unwrap();
    }
    lane.pause(0).unwrap();
    lane.pause(1).unwrap();
    let mut silent = Seen::default();
    for _ in 0..10 {
        lane.poll(Duration::from_millis(30), 100, |event| silent.add(event)).unwrap();
    }
    // Operations on partitions are asynchronous: records that were on their way at the pause may still come.
    assert!(silent.ends.is_empty(), "{silent:?}");
    lane.resume(0).unwrap();
    lane.resume(1).unwrap();
    let rest = read(lane, |seen| seen.ends.len() == 2).unwrap();
    for partition in [0, 1] {
        let all = [&seen, &silent, &rest].map(|s| s.values.get(&partition).cloned().unwrap_or_default()).concat();
        assert_eq!(all, values(i32::try_from(partition).unwrap(), 0..20));
    }
}

#[test]
fn a_record_that_is_not_taken_comes_again_first_and_holds_up_its_own_partition_only() {
    let cluster = cluster(&[("a", 2)]);
    let servers = cluster.bootstrap_servers();
    fill(&servers, "a", &[(0, 300), (1, 300)]);
    let input = KafkaInput::connect(&source(&servers, &["a"]), "test").unwrap();
    let mut lanes = input.assign(&[at("a", 0, 0), at("a", 1, 0)], 1).unwrap();
    let lane = &mut lanes[0];
    let mut seen = Seen::default();
    let is_seventh = |event: &LaneEvent<'_>| matches!(event, LaneEvent::Record(r) if (r.partition, r.offset) == (0, 7));
    let refuse_seventh = |lane: &mut LaneInput, seen: &mut Seen, rounds: usize| {
        let mut refused = 0;
        let mut take = |event: LaneEvent<'_>| {
            if is_seventh(&event) {
                refused += 1;
                return Taken::NotYet;
            }
            seen.add(event)
        };
        for _ in 0..rounds {
            lane.poll(Duration::from_millis(20), 100, &mut take).unwrap();
        }
        refused
    };
    let until = Instant::now() + SOON;
    let mut refused = 0;
    while refused == 0 || !seen.ends.contains_key(&1) {
        assert!(Instant::now() < until, "{seen:?}");
        refused += refuse_seventh(lane, &mut seen, 1);
    }
    refused += refuse_seventh(lane, &mut seen, 10);
    assert_eq!(refused, 1, "nothing is fetched of a partition that is held");
    assert_eq!(seen.values, BTreeMap::from([(0, values(0, 0..7)), (1, values(1, 0..300))]));
    assert_eq!(seen.ends, BTreeMap::from([(1, vec![300])]));
    assert!(lane.leader_epoch(0, 7).is_some(), "it was read up to there");
    lane.go_on(0).unwrap();
    lane.go_on(1).unwrap();
    let rest = read(lane, |seen| seen.ends.contains_key(&0)).unwrap();
    assert_eq!(rest.values, BTreeMap::from([(0, values(0, 7..300))]));
    assert_eq!(rest.ends, BTreeMap::from([(0, vec![300])]));
}

/// Each time, the lane's queue holds what was fetched before.
#[test]
fn a_partition_that_is_held_again_and_again_loses_and_doubles_nothing() {
    let cluster = cluster(&[("a", 2)]);
    let servers = cluster.bootstrap_servers();
    fill(&servers, "a", &[(0, 300), (1, 300)]);
    let input = KafkaInput::connect(&source(&servers, &["a"]), "test").unwrap();
    let mut lanes = input.assign(&[at("a", 0, 0), at("a", 1, 0)], 1).unwrap();
    let lane = &mut lanes[0];
    let (mut seen, mut refused) = (Seen::default(), BTreeSet::new());
    let until = Instant::now() + SOON;
    while seen.ends.len() < 2 {
        assert!(Instant::now() < until, "{seen:?}");
        let mut held = BTreeSet::new();
        let take = |event: LaneEvent<'_>| match &event {
            LaneEvent::Record(r) if r.offset % 7 == 3 && refused.insert((r.partition, r.offset)) => {
                held.insert(r.partition);
                Taken::NotYet
            }
            _ => seen.add(event),
        };
        lane.poll(Duration::from_millis(50), 100, take).unwrap();
        held.into_iter().for_each(|partition| lane.go_on(partition).unwrap());
    }
    assert_eq!(seen.values, BTreeMap::from([(0, values(0, 0..300)), (1, values(1, 0..300))]));
    assert_eq!(refused.len(), 2 * 43);
}

#[test]
fn lanes_of_a_second_assignment_get_everything_again() {
    let cluster = cluster(&[("a", 4)]);
    let servers = cluster.bootstrap_servers();
    fill(&servers, "a", &[(0, 10), (1, 10), (2, 10), (3, 10)]);
    let input = KafkaInput::connect(&source(&servers, &["a"]), "test").unwrap();
    // Before the fix, this race was lost once in a few dozen rounds.
    for round in 0..9 {
        let positions: Vec<_> = (0..4).map(|p| at("a", p, round)).collect();
        for mut lane in input.assign(&positions, 2).unwrap() {
            let mine = lane.partitions().to_vec();
            let seen = read(&mut lane, |seen| seen.ends.len() == 2).unwrap();
            for p in mine {
                assert_eq!(seen.values[&p], values(i32::try_from(p).unwrap(), round..10), "round {round}");
            }
        }
    }
}

#[test]
fn partitions_and_bounds_are_the_brokers() {
    let cluster = cluster(&[("a", 2), ("b", 1)]);
    let servers = cluster.bootstrap_servers();
    fill(&servers, "a", &[(1, 3)]);
    let input = KafkaInput::connect(&source(&servers, &["a", "b"]), "test").unwrap();
    let partitions = partitions_of(&input, SOON).unwrap();
    assert_eq!(partitions.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a-0", "a-1", "b-0"]);
    let ends: Vec<_> = input.offset_bounds(&partitions, SOON).unwrap();
    assert_eq!(ends, [0, 3, 0].map(|end| OffsetBounds { low: 0, end }));
}

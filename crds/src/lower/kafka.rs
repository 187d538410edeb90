//! What is read of Kafka: topics, where the first start begins, and what to do about offsets that are lost.

use std::collections::BTreeMap;

use chrono::DateTime;
use weir_plan::ids::TopicPartition;
use weir_plan::plan;
use weir_plan::quote::quoted;

use super::check::{NAMED_MAX, suggestion};
use super::name;
use crate::defaults;
use crate::document::{KafkaOffset, KafkaSource, OnLostOffsets, Position, StreamPipeline, unions};
use crate::finding::{Findings, Path};

const OFFSETS_MAX: usize = 256;

pub(super) fn lower(
    document: &StreamPipeline,
    kafka: &KafkaSource,
    group_id: String,
    at: &Path,
    out: &mut Findings,
) -> Option<plan::KafkaSource> {
    let connections = &document.spec.connections;
    let connection = connections.iter().find(|c| c.name == kafka.connection);
    if connection.is_none() {
        let names: Vec<_> = connections.iter().map(|c| &*c.name).collect();
        let message = format!("there is no connection {}; {}", quoted(&kafka.connection), suggestion(&kafka.connection, &names));
        out.add(&at.field("connection"), message);
    }
    let topics = topics(kafka, at, out);
    let start_from = start_from(kafka, topics.as_ref(), &at.field("startFrom"), out);
    let on_lost_offsets = match kafka.on_lost_offsets.unwrap_or(defaults::ON_LOST_OFFSETS) {
        OnLostOffsets::Fail => plan::OnLostOffsets::Fail,
        OnLostOffsets::Earliest => plan::OnLostOffsets::Earliest,
        OnLostOffsets::Latest => plan::OnLostOffsets::Latest,
    };
    Some(plan::KafkaSource {
        bootstrap_servers: connection?.kafka.as_ref()?.bootstrap_servers.clone(),
        topics: topics?,
        group_id,
        start_from: start_from?,
        on_lost_offsets,
    })
}

fn topics(kafka: &KafkaSource, at: &Path, out: &mut Findings) -> Option<Vec<String>> {
    out.exactly_one(at, unions::TOPICS, &[kafka.topics.is_some(), kafka.topic_pattern.is_some(), kafka.assign.is_some()]);
    out.not_yet(at, "topicPattern", kafka.topic_pattern.as_ref());
    out.not_yet(at, "assign", kafka.assign.as_ref());
    let topics = kafka.topics.as_ref()?;
    let at = at.field("topics");
    out.length(&at, topics.len(), 1..=NAMED_MAX);
    out.distinct(topics.iter().enumerate().map(|(i, t)| (at.index(i), &**t)), "topics");
    for (i, topic) in topics.iter().enumerate() {
        out.checked(&at.index(i), name::check_topic(topic));
    }
    Some(topics.clone())
}

fn start_from(kafka: &KafkaSource, topics: Option<&Vec<String>>, at: &Path, out: &mut Findings) -> Option<plan::StartFrom> {
    let Some(start) = &kafka.start_from else { return Some(position(defaults::START_FROM)) };
    out.exactly_one(at, unions::START, &[start.position.is_some(), start.timestamp.is_some(), start.offsets.is_some()]);
    let timestamp = start.timestamp.as_ref().map(|text| out.checked(&at.field("timestamp"), timestamp_ms(text)));
    let listed = start.offsets.as_ref().map(|listed| offsets(listed, topics, &at.field("offsets"), out));
    match (start.position, timestamp, listed) {
        (Some(at), _, _) => Some(position(at)),
        (_, Some(at_ms), _) => Some(plan::StartFrom::Timestamp { at_ms: at_ms? }),
        (_, _, listed) => Some(plan::StartFrom::Offsets(listed??)),
    }
}

fn position(position: Position) -> plan::StartFrom {
    match position {
        Position::Earliest => plan::StartFrom::Earliest,
        Position::Latest => plan::StartFrom::Latest,
    }
}

/// In the milliseconds that Kafka counts in: the first one at or after the time.
fn timestamp_ms(text: &str) -> Result<i64, String> {
    let right = "a time in RFC 3339 would be right, as in 2026-01-01T00:00:00Z";
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| format!("found {}; {right}", quoted(text)))?;
    let (ms, rest) = (time.timestamp_millis(), time.timestamp_subsec_nanos() % 1_000_000);
    // Below zero Kafka's question has other meanings.
    if ms < 0 {
        return Err(format!("found {}; a time from 1970 on would be right", quoted(text)));
    }
    Ok(ms + i64::from(rest > 0))
}

fn offsets(
    listed: &[KafkaOffset],
    topics: Option<&Vec<String>>,
    at: &Path,
    out: &mut Findings,
) -> Option<BTreeMap<TopicPartition, i64>> {
    out.length(at, listed.len(), 1..=OFFSETS_MAX);
    let mut first: BTreeMap<TopicPartition, usize> = BTreeMap::new();
    let mut offsets = BTreeMap::new();
    for (i, one) in listed.iter().enumerate() {
        let at = at.index(i);
        out.checked(&at.field("topic"), name::check_topic(&one.topic));
        let partition = out.integer(&at.field("partition"), one.partition, 0..=i32::MAX.into());
        out.integer(&at.field("offset"), one.offset, 0..=i64::MAX);
        let Some(partition) = partition.and_then(|p| i32::try_from(p).ok()) else { continue };
        let id = TopicPartition { topic: one.topic.clone(), partition };
        if topics.is_some_and(|topics| !topics.contains(&id.topic)) {
            let names: Vec<_> = topics.into_iter().flatten().map(String::as_str).collect();
            out.add(&at.field("topic"), format!("{} is not a topic of this source; {}", quoted(&id.topic), suggestion(&id.topic, &names)));
        }
        if let Some(before) = first.get(&id) {
            out.add(&at, format!("{} is at [{before}] too; one offset per partition would be right", quoted(&id)));
            continue;
        }
        first.insert(id.clone(), i);
        offsets.insert(id, one.offset);
    }
    // How many partitions a topic has, only the brokers know; that one without any offset is forgotten is plain.
    for topic in topics.into_iter().flatten().filter(|topic| !offsets.keys().any(|id| id.topic == **topic)) {
        out.add(at, format!("no partition of {} is there; each partition that is read needs an offset", quoted(topic)));
    }
    Some(offsets)
}

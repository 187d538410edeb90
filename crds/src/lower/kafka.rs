//! What is read from Kafka: topics, where the first start begins, and what to do about lost offsets.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, SecondsFormat};
use weir_plan::ids::TopicPartition;
use weir_plan::plan;
use weir_plan::quote::quoted;
use weir_plan::topics::{TopicPattern, Topics};

use super::check::{NAMED_MAX, suggestion};
use super::name;
use crate::defaults;
use crate::document::{Assignment, KafkaOffset, KafkaSource, OnLostOffsets, Position, StreamPipeline, unions};
use crate::finding::{Findings, Path};

const GROUP_ID_CHARS_MAX: usize = 249;
const OFFSETS_MAX: usize = 256;
/// The most partitions of one topic that may be assigned.
const ASSIGNED_MAX: usize = 256;
const PATTERN_CHARS_MAX: usize = 1024;
/// A smaller number for a time counts seconds: as milliseconds it would be before 1974, and there were no logs.
const SECONDS_BELOW: i64 = 100_000_000_000;
/// The last year that RFC 3339 can write.
const YEAR_MAX: i32 = 9999;

pub(super) fn lower(
    document: &StreamPipeline,
    connections: &[Option<plan::KafkaConnection>],
    kafka: &KafkaSource,
    at: &Path,
    out: &mut Findings,
) -> Option<plan::KafkaSource> {
    let named = &document.spec.connections;
    let connection = named.iter().position(|c| c.name == kafka.connection);
    // The author may have meant a connection whose name is missing, or one in a list that can't be read.
    let is_unnamed = named.iter().any(|connection| connection.name.is_empty());
    let are_known = !is_unnamed && !out.is_broken(&Path::root().field("spec").field("connections"));
    if connection.is_none() && are_known {
        let names: Vec<_> = named.iter().map(|c| &*c.name).collect();
        let message =
            format!("there is no connection {}; {}", quoted(&kafka.connection), suggestion(&kafka.connection, &names));
        out.add(&at.field("connection"), message);
    }
    let group_id = group_id(document, kafka, at, out);
    let topics = topics(kafka, at, out);
    let start_from = start_from(kafka, topics.as_ref(), &at.field("startFrom"), out);
    let on_lost_offsets = match kafka.on_lost_offsets.unwrap_or(defaults::ON_LOST_OFFSETS) {
        OnLostOffsets::Fail => plan::OnLostOffsets::Fail,
        OnLostOffsets::Earliest => plan::OnLostOffsets::Earliest,
        OnLostOffsets::Latest => plan::OnLostOffsets::Latest,
    };
    Some(plan::KafkaSource {
        connection: connections.get(connection?)?.clone()?,
        topics: topics?,
        group_id,
        start_from: start_from?,
        on_lost_offsets,
    })
}

/// Refuses two sources that read the same partitions for one consumer group: each would overwrite the other's published
/// offsets. The runtime compares what two patterns match.
pub(super) fn refuse_shared_groups(sources: &[Option<plan::Source>], at: &Path, out: &mut Findings) {
    let known = || sources.iter().enumerate().filter_map(|(i, source)| Some((i, source.as_ref()?)));
    for (i, source) in known() {
        let shares = |before: &plan::Source| {
            let (ours, theirs) = (&source.kafka, &before.kafka);
            theirs.topics.in_common(&ours.topics).filter(|_| ours.group() == theirs.group()).map(str::to_owned)
        };
        let mut before = known().take_while(|(of, _)| *of < i);
        if let Some((before, topic)) = before.find_map(|(_, before)| Some((before, shares(before)?))) {
            let group_id = &source.kafka.group_id;
            let message = format!(
                "source {} reads {} too, and both would publish their offsets for the consumer group {}: write a \
                 group of its own, \
                 as {}",
                quoted(&before.name),
                quoted(&topic),
                quoted(group_id),
                quoted(format!("{group_id}-{}", source.name)),
            );
            out.add(&at.index(i).field("kafka").field("groupId"), message);
        }
    }
}

fn group_id(document: &StreamPipeline, kafka: &KafkaSource, at: &Path, out: &mut Findings) -> String {
    let Some(group_id) = &kafka.group_id else {
        return defaults::group_id(document.metadata.namespace.as_deref(), &document.metadata.name);
    };
    if group_id.is_empty() || group_id.len() > GROUP_ID_CHARS_MAX || !group_id.chars().all(|c| c.is_ascii_graphic()) {
        let message =
            format!("found {}: write 1 to {GROUP_ID_CHARS_MAX} ASCII characters without spaces", quoted(group_id));
        out.add(&at.field("groupId"), message);
    }
    group_id.clone()
}

fn topics(kafka: &KafkaSource, at: &Path, out: &mut Findings) -> Option<Topics> {
    out.exactly_one(
        at,
        unions::TOPICS,
        &[kafka.topics.is_some(), kafka.topic_pattern.is_some(), kafka.assign.is_some()],
    );
    let named = kafka.topics.as_ref().map(|topics| named(topics, &at.field("topics"), out));
    let matching = kafka.topic_pattern.as_ref().map(|pattern| matching(pattern, &at.field("topicPattern"), out));
    let assigned = kafka.assign.as_ref().map(|topics| assigned(topics, &at.field("assign"), out));
    match (named, matching, assigned) {
        (Some(named), _, _) => Some(named),
        (_, Some(matching), _) => matching,
        (_, _, assigned) => assigned,
    }
}

fn named(topics: &[String], at: &Path, out: &mut Findings) -> Topics {
    out.length(at, topics.len(), 1..=NAMED_MAX);
    out.distinct(topics.iter().enumerate().map(|(i, t)| (at.index(i), &**t)), "topics");
    for (i, topic) in topics.iter().enumerate() {
        let checked = name::check_topic(topic).map_err(|message| match topic.contains('*') {
            true => format!("{message}; for every topic with such a name write {}", quoted(as_pattern(topic))),
            false => message,
        });
        out.checked(&at.index(i), checked);
    }
    Topics::Named(topics.to_vec())
}

/// The field with the pattern for a name as a shell's or as a regular expression.
fn as_pattern(topic: &str) -> String {
    let pattern = if topic.contains(".*") { topic.to_owned() } else { topic.replace('.', "\\.").replace('*', ".*") };
    format!("topicPattern: {pattern}")
}

fn matching(pattern: &str, at: &Path, out: &mut Findings) -> Option<Topics> {
    let checked = match pattern.chars().count() {
        1..=PATTERN_CHARS_MAX => TopicPattern::parse(pattern),
        n => Err(format!("found {n} characters: write 1 to {PATTERN_CHARS_MAX}")),
    };
    out.checked(at, checked).map(Topics::Matching)
}

fn assigned(topics: &[Assignment], at: &Path, out: &mut Findings) -> Topics {
    out.length(at, topics.len(), 1..=NAMED_MAX);
    out.distinct(topics.iter().enumerate().map(|(i, t)| (at.index(i).field("topic"), &*t.topic)), "topics");
    let mut all: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    for (i, topic) in topics.iter().enumerate() {
        let at = at.index(i);
        out.checked(&at.field("topic"), name::check_topic(&topic.topic));
        let at = at.field("partitions");
        out.length(&at, topic.partitions.len(), 1..=ASSIGNED_MAX);
        let of_topic = all.entry(topic.topic.clone()).or_default();
        for (i, partition) in topic.partitions.iter().enumerate() {
            let Some(partition) = number(*partition, &at.index(i), out) else { continue };
            if !of_topic.insert(partition) {
                out.add(&at.index(i), format!("{partition} is there twice; leave one out"));
            }
        }
    }
    Topics::Assigned(all)
}

/// The number of a partition.
fn number(found: i64, at: &Path, out: &mut Findings) -> Option<i32> {
    out.integer(at, found, 0..=i32::MAX.into()).and_then(|number| i32::try_from(number).ok())
}

fn start_from(kafka: &KafkaSource, topics: Option<&Topics>, at: &Path, out: &mut Findings) -> Option<plan::StartFrom> {
    let Some(start) = &kafka.start_from else { return Some(position(defaults::START_FROM)) };
    out.exactly_one(at, unions::START, &[start.position.is_some(), start.timestamp.is_some(), start.offsets.is_some()]);
    let timestamp = start.timestamp.as_ref().map(|text| out.checked(&at.field("timestamp"), timestamp_ms(text)));
    let listed = start.offsets.as_ref().map(|listed| offsets(listed, topics, &at.field("offsets"), out));
    match (start.position, timestamp, listed) {
        (Some(at), _, _) => Some(position(at)),
        (_, Some(at_ms), _) => Some(plan::StartFrom::Timestamp { at_ms: at_ms? }),
        (_, _, listed) => Some(plan::StartFrom::Offsets(listed?)),
    }
}

fn position(position: Position) -> plan::StartFrom {
    match position {
        Position::Earliest => plan::StartFrom::Earliest,
        Position::Latest => plan::StartFrom::Latest,
    }
}

/// The time in milliseconds, Kafka's unit, rounded up: the first millisecond at or after it.
fn timestamp_ms(text: &str) -> Result<i64, String> {
    let right = "write a time in RFC 3339, as in 2026-01-01T00:00:00Z";
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| match time_of_number(text) {
        Some(time) => format!("found {}; write the time in RFC 3339, {}", quoted(text), quoted(time)),
        None => format!("found {}; {right}", quoted(text)),
    })?;
    let (ms, rest) = (time.timestamp_millis(), time.timestamp_subsec_nanos() % 1_000_000);
    // Negative timestamps have special meanings in Kafka's protocol.
    if ms < 0 {
        return Err(format!("found {}: write a time from 1970 on", quoted(text)));
    }
    Ok(ms + i64::from(rest > 0))
}

/// The time in RFC 3339 that a number probably means: milliseconds since 1970, or seconds if it is too small for that.
pub(crate) fn time_of_number(text: &str) -> Option<String> {
    let number: i64 = text.parse().ok().filter(|number| *number >= 0)?;
    let time = match number {
        ..SECONDS_BELOW => DateTime::from_timestamp(number, 0),
        _ => DateTime::from_timestamp_millis(number),
    };
    time.filter(|time| time.year() <= YEAR_MAX).map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn offsets(
    listed: &[KafkaOffset],
    topics: Option<&Topics>,
    at: &Path,
    out: &mut Findings,
) -> BTreeMap<TopicPartition, i64> {
    out.length(at, listed.len(), 1..=OFFSETS_MAX);
    let mut first: BTreeMap<TopicPartition, usize> = BTreeMap::new();
    let mut offsets = BTreeMap::new();
    for (i, one) in listed.iter().enumerate() {
        let at = at.index(i);
        out.checked(&at.field("topic"), name::check_topic(&one.topic));
        let partition = number(one.partition, &at.field("partition"), out);
        out.integer(&at.field("offset"), one.offset, 0..=i64::MAX);
        let Some(partition) = partition else { continue };
        let id = TopicPartition { topic: one.topic.clone(), partition };
        if let Some(topics) = topics {
            check_is_read(&id, topics, &at, out);
        }
        match first.get(&id) {
            Some(before) => {
                out.add(&at, format!("{} is at [{before}] too: write one offset per partition", quoted(&id)))
            }
            None => {
                first.insert(id.clone(), i);
                offsets.insert(id, one.offset);
            }
        }
    }
    if let Some(topics) = topics {
        check_none_is_missing(&offsets, topics, at, out);
    }
    offsets
}

fn check_is_read(id: &TopicPartition, topics: &Topics, at: &Path, out: &mut Findings) {
    if !topics.has(&id.topic) {
        let found = format!("{} is not a topic of this source", quoted(&id.topic));
        let right = match topics {
            Topics::Matching(pattern) => format!("write one that matches {}", quoted(pattern.as_str())),
            _ => suggestion(&id.topic, &topics.names().collect::<Vec<_>>()),
        };
        out.add(&at.field("topic"), format!("{found}; {right}"));
    } else if let Topics::Assigned(assigned) = topics
        && !assigned.get(&id.topic).is_some_and(|partitions| partitions.contains(&id.partition))
    {
        out.add(&at.field("partition"), format!("{} is not assigned to this source; leave it out", quoted(id)));
    }
}

/// Refuses offsets that miss a partition. Only the brokers know how many partitions a topic has, but a topic without
/// any offset is surely forgotten.
fn check_none_is_missing(offsets: &BTreeMap<TopicPartition, i64>, topics: &Topics, at: &Path, out: &mut Findings) {
    if let Topics::Assigned(assigned) = topics {
        let all = assigned.iter().flat_map(|(topic, of_topic)| {
            of_topic.iter().map(|&partition| TopicPartition { topic: topic.clone(), partition })
        });
        for id in all.filter(|id| !offsets.contains_key(id)) {
            out.add(at, format!("{} is not there; each partition that is read needs an offset", quoted(id)));
        }
        return;
    }
    for topic in topics.names().filter(|topic| !offsets.keys().any(|id| id.topic == **topic)) {
        out.add(at, format!("no partition of {} is there; each partition that is read needs an offset", quoted(topic)));
    }
}

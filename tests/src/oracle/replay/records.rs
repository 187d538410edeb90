//! The records to replay, as Kafka has or had them.

use std::collections::BTreeMap;

use crate::topic::{Contents, Stored};

/// Ranges of offsets, half-open, that a test has made unreadable in Kafka's log, by partition of the one topic.
pub type Destroyed = BTreeMap<i32, Vec<(i64, i64)>>;

/// The records to replay.
#[derive(Debug, Clone, Copy)]
pub enum Records<'a> {
    /// The records of one topic, whatever its name.
    OfOne(&'a Contents),
    ByTopic(&'a BTreeMap<String, Contents>),
}

impl Records<'_> {
    pub(super) fn get(&self, topic: &str, partition: i32, offset: i64) -> Option<&Stored> {
        let contents = match self {
            Self::OfOne(contents) => contents,
            Self::ByTopic(topics) => topics.get(topic)?,
        };
        contents.get(&partition)?.get(&offset)
    }

    /// The records of one partition, from an offset on.
    pub(super) fn onwards(&self, topic: &str, partition: i32, offset: i64) -> impl Iterator<Item = (i64, &Stored)> {
        let contents = match self {
            Self::OfOne(contents) => Some(*contents),
            Self::ByTopic(topics) => topics.get(topic),
        };
        contents
            .and_then(|contents| contents.get(&partition))
            .into_iter()
            .flat_map(move |all| all.range(offset..))
            .map(|(at, stored)| (*at, stored))
    }
}

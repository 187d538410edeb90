//! Which topics and partitions exist, and the ids of those topics.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use weir_base::clock::steady;
use weir_base::failure::Result;
use weir_plan::ids::TopicPartition;
use weir_plan::topics::{TopicPattern, Topics};

use super::ask::{self, Refusal};
use super::{KafkaInput, fault, native};

/// The partitions to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// In the document's order of topics, or by name if a pattern finds them.
    pub partitions: Vec<TopicPartition>,
    /// Topics that were known and no longer exist, if the document says to go on without them.
    pub gone: Vec<String>,
}

impl KafkaInput {
    /// Whether another look may find more: an `assign` list never changes.
    #[must_use]
    pub fn may_find_more(&self) -> bool {
        !matches!(self.source.topics, Topics::Assigned(_))
    }

    /// The partitions of the source's topics. `known` are the topics that were read so far. This waits for brokers that
    /// are away.
    ///
    /// # Errors
    /// `Config` for a topic or an assigned partition that does not exist or may not be read, `Retry` when no broker
    /// answers before the deadline.
    pub fn look(&self, known: &BTreeSet<String>, deadline: Duration) -> Result<Found> {
        let until = steady() + deadline;
        match &self.source.topics {
            Topics::Named(topics) => {
                let mut found = Found::default();
                for topic in topics {
                    found.add(topic, ask::partition_count(&self.client(), topic, until)?);
                }
                Ok(found)
            }
            Topics::Matching(pattern) => self.matching(pattern, known, until),
            Topics::Assigned(topics) => self.assigned(topics, until),
        }
    }

    fn matching(&self, pattern: &TopicPattern, known: &BTreeSet<String>, until: Instant) -> Result<Found> {
        let mut counts = ask::all_partition_counts(&self.client(), until)?;
        counts.retain(|topic, _| pattern.matches(topic));
        let mut gone = Vec::new();
        for topic in known.iter().filter(|topic| pattern.matches(topic)) {
            if counts.contains_key(topic) {
                continue;
            }
            // The list also lacks topics that this user may not see. A request for this one topic tells the two cases
            // apart.
            match ask::partition_count_if_there(&self.client(), topic, until)? {
                Some(count) => drop(counts.insert(topic.clone(), count)),
                None => {
                    self.on_loss.topic_gone(topic, self.client().context().bootstrap_servers())?;
                    gone.push(topic.clone());
                }
            }
        }
        let mut found = Found { partitions: Vec::new(), gone };
        for (topic, count) in &counts {
            found.add(topic, *count);
        }
        Ok(found)
    }

    fn assigned(&self, topics: &BTreeMap<String, BTreeSet<i32>>, until: Instant) -> Result<Found> {
        let mut found = Found::default();
        for (topic, partitions) in topics {
            let count = ask::partition_count(&self.client(), topic, until)?;
            if let Some(missing) = partitions.iter().find(|partition| **partition >= count) {
                return Err(fault::partition_missing(topic, *missing, count));
            }
            found
                .partitions
                .extend(partitions.iter().map(|&partition| TopicPartition { topic: topic.clone(), partition }));
        }
        Ok(found)
    }

    /// The ids of topics, in their order. An id is `None` if the broker has none (before Kafka 2.8), and for a topic
    /// that is gone and may be. A topic that was deleted and created again has another id. Nothing else shows that:
    /// librdkafka reads on in the new topic at the old offset.
    ///
    /// # Errors
    /// `Config` for a topic that does not exist, `Retry` when no broker answers before the deadline.
    pub fn topic_ids(&self, topics: &[String], deadline: Duration) -> Result<Vec<(String, Option<String>)>> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let until = steady() + deadline;
        let names: Vec<_> = topics.iter().filter_map(|t| CString::new(t.as_str()).ok()).collect();
        let answers = ask::until_answered(&self.client(), until, |timeout| {
            native::describe_topics(&self.client(), &names, timeout).map_err(KafkaError::AdminOp)
        });
        let answers = match answers {
            Ok(answers) => answers,
            // The broker does not support this request.
            Err(refusal) if refusal.is_unsupported() => Vec::new(),
            Err(refusal) => return Err(refusal.explain(&self.client(), &topics.join(", "))),
        };
        let of_topic = |topic: &String| match answers.iter().find(|(name, _)| name == topic) {
            None => Ok((topic.clone(), None)),
            Some((_, Ok(id))) => Ok((topic.clone(), id.clone())),
            Some((_, Err(code))) => {
                let refusal = Refusal::from(KafkaError::AdminOp(*code));
                if !refusal.is_unknown_topic() {
                    return Err(refusal.explain(&self.client(), topic));
                }
                self.on_loss.topic_gone(topic, self.client().context().bootstrap_servers())?;
                Ok((topic.clone(), None))
            }
        };
        topics.iter().map(of_topic).collect()
    }
}

impl Found {
    fn add(&mut self, topic: &str, count: i32) {
        self.partitions.extend((0..count).map(|partition| TopicPartition { topic: topic.to_owned(), partition }));
    }

    /// The topics of these partitions, each once.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        self.partitions.iter().map(|p| &p.topic).collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }
}

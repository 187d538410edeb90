//! Looks for partitions and topics that came or went while a pipeline runs. This stays off the hot path: the brokers
//! are asked beside the lanes, with a deadline, and only changes reach the driver, which then closes the open epoch and
//! continues over another assignment.
//!
//! A watermark moves only if a look that was asked at most `watermarkDelay` before the epoch was closed has found
//! nothing new. So the first records of a new partition are in time: they came after that look, so they are not older
//! than it, while the watermark is that delay behind records that had been read by the close. (This requires that event
//! times are the times at which producers produce, and that a cluster tells all its clients of a partition at once.)
//! Looks beside the lanes are frequent enough for that. Where the delay is too short for them, the close asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use weir_plan::ids::TopicPartition;

use super::reading::Reading;
use super::topic_watch;
use crate::clock::steady;
use crate::failure::{Failure, Remedy, Result};
use crate::source::kafka::{KafkaInput, OffsetBounds};

/// The deadline for each question of a look.
const DEADLINE: Duration = Duration::from_secs(5);
/// The wait between looks while there is nothing to read, after a look without an answer, and when a lane has lost a
/// topic.
const SOON: Duration = Duration::from_secs(3);
/// The shortest wait between looks beside the lanes.
const EVERY_MIN: Duration = Duration::from_secs(1);
/// The deadline for the question of a close, for which the lanes wait.
const CLOSE_DEADLINE: Duration = Duration::from_millis(800);
/// The wait between the questions of two closes, after a question without an answer.
const CLOSE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The partitions and topics that came and went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Each is read from its earliest offset.
    pub new: Vec<(TopicPartition, OffsetBounds)>,
    /// The ids of new topics.
    pub ids: BTreeMap<String, String>,
    /// Topics that no longer exist. The pipeline continues without them.
    pub gone: Vec<String>,
}

pub struct Discovery {
    input: Arc<KafkaInput>,
    /// How often to look. `None` if nothing can be found, or if it would belong to the next run.
    every: Option<Duration>,
    /// The longest time between the last look and a close.
    delay: Duration,
    /// When the last look was asked that found nothing new, or whose finds are read by now.
    complete_at: Instant,
    /// Closes do not ask before this moment.
    close_asks_at: Instant,
    looked_at: Instant,
    wait: Duration,
    under_way: Option<(Instant, JoinHandle<Result<Changes>>)>,
    /// The changes, with the moment at which they were asked for.
    found: Option<(Instant, Changes)>,
    /// Whether a lane has lost a topic. The next look then leads to a new assignment even if it finds no change.
    in_doubt: bool,
}

impl Discovery {
    /// Looks repeatedly, at least once per `every`, for a source whose watermark is `delay` behind its records. The
    /// start has looked at `complete_at`, before `now`.
    #[must_use]
    pub fn new(
        input: Arc<KafkaInput>,
        every: Option<Duration>,
        delay: Duration,
        complete_at: Instant,
        now: Instant,
    ) -> Self {
        let every = every.filter(|_| input.may_find_more()).map(|every| every.min((delay / 2).max(EVERY_MIN)));
        let wait = every.unwrap_or_default();
        Self {
            input,
            every,
            delay,
            complete_at,
            close_asks_at: now,
            looked_at: now,
            wait,
            under_way: None,
            found: None,
            in_doubt: false,
        }
    }

    /// Whether the watermark of an epoch that was closed at `at` may move: the brokers have said recently enough that
    /// there are no partitions but those that are `read`.
    ///
    /// # Errors
    /// `Bug`.
    pub async fn is_complete(&mut self, at: Instant, read: impl FnOnce() -> BTreeSet<TopicPartition>) -> Result<bool> {
        if self.every.is_none() {
            return Ok(true);
        }
        if self.found.is_some() {
            return Ok(false);
        }
        let asked_at = steady();
        if self.complete_at + self.delay >= at {
            return Ok(true);
        }
        if asked_at < self.close_asks_at {
            return Ok(false);
        }
        let (input, known) = (Arc::clone(&self.input), read());
        let looked = tokio::task::spawn_blocking(move || {
            let topics = known.iter().map(|p| p.topic.clone()).collect();
            let found = input.look(&topics, CLOSE_DEADLINE)?;
            Ok::<_, Failure>(found.gone.is_empty() && found.partitions.iter().all(|p| known.contains(p)))
        });
        match looked.await.map_err(|e| Failure::bug(format!("look for partitions: {e}")))? {
            Ok(true) => self.complete_at = asked_at,
            // The look that says which partitions are new is due now.
            Ok(false) => self.wait = Duration::ZERO,
            Err(failure) => {
                tracing::debug!("whether there are new partitions: {failure}");
                self.close_asks_at = steady() + CLOSE_AGAIN_AFTER;
            }
        }
        Ok(self.complete_at == asked_at)
    }

    /// Says that a lane has lost a topic.
    pub fn doubt(&mut self) {
        self.in_doubt = true;
        self.wait = self.wait.min(SOON);
    }

    /// Resolves when something differs from what `reading` has (and `ids`, by topic); [`Self::take`] then returns it.
    /// The future may be dropped, and this called again.
    ///
    /// # Errors
    /// `Config`, if a topic that is read was created again.
    pub async fn changed(&mut self, reading: &Reading, ids: &BTreeMap<String, String>) -> Result<()> {
        let Some(every) = self.every else { return std::future::pending().await };
        while self.found.is_none() {
            let (asked_at, look) = match &mut self.under_way {
                Some((asked_at, look)) => (*asked_at, look),
                None => {
                    let wait = if reading.ids().len() == 0 { self.wait.min(SOON) } else { self.wait };
                    tokio::time::sleep_until((self.looked_at + wait).into()).await;
                    let known = Known { partitions: reading.ids().cloned().collect(), ids: ids.clone() };
                    let input = Arc::clone(&self.input);
                    let asked_at = steady();
                    let under_way = (asked_at, tokio::task::spawn_blocking(move || look(&input, &known)));
                    (asked_at, &mut self.under_way.insert(under_way).1)
                }
            };
            let looked = look.await;
            self.under_way = None;
            (self.looked_at, self.wait) = (steady(), every);
            match looked.map_err(|e| Failure::bug(format!("look for partitions: {e}")))? {
                Ok(changes) if self.in_doubt || changes != Changes::default() => self.found = Some((asked_at, changes)),
                Ok(_) => self.complete_at = self.complete_at.max(asked_at),
                // While the brokers are unreachable nothing is found, and what was found before stands.
                Err(failure) if failure.remedy == Remedy::Retry => {
                    tracing::debug!("looking for new partitions: {failure}");
                    self.wait = every.min(SOON);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Returns what the last look found, once.
    pub fn take(&mut self) -> Option<Changes> {
        self.in_doubt = false;
        let (asked_at, changes) = self.found.take()?;
        self.complete_at = self.complete_at.max(asked_at);
        Some(changes)
    }
}

/// What the source is read from so far.
struct Known {
    partitions: BTreeSet<TopicPartition>,
    /// By topic name, where the broker tells ids.
    ids: BTreeMap<String, String>,
}

fn look(input: &KafkaInput, known: &Known) -> Result<Changes> {
    let topics = known.partitions.iter().map(|p| p.topic.clone()).collect();
    // A lane notices and reports what is wrong with a topic that it reads. One broker that knows less than the others
    // is no reason to end the run.
    let found = input.look(&topics, DEADLINE).map_err(|failure| Failure::retry(failure.message))?;
    // The ids are asked for before the offsets: records from these offsets on then come from these topics, or the topic
    // watch notices that they do not.
    let ids = ids(input, known, &found.topics())?;
    topic_watch::check_same(&known.ids, &ids)?;
    let new = unknown(known, found.partitions);
    let bounds = input.offset_bounds(&new, DEADLINE)?;
    let ids = ids.into_iter().filter(|(topic, _)| !known.ids.contains_key(topic)).collect();
    Ok(Changes { new: new.into_iter().zip(bounds).collect(), ids, gone: found.gone })
}

fn unknown(known: &Known, found: Vec<TopicPartition>) -> Vec<TopicPartition> {
    found.into_iter().filter(|p| !known.partitions.contains(p)).collect()
}

/// Brokers that have told ids do so again. Brokers that have not told any do not know the question.
fn ids(input: &KafkaInput, known: &Known, topics: &[String]) -> Result<BTreeMap<String, String>> {
    if known.ids.is_empty() && !known.partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    match topic_watch::ids(input, topics) {
        Err(failure) if failure.remedy == Remedy::Retry && known.ids.is_empty() => Ok(BTreeMap::new()),
        told => told,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use weir_plan::plan::{KafkaConnection, KafkaSource, OnLostOffsets, StartFrom};
    use weir_plan::topics::{TopicPattern, Topics};

    use super::*;
    use crate::source::kafka::Fetching;
    use crate::storage::Secrets;

    #[tokio::test]
    async fn a_watermark_waits_for_partitions_that_are_there_and_not_read_yet() {
        let cluster: MockCluster<'static, DefaultProducerContext> = MockCluster::new(1).unwrap();
        cluster.create_topic("rides-a", 1, 1).unwrap();
        let source = KafkaSource {
            connection: KafkaConnection::plaintext(cluster.bootstrap_servers()),
            topics: Topics::Matching(TopicPattern::parse("rides-.*").unwrap()),
            group_id: "tests".to_owned(),
            start_from: StartFrom::Earliest,
            on_lost_offsets: OnLostOffsets::Fail,
        };
        let input =
            Arc::new(KafkaInput::connect_with(&source, "test", &Secrets::default(), Fetching::default()).unwrap());
        let now = Instant::now();
        let mut discovery = Discovery::new(input, Some(Duration::from_secs(3600)), Duration::ZERO, now, now);
        let read = |topics: &[&str]| {
            topics.iter().map(|topic| TopicPartition { topic: (*topic).to_owned(), partition: 0 }).collect()
        };
        let mut answered = async |topics: &[&str], wanted: bool| {
            // A close does not wait for a slow broker. It then takes the partitions as incomplete, and the next close
            // asks again.
            let until = Instant::now() + Duration::from_secs(20);
            loop {
                let is_complete = discovery.is_complete(Instant::now(), || read(topics)).await.unwrap();
                if is_complete == wanted || Instant::now() >= until {
                    return is_complete;
                }
            }
        };
        assert!(answered(&["rides-a"], true).await);
        cluster.create_topic("rides-b", 1, 1).unwrap();
        assert!(!answered(&["rides-a"], false).await, "rides-b may have had records before what was read of rides-a");
        assert!(answered(&["rides-a", "rides-b"], true).await);
    }

    #[test]
    fn only_partitions_that_are_not_read_yet_are_news() {
        let id = |topic: &str, partition| TopicPartition { topic: topic.into(), partition };
        let known = Known { partitions: [id("a", 0), id("b", 0)].into(), ids: BTreeMap::new() };
        assert_eq!(unknown(&known, vec![id("a", 0), id("a", 1), id("c", 0)]), [id("a", 1), id("c", 0)]);
        assert_eq!(
            unknown(&known, vec![id("a", 0)]),
            [],
            "one that is not listed any more is no news: its topic is asked for by name"
        );
    }
}

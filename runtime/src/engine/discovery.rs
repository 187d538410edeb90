//! Looks for partitions and topics that came or went while a pipeline runs. Off the hot path: the brokers are asked beside the lanes, with a
//! deadline, and only what has changed reaches the driver, which then closes the epoch in hand and reads on over another assignment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use weir_plan::ids::TopicPartition;

use super::reading::Reading;
use super::topic_watch;
use crate::failure::{Failure, Remedy, Result};
use crate::source::kafka::{KafkaInput, OffsetBounds};

/// For each of the questions of a look.
const DEADLINE: Duration = Duration::from_secs(5);
/// Between looks while there is nothing to read, after one that was not answered, and when a lane has lost a topic.
const SOON: Duration = Duration::from_secs(3);

/// What has come and gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Each is read from its earliest offset.
    pub new: Vec<(TopicPartition, OffsetBounds)>,
    /// The ids of topics that are new.
    pub ids: BTreeMap<String, String>,
    /// Topics to go on without.
    pub gone: Vec<String>,
}

pub struct Discovery {
    input: Arc<KafkaInput>,
    /// `None`: nothing can be found, or it belongs to the next run.
    every: Option<Duration>,
    looked_at: Instant,
    wait: Duration,
    under_way: Option<JoinHandle<Result<Changes>>>,
    found: Option<Changes>,
    /// A lane has lost a topic: what the next look finds is assigned anew even if that is what was there before.
    in_doubt: bool,
}

impl Discovery {
    /// Looks again and again, `every` so often.
    #[must_use]
    pub fn new(input: Arc<KafkaInput>, every: Option<Duration>) -> Self {
        let every = every.filter(|_| input.may_find_more());
        // The start has just looked.
        let wait = every.unwrap_or_default();
        Self { input, every, looked_at: Instant::now(), wait, under_way: None, found: None, in_doubt: false }
    }

    /// A lane has lost a topic.
    pub fn doubt(&mut self) {
        self.in_doubt = true;
        self.wait = self.wait.min(SOON);
    }

    /// Resolves when something is not as `reading` has it (`ids` by topic): [`Self::take`] has what. May be dropped and called again.
    ///
    /// # Errors
    /// `Config`: a topic that is read was made anew.
    pub async fn changed(&mut self, reading: &Reading, ids: &BTreeMap<String, String>) -> Result<()> {
        let Some(every) = self.every else { return std::future::pending().await };
        while self.found.is_none() {
            let look = match &mut self.under_way {
                Some(look) => look,
                None => {
                    let wait = if reading.ids().len() == 0 { self.wait.min(SOON) } else { self.wait };
                    tokio::time::sleep_until((self.looked_at + wait).into()).await;
                    let known = Known { partitions: reading.ids().cloned().collect(), ids: ids.clone() };
                    let input = Arc::clone(&self.input);
                    self.under_way.insert(tokio::task::spawn_blocking(move || look(&input, &known)))
                }
            };
            let looked = look.await;
            self.under_way = None;
            (self.looked_at, self.wait) = (Instant::now(), every);
            match looked.map_err(|e| Failure::bug(format!("look for partitions: {e}")))? {
                Ok(changes) => self.found = Some(changes).filter(|changes| self.in_doubt || *changes != Changes::default()),
                // With the brokers away nothing is found, and what was found before stands.
                Err(failure) if failure.remedy == Remedy::Retry => {
                    tracing::debug!("looking for new partitions: {failure}");
                    self.wait = every.min(SOON);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// What the last look found, once.
    pub fn take(&mut self) -> Option<Changes> {
        self.in_doubt = false;
        self.found.take()
    }
}

/// What is read so far.
struct Known {
    partitions: BTreeSet<TopicPartition>,
    /// By topic, where the broker tells them.
    ids: BTreeMap<String, String>,
}

fn look(input: &KafkaInput, known: &Known) -> Result<Changes> {
    let topics = known.partitions.iter().map(|p| p.topic.clone()).collect();
    // What is wrong with a topic that is read, its lane finds out and says; one broker that knows less than the others is no reason to end.
    let found = input.look(&topics, DEADLINE).map_err(|failure| Failure::retry(failure.message))?;
    // The ids before the offsets: what is read from there on came from these topics, or the watch notices that it did not.
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

/// Where brokers have told ids they do so again; where they have not, they don't know the question.
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
    use super::*;

    #[test]
    fn only_partitions_that_are_not_read_yet_are_news() {
        let id = |topic: &str, partition| TopicPartition { topic: topic.into(), partition };
        let known = Known { partitions: [id("a", 0), id("b", 0)].into(), ids: BTreeMap::new() };
        assert_eq!(unknown(&known, vec![id("a", 0), id("a", 1), id("c", 0)]), [id("a", 1), id("c", 0)]);
        assert_eq!(unknown(&known, vec![id("a", 0)]), [], "one that is not listed any more is no news: its topic is asked for by name");
    }
}

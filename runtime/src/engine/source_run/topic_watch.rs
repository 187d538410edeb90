//! Notices a topic that was deleted and created again. Its name is the same, and librdkafka continues in it at the old
//! offset, so only the topic's id shows the difference. The watch asks for the id after an epoch was read and before it
//! is decided, so that no record of the new topic is taken for one of the old topic. Short epochs share a look: it
//! holds for everything that is read within `LOOK_EVERY` of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_plan::quote::quoted;

use tokio::task::JoinHandle;

use crate::failure::{Failure, Remedy, Result};
use crate::source::kafka::KafkaInput;

/// Brokers that can be reached answer within this time. Brokers that do not know the question never answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// The least time between two looks, so that questions do not make short epochs longer. In return, a topic that was
/// created again is noticed this much later.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub struct TopicWatch {
    input: Arc<KafkaInput>,
    pinned: BTreeMap<String, String>,
    looked_at: Instant,
}

impl TopicWatch {
    #[must_use]
    pub fn new(input: Arc<KafkaInput>, pinned: BTreeMap<String, String>, now: Instant) -> Self {
        Self { input, pinned, looked_at: now }
    }

    /// The topic ids that the checkpoint has.
    #[must_use]
    pub fn pinned(&self) -> &BTreeMap<String, String> {
        &self.pinned
    }

    /// Follows topics that came and went.
    pub fn change(&mut self, new: &BTreeMap<String, String>, gone: &[String]) {
        self.pinned.extend(new.clone());
        self.pinned.retain(|topic, _| !gone.contains(topic));
    }

    /// Starts to look again, unless the last look was just now. [`Self::check`] awaits the answer, which takes a tenth
    /// of a second, after the epoch's files are uploaded.
    pub fn look(&mut self, now: Instant) -> Look {
        if self.pinned.is_empty() || now.saturating_duration_since(self.looked_at) < LOOK_EVERY {
            return Look(None);
        }
        self.looked_at = now;
        let (input, topics) = (Arc::clone(&self.input), self.pinned.keys().cloned().collect::<Vec<_>>());
        Look(Some(tokio::task::spawn_blocking(move || ids(&input, &topics))))
    }

    /// Waits for the answer and compares it with the pinned ids.
    ///
    /// # Errors
    /// `Config`, for a topic that is gone or was created again.
    pub async fn check(&self, look: Look) -> Result<()> {
        let Some(asked) = look.0 else { return Ok(()) };
        match asked.await.map_err(|e| Failure::bug(format!("ask for topic ids: {e}")))? {
            Ok(now) => check_same(&self.pinned, &now),
            // While the brokers are unreachable nobody can have created a topic again, so what was read stands.
            Err(failure) if failure.remedy == Remedy::Retry => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

/// A question to the brokers that is under way.
#[must_use]
pub struct Look(Option<JoinHandle<Result<BTreeMap<String, String>>>>);

/// Ids by topic name, where the broker has them. Brokers have them since Kafka 2.8.
///
/// # Errors
/// `Config` for a topic that is gone and may not be; `Retry` without an answer.
pub fn ids(input: &KafkaInput, topics: &[String]) -> Result<BTreeMap<String, String>> {
    let told = input.topic_ids(topics, DEADLINE)?;
    Ok(told.into_iter().filter_map(|(topic, id)| Some((topic, id?))).collect())
}

/// Like [`ids`], for a start. Topic ids are optional, so the start continues if nobody answers: old brokers and
/// librdkafka's mock cluster never do.
pub fn ids_if_told(input: &KafkaInput, topics: &[String]) -> Result<BTreeMap<String, String>> {
    match ids(input, topics) {
        Err(failure) if failure.remedy == Remedy::Retry => {
            tracing::info!("a topic that is deleted and made anew will not be noticed: {failure}");
            Ok(BTreeMap::new())
        }
        told => told,
    }
}

/// Compares the ids that both sides know, and refuses a topic whose id has changed.
pub fn check_same(pinned: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Result<()> {
    for (topic, was) in pinned {
        if let Some(is) = now.get(topic).filter(|is| *is != was) {
            return Err(Failure::config(format!(
                "topic {} was deleted and made anew: its id is {is} and was {was} when this checkpoint began, so the \
                 saved offsets mean \
                 nothing there; spec.stateAction with discard: {{offsets: StartFrom}} reads the new topic",
                quoted(topic)
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(t, i)| ((*t).to_owned(), (*i).to_owned())).collect()
    }

    #[test]
    fn a_topic_with_another_id_is_refused_by_name() {
        let failure =
            check_same(&ids(&[("a", "1"), ("b", "2")]), &ids(&[("a", "1"), ("b", "3")])).expect_err("another id");
        assert_eq!(failure.remedy, Remedy::Config);
        assert!(failure.message.starts_with("topic `b` was deleted and made anew"), "{failure}");
    }

    #[test]
    fn what_only_one_side_knows_is_no_difference() {
        assert_eq!(check_same(&ids(&[("a", "1")]), &ids(&[])), Ok(()));
        assert_eq!(check_same(&ids(&[]), &ids(&[("a", "1")])), Ok(()));
    }
}

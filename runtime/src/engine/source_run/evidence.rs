//! Evidence of silence. That nothing has come from a partition for long proves nothing: its leader may be unreachable,
//! this process may have been frozen, or its queue may be full. So before a partition counts as idle, its leader is
//! asked where its log ends. The question is asked after the epoch's clock was read, and an answer counts only if it
//! comes within [`FRESH`].
//!
//! The lanes wait for the answers, since what they read meanwhile would belong to no epoch. All leaders are asked at
//! once, which takes one round trip. A leader that does not answer costs an epoch [`FRESH`] once. After that it is
//! asked beside the lanes, and its partitions are not idle until it answers there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::task::JoinHandle;
use weir_plan::ids::TopicPartition;

use crate::clock::{since, steady};
use crate::failure::{Failure, Result};
use crate::source::kafka::{Ends, KafkaInput};

/// The age up to which an answer counts when it is looked at.
const FRESH: Duration = Duration::from_secs(1);
/// How long the brokers have to answer. The answers of several brokers come together, when the last one is there or
/// this time is over.
const ANSWER_WITHIN: Duration = Duration::from_millis(800);
/// The wait between two questions to leaders that did not answer.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Asks for the ends of partitions.
type Ask = Arc<dyn Fn(&[TopicPartition]) -> Ends + Send + Sync>;

pub struct Evidence {
    ask: Ask,
    /// The partitions whose leaders did not answer the last time.
    silent: BTreeSet<TopicPartition>,
    asked_again: Option<JoinHandle<Ends>>,
    ask_again_at: Instant,
    fresh: Duration,
}

impl Evidence {
    #[must_use]
    pub fn new(input: Arc<KafkaInput>, now: Instant) -> Self {
        Self::by(Arc::new(move |partitions: &[TopicPartition]| input.ends(partitions, ANSWER_WITHIN)), now)
    }

    fn by(ask: Ask, now: Instant) -> Self {
        Self { ask, silent: BTreeSet::new(), asked_again: None, ask_again_at: now, fresh: FRESH }
    }

    /// The ends of these partitions' logs, without those whose leaders do not answer in time. `all` asks also the
    /// leaders that did not answer the last time; it is for an epoch that no other one follows.
    ///
    /// # Errors
    /// `Bug`.
    pub async fn ends(&mut self, partitions: Vec<TopicPartition>, all: bool) -> Result<Ends> {
        self.take_answers().await?;
        let asked: Vec<_> = partitions.into_iter().filter(|p| all || !self.silent.contains(p)).collect();
        if asked.is_empty() {
            return Ok(Ends::new());
        }
        let asked_at = steady();
        let ends = self.begin(asked.clone()).await.map_err(|e| died(&e))?;
        // An answer is not fresh either if this process was frozen while it waited.
        let is_fresh = since(asked_at) <= self.fresh;
        for partition in asked {
            if ends.contains_key(&partition) {
                self.silent.remove(&partition)
            } else {
                self.silent.insert(partition)
            };
        }
        Ok(if is_fresh { ends } else { Ends::new() })
    }

    /// Those of these partitions whose leaders do not answer now.
    ///
    /// # Errors
    /// `Bug`.
    pub async fn without_leader(&mut self, partitions: &[TopicPartition]) -> Result<Vec<TopicPartition>> {
        let ends = self.begin(partitions.to_vec()).await.map_err(|e| died(&e))?;
        Ok(partitions.iter().filter(|p| !ends.contains_key(p)).cloned().collect())
    }

    /// Asks the leaders of silent partitions again, beside the lanes. Those that answer are not silent any more.
    async fn take_answers(&mut self) -> Result<()> {
        if let Some(ends) = self.asked_again.as_mut().and_then(FutureExt::now_or_never) {
            self.asked_again = None;
            self.ask_again_at = steady() + ASK_AGAIN_AFTER;
            let ends = ends.map_err(|e| died(&e))?;
            self.silent.retain(|p| !ends.contains_key(p));
        }
        if self.asked_again.is_none() && !self.silent.is_empty() && self.ask_again_at <= steady() {
            self.asked_again = Some(self.begin(self.silent.iter().cloned().collect()));
        }
        Ok(())
    }

    fn begin(&self, partitions: Vec<TopicPartition>) -> JoinHandle<Ends> {
        let ask = Arc::clone(&self.ask);
        tokio::task::spawn_blocking(move || ask(&partitions))
    }
}

fn died(error: &tokio::task::JoinError) -> Failure {
    Failure::bug(format!("ask for the ends of partitions: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Mutex;

    use super::*;
    use crate::source::kafka::End;

    fn id(partition: i32) -> TopicPartition {
        TopicPartition { topic: "rides".into(), partition }
    }

    const END: End = End { offset: 10, leader_epoch: None };

    /// The leader of partition 1 answers only while `led` is true. Each question is recorded.
    fn evidence(led: &Arc<Mutex<bool>>, asked: &Arc<Mutex<Vec<Vec<i32>>>>) -> Evidence {
        let (led, asked) = (Arc::clone(led), Arc::clone(asked));
        Evidence::by(
            Arc::new(move |partitions: &[TopicPartition]| {
                asked.lock().unwrap().push(partitions.iter().map(|p| p.partition).collect());
                let led = *led.lock().unwrap();
                partitions.iter().filter(|p| p.partition == 0 || led).map(|p| (p.clone(), END)).collect()
            }),
            Instant::now(),
        )
    }

    #[tokio::test]
    async fn a_leader_that_does_not_answer_is_asked_beside_the_epochs_until_it_does() {
        let (led, asked) = (Arc::new(Mutex::new(false)), Arc::default());
        // This test may take any time. The other test shows how old an answer may be.
        let mut evidence = Evidence { fresh: Duration::MAX, ..evidence(&led, &asked) };
        let both = || vec![id(0), id(1)];
        assert_eq!(evidence.ends(both(), false).await.unwrap(), Ends::from([(id(0), END)]));
        // From now on no epoch waits for the silent leader.
        evidence.ask_again_at = Instant::now() + Duration::from_secs(3600);
        assert_eq!(evidence.ends(both(), false).await.unwrap(), Ends::from([(id(0), END)]));
        assert_eq!(asked.lock().unwrap().as_slice(), [vec![0, 1], vec![0]]);
        // At the end of a run, silent leaders are asked too.
        assert_eq!(evidence.ends(both(), true).await.unwrap(), Ends::from([(id(0), END)]));
        assert_eq!(evidence.without_leader(&both()).await.unwrap(), [id(1)]);

        *led.lock().unwrap() = true;
        evidence.ask_again_at = Instant::now();
        let answered = async {
            while evidence.ends(both(), false).await.unwrap().len() < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), answered).await.expect("it is asked again");
    }

    #[tokio::test]
    async fn an_answer_that_is_old_when_it_is_looked_at_is_none() {
        let mut evidence = Evidence::by(
            Arc::new(|partitions: &[TopicPartition]| {
                std::thread::sleep(FRESH + Duration::from_millis(10));
                partitions.iter().map(|p| (p.clone(), END)).collect()
            }),
            Instant::now(),
        );
        assert_eq!(evidence.ends(vec![id(0)], false).await.unwrap(), Ends::new());
        assert!(evidence.silent.is_empty(), "it did answer");
    }
}

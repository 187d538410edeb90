//! Records from Kafka. Each source has one librdkafka client, and lanes share its partitions and read in parallel.
//! Partitions are assigned at the manifest's offsets and never subscribed to: the checkpoint, not a consumer group,
//! decides who reads what.

pub mod access;
mod ask;
mod client;
mod events;
mod fault;
mod lane;
mod leaders;
mod native;
mod position;
mod refusal;
mod settings;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer};
use weir_base::clock::steady;
use weir_plan::ids::TopicPartition;
use weir_plan::plan::KafkaSource;
use weir_plan::topics::Topics;

use access::{Access, Mark};
use client::Client;
use events::Events;
use fault::OnLoss;
pub use lane::{LaneEvent, LaneInput, Record, Taken};
pub use leaders::{End, Ends};
pub use native::{Headers, TimeSetBy, Timestamp};
pub use position::{OffsetBounds, Position};
pub use settings::Fetching;
pub use topics::Found;
use weir_base::failure::{Failure, Result};
use weir_base::storage::Secrets;

/// How long librdkafka's own threads may take to begin with an assignment; this waits for no broker.
const VALIDATE_DEADLINE: Duration = Duration::from_secs(30);
const VALIDATE_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// The client of one source: metadata, offsets, assignment, publishing.
pub struct KafkaInput {
    source: KafkaSource,
    client_id: String,
    fetching: Fetching,
    access: Access,
    current: RwLock<Current>,
    on_loss: OnLoss,
}

/// A client, and the certificates and passwords that it has.
struct Current {
    client: Arc<Client>,
    mark: Mark,
}

/// A client with new certificates and passwords, which the brokers have let in.
pub struct Renewed(Current);

impl KafkaInput {
    /// Creates the client. It asks the brokers nothing yet, so only settings that librdkafka refuses and Secrets that
    /// can't be used fail here; for a mechanism with tokens, it gets the first one.
    ///
    /// # Errors
    /// `Config`, and `Retry` if the server that gives tokens does not answer.
    pub fn connect_with(source: &KafkaSource, client_id: &str, secrets: &Secrets, fetching: Fetching) -> Result<Self> {
        let mut access = Access::new(&source.connection, secrets);
        let current = Current::connect(source, client_id, &mut access, fetching)?;
        let topics_come_and_go = matches!(source.topics, Topics::Matching(_));
        let on_loss = OnLoss { offsets: source.on_lost_offsets, topics_come_and_go };
        Ok(Self {
            source: source.clone(),
            client_id: client_id.to_owned(),
            fetching,
            access,
            current: RwLock::new(current),
            on_loss,
        })
    }

    /// Whether certificates or passwords may change while this runs.
    #[must_use]
    pub fn may_be_renewed(&self) -> bool {
        self.access.may_change()
    }

    /// A client with the certificates and passwords of this moment, if they are others than those in use and the
    /// brokers let it in; otherwise the present client stays.
    ///
    /// # Errors
    /// Why the new certificates and passwords can't be used.
    pub fn renewed(&self, deadline: Duration) -> Result<Option<Renewed>> {
        let mut access = self.access.clone();
        if access.mark()? == self.current().mark {
            return Ok(None);
        }
        let renewed = Current::connect(&self.source, &self.client_id, &mut access, self.fetching)?;
        ask::answers(&renewed.client, steady() + deadline)?;
        Ok(Some(Renewed(renewed)))
    }

    /// Goes on with another client. The next [`Self::assign`] makes its lanes.
    pub fn renew(&self, renewed: Renewed) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = renewed.0;
    }

    fn client(&self) -> Arc<Client> {
        Arc::clone(&self.current().client)
    }

    fn current(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The offsets that the brokers have, in the order of `partitions`.
    ///
    /// # Errors
    /// `Config` for a partition that does not exist, `Retry` when its leader does not answer before the deadline.
    pub fn offset_bounds(&self, partitions: &[TopicPartition], deadline: Duration) -> Result<Vec<OffsetBounds>> {
        let until = steady() + deadline;
        partitions
            .iter()
            .map(|p| {
                ask::until_answered(&self.client(), until, |timeout| {
                    let (low, end) = self.client().fetch_watermarks(&p.topic, p.partition, timeout)?;
                    Ok(OffsetBounds { low, end })
                })
                .map_err(|refusal| refusal.explain(&self.client(), &p.topic))
            })
            .collect()
    }

    /// The first offset of each partition whose record has this timestamp or a later one; a partition without such a
    /// record is left out.
    ///
    /// # Errors
    /// See [`Self::offset_bounds`].
    pub fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        at_ms: i64,
        deadline: Duration,
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        // librdkafka refuses an empty list.
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let until = steady() + deadline;
        let mut asked = TopicPartitionList::new();
        for p in partitions {
            lane::add(&mut asked, p, at_ms)?;
        }
        let names = || {
            partitions
                .iter()
                .map(|p| p.topic.as_str())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect::<Vec<_>>()
                .join(", ")
        };
        let answered = ask::until_answered(&self.client(), until, |timeout| {
            let answered = self.client().offsets_for_times(asked.clone(), timeout)?;
            // The call as a whole succeeds even if one partition of several has no leader.
            answered.elements().iter().try_for_each(|e| e.error())?;
            Ok(answered)
        })
        .map_err(|refusal| refusal.explain(&self.client(), &names()))?;
        let at = answered.elements().into_iter().filter_map(|e| {
            let offset = e.offset().to_raw().filter(|offset| *offset >= 0)?;
            Some((TopicPartition { topic: e.topic().to_owned(), partition: e.partition() }, offset))
        });
        Ok(at.collect())
    }

    /// The ends of partitions as their leaders say, all asked at once. A partition whose leader does not answer within
    /// `timeout` is left out.
    #[must_use]
    pub fn ends(&self, partitions: &[TopicPartition], timeout: Duration) -> Ends {
        // librdkafka refuses an empty list.
        if partitions.is_empty() {
            return Ends::new();
        }
        leaders::ends(&self.client(), partitions, timeout).unwrap_or_else(|error| {
            tracing::debug!(%error, "no leader has said where its partitions end");
            Ends::new()
        })
    }

    /// Starts reading and replaces what was read before, whose lanes must have been dropped. The partitions go to the
    /// lanes in turn, at least one to each lane. `partition` in the lanes' events is an index into `positions`.
    ///
    /// # Errors
    /// Only `Bug`, since everything about the positions has been checked by now.
    pub fn assign(&self, positions: &[Position], lanes: usize) -> Result<Vec<LaneInput>> {
        self.client().unassign().map_err(|e| Failure::bug(format!("stop reading Kafka: {e}")))?;
        let lanes = lanes.min(positions.len()).max(1);
        let inputs: Result<Vec<_>> = (0..lanes)
            .map(|lane| {
                let mine = positions.iter().enumerate().skip(lane).step_by(lanes);
                LaneInput::new(self.client(), self.on_loss, mine)
            })
            .collect();
        // The lanes have forwarded their queues by now, so from here on partitions that were never read before are
        // safe.
        let inputs = inputs?;
        let mut assignment = TopicPartitionList::new();
        for p in positions.iter().filter(|p| p.end.is_none_or(|end| p.next < end)) {
            lane::add(&mut assignment, &p.partition, p.next)?;
        }
        self.client().assign(&assignment).map_err(|e| Failure::bug(format!("start reading Kafka: {e}")))?;
        // A partition that was read before has lost its forwarding to the stop, which librdkafka's main thread executes
        // before it answers the assign. Records fetched in between wait in the partition's own queue, and this call
        // moves them.
        inputs.iter().try_for_each(LaneInput::take_in_all)?;
        self.validate(positions)?;
        Ok(inputs)
    }

    /// Makes librdkafka compare positions with the leaders' logs. It does so when a leader changes and on a seek, but
    /// not when partitions are assigned. So each partition seeks to its own position.
    fn validate(&self, positions: &[Position]) -> Result<()> {
        let read_on = positions.iter().filter(|p| p.end.is_none_or(|end| p.next < end));
        let mut open: Vec<_> = read_on.filter_map(|p| Some((&p.partition, p.next, p.leader_epoch?))).collect();
        let until = steady() + VALIDATE_DEADLINE;
        loop {
            let why = match leaders::validate(&self.client(), &open, VALIDATE_DEADLINE) {
                // A fetch that finds nothing at its offset may come first and stops the partition. Then its lane gets
                // that event.
                Ok(refused) => {
                    open = refused.into_iter().filter(|(partition, next, _)| !self.lacks(partition, *next)).collect();
                    "librdkafka has not begun to read".to_owned()
                }
                Err(error) => error.to_string(),
            };
            if open.is_empty() {
                return Ok(());
            }
            if steady() >= until {
                let which = open.iter().map(|(partition, ..)| partition.to_string()).collect::<Vec<_>>().join(", ");
                return Err(Failure::retry(format!("compare what was read with Kafka's log: {which}: {why}")));
            }
            // librdkafka is still releasing the previous assignment.
            std::thread::sleep(VALIDATE_AGAIN_AFTER);
        }
    }

    /// Whether a partition's leader says that its log does not contain this offset.
    fn lacks(&self, partition: &TopicPartition, next: i64) -> bool {
        let bounds = self.client().fetch_watermarks(&partition.topic, partition.partition, VALIDATE_AGAIN_AFTER * 100);
        bounds.is_ok_and(|(low, end)| !(low..=end).contains(&next))
    }

    /// Publishes the consumer group's offsets (the next offset per partition) after the commit, for people and Kafka's
    /// tools. It returns at once. Failures are logged now and then and affect nothing else.
    pub fn publish(&self, offsets: &[(TopicPartition, i64)]) {
        self.commit_group(offsets, CommitMode::Async);
    }

    /// Publishes the group's offsets and waits for the broker's answer. This is for the end of a run, which would be
    /// over before the request is sent.
    pub fn publish_and_wait(&self, offsets: &[(TopicPartition, i64)]) {
        self.commit_group(offsets, CommitMode::Sync);
    }

    fn commit_group(&self, offsets: &[(TopicPartition, i64)], mode: CommitMode) {
        // librdkafka refuses an empty list.
        if offsets.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for (p, next) in offsets {
            if lane::add(&mut list, p, *next).is_err() {
                return;
            }
        }
        if let Err(error) = self.client().commit(&list, mode) {
            self.client().context().publish_failed(&error);
        }
    }

    /// The partition's high watermark as of the last fetch, without a request; `None` until something was fetched. It
    /// serves the lag. If it is greater than the offset of the last `EndOfPartition`, a transaction is open there, or
    /// records have just arrived.
    #[must_use]
    pub fn cached_high_watermark(&self, partition: &TopicPartition) -> Option<i64> {
        let topic = CString::new(partition.topic.as_str()).ok()?;
        native::cached_high_watermark(&self.client(), &topic, partition.partition)
    }
}

impl Current {
    fn connect(source: &KafkaSource, client_id: &str, access: &mut Access, fetching: Fetching) -> Result<Self> {
        let mut config = settings::client_config(source, client_id, fetching);
        let mark = access.configure(&mut config)?;
        let client = Client::new(&config, Events::new(access.clone()))
            .map_err(|e| Failure::config(format!("Kafka connection to {}: {e}", access.bootstrap_servers())))?;
        Ok(Self { client: Arc::new(client), mark })
    }
}

#[cfg(test)]
pub(crate) mod tests;

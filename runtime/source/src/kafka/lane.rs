//! One lane's share of a source: the partitions whose records come to its queue. One thread owns a lane.

mod event;
mod slot;
mod trouble;
mod unreadable;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use weir_base::clock::steady;
use weir_plan::ids::TopicPartition;

use super::client::Client;
use super::fault::{self, Answer, OnLoss, PartitionFault};
use super::leaders;
use super::native::{Message, Queue};
use super::position::{Position, absolute};
pub use event::{LaneEvent, Record, Taken};
use slot::{Slot, State, find};
use weir_base::failure::{Failure, Result};

/// The receiving end of one lane.
pub struct LaneInput {
    queue: Queue,
    client: Arc<Client>,
    on_loss: OnLoss,
    partitions: Vec<usize>,
    slots: Vec<Slot>,
    /// When the lane asks again what became of partitions that librdkafka has stopped reading.
    resolve_at: Option<Instant>,
    /// How many slots the last attempt handled before its time was up; the next attempt moves them to the end.
    resolved_last: usize,
    /// The value of `Events::doubts` when this lane last asked about its own topics.
    doubts: u64,
}

impl LaneInput {
    pub(super) fn new<'p>(
        client: Arc<Client>,
        on_loss: OnLoss,
        positions: impl Iterator<Item = (usize, &'p Position)>,
    ) -> Result<Self> {
        let queue = Queue::new(Arc::clone(&client)).ok_or_else(|| Failure::bug("librdkafka made no queue"))?;
        let slots = positions.map(|(index, p)| Slot::new(index, p)).collect::<Result<Vec<_>>>()?;
        let lane = Self {
            queue,
            client,
            on_loss,
            partitions: slots.iter().map(|s| s.index).collect(),
            slots,
            resolve_at: None,
            resolved_last: 0,
            doubts: 0,
        };
        lane.take_in_all()?;
        Ok(lane)
    }

    pub(super) fn take_in_all(&self) -> Result<()> {
        self.slots.iter().try_for_each(|slot| self.take_in(slot))
    }

    /// The partitions of this lane, as indices into the assigned positions.
    #[must_use]
    pub fn partitions(&self) -> &[usize] {
        &self.partitions
    }

    /// Hands at most `max` events to `f` and returns how many; waits at most `timeout` for the first. It neither hands
    /// out nor counts records at or above a partition's end bound. After a record that was not taken, it also holds
    /// back what follows in that partition, until [`Self::go_on`].
    ///
    /// # Errors
    /// `Config` for what stops the pipeline: offsets lost under `Fail`, a deleted or forbidden topic. The lane must not
    /// be polled again.
    pub fn poll(&mut self, timeout: Duration, max: usize, mut f: impl FnMut(LaneEvent<'_>) -> Taken) -> Result<usize> {
        self.client.serve();
        let mut handed_out = 0;
        let mut hand_out = |event: LaneEvent<'_>| {
            handed_out += 1;
            f(event)
        };
        if let Some(problem) = self.client.context().take_problem(steady()) {
            hand_out(LaneEvent::Problem(problem));
        }
        for slot in &mut self.slots {
            if let State::AtBound(offset) = slot.state {
                slot.state = State::Done;
                hand_out(LaneEvent::EndOfPartition { partition: slot.index, offset });
            }
        }
        self.take_doubts();
        if self.resolve_at.is_some_and(|at| at <= steady()) {
            self.resolve(&mut hand_out)?;
        }
        let done_before = self.count_done();
        let (max, timeout) = (max.saturating_sub(handed_out), if handed_out > 0 { Duration::ZERO } else { timeout });
        let mut hand_out = |event: LaneEvent<'_>| {
            handed_out += 1;
            f(event)
        };
        let servers = self.client.context().bootstrap_servers();
        // Records come in runs of one partition. The slot is found once per run, and the run's last record says which
        // leader wrote it.
        let mut run: Option<(usize, i32, usize)> = None;
        {
            let mut last: Option<(usize, Message<'_>)> = None;
            for message in self.queue.read(timeout, max) {
                let at = match run {
                    Some((topic, partition, at))
                        if topic == message.topic_handle() && partition == message.partition() =>
                    {
                        at
                    }
                    _ => {
                        let Some(at) = find(&self.slots, &message) else { continue };
                        run = Some((message.topic_handle(), message.partition(), at));
                        at
                    }
                };
                let slot = &mut self.slots[at];
                if let Some(code) = message.error() {
                    if let Some((_, message)) = last.take_if(|(before, _)| *before == at) {
                        slot.note(&message);
                    }
                    if slot.fail(PartitionFault::of(code, message.offset()), &message, servers, &mut hand_out)? {
                        self.resolve_at = Some(steady());
                    }
                    continue;
                }
                if !slot.record(&message, &mut hand_out) {
                    // This record answers the open question whether the partition can be read.
                    if !slot.is_unreadable() {
                        continue;
                    }
                    self.resolve_at = Some(steady());
                    if !slot.answer(Answer::Readable) || !slot.record(&message, &mut hand_out) {
                        continue;
                    }
                }
                if let Some((before, message)) = last.replace((at, message))
                    && before != at
                {
                    self.slots[before].note(&message);
                }
            }
            if let Some((at, message)) = last {
                self.slots[at].note(&message);
            }
        }
        if self.count_done() > done_before {
            self.stop_done();
        }
        self.stop_held()?;
        Ok(handed_out)
    }

    /// Reads a partition on with the record that was not taken. If the partition's topic is gone meanwhile, this does
    /// nothing.
    pub fn go_on(&mut self, partition: usize) -> Result<()> {
        let Some(at) = self.slots.iter().position(|slot| slot.index == partition && slot.state == State::Held) else {
            return Ok(());
        };
        self.slots[at].state = State::Reading;
        let next = self.slots[at].read_to.0;
        self.restart(at, next)
    }

    /// Stops fetching a partition until it is resumed; what waits in the queue is dropped and fetched again later. A
    /// partition of another lane is left alone.
    pub fn pause(&self, partition: usize) -> Result<()> {
        self.only(partition, |list| self.client.pause(list))
    }

    pub fn resume(&self, partition: usize) -> Result<()> {
        self.only(partition, |list| self.client.resume(list))
    }

    /// The epoch of the leader that wrote the record before `next`, if the last record that was handed out, or the
    /// assignment, ends there. Behind a transaction's marker it is unknown, because another leader may have written the
    /// marker.
    #[must_use]
    pub fn leader_epoch(&self, partition: usize, next: i64) -> Option<i32> {
        let slot = self.slots.iter().find(|slot| slot.index == partition)?;
        let (read_to, epoch) = slot.read_to;
        epoch.filter(|_| read_to == next)
    }

    /// Where the log of one of this lane's partitions ends, as its leader says; `None` if the leader does not answer
    /// within `timeout`.
    #[must_use]
    pub fn log_end(&self, partition: usize, timeout: Duration) -> Option<i64> {
        let slot = self.slots.iter().find(|s| s.index == partition)?;
        let ends = leaders::ends(&self.client, std::slice::from_ref(&slot.partition), timeout);
        ends.ok()?.get(&slot.partition).map(|end| end.offset)
    }

    fn only(
        &self,
        partition: usize,
        act: impl FnOnce(&TopicPartitionList) -> rdkafka::error::KafkaResult<()>,
    ) -> Result<()> {
        let Some(slot) = self.slots.iter().find(|s| s.index == partition) else { return Ok(()) };
        let mut list = TopicPartitionList::new();
        list.add_partition(&slot.partition.topic, slot.partition.partition);
        act(&list).map_err(|e| Failure::bug(format!("pause or resume {}: {e}", slot.partition)))
    }

    fn take_in(&self, slot: &Slot) -> Result<()> {
        if self.queue.take_in(&slot.topic, slot.partition.partition) {
            Ok(())
        } else {
            Err(fault::topic_name(&slot.partition.topic))
        }
    }

    fn take_doubts(&mut self) {
        let doubts = self.client.context().doubts();
        if doubts != self.doubts {
            self.doubts = doubts;
            self.slots.iter_mut().for_each(Slot::doubt);
            self.resolve_at = Some(steady());
        }
    }

    fn count_done(&self) -> usize {
        self.slots.iter().filter(|s| s.state == State::Done).count()
    }

    /// Stops fetching finished partitions, since their records would not be handed out. If that fails, the lane still
    /// holds these records back one by one.
    fn stop_done(&self) {
        for slot in self.slots.iter().filter(|s| s.state == State::Done) {
            if let Err(failure) = self.pause(slot.index) {
                tracing::debug!(%failure, "the partition is read on in vain");
            }
        }
    }
}

pub(super) fn add(list: &mut TopicPartitionList, partition: &TopicPartition, offset: i64) -> Result<()> {
    list.add_partition_offset(&partition.topic, partition.partition, absolute(offset))
        .map_err(|e| Failure::bug(format!("{partition} at offset {offset}: {e}")))
}

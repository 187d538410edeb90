//! Partitions that librdkafka has stopped reading. The lane asks the brokers what became of them, and the document
//! decides what follows.

use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use weir_base::clock::steady;
use weir_base::failure::{Failure, Remedy, Result};
use weir_plan::ids::TopicPartition;
use weir_plan::plan::OnLostOffsets;

use super::super::{ask, fault};
use super::event::{LaneEvent, Taken};
use super::unreadable::{Next, TRIES, Unreadable};
use super::{LaneInput, State, add};

/// How long a lane waits for the brokers' answers about all its partitions in trouble together. Those partitions stand
/// still anyway, but the lane's other partitions wait with them, and so does the close of an epoch.
const RESOLVE_WITHIN: Duration = Duration::from_secs(2);
const RESOLVE_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl LaneInput {
    /// Finds out about partitions in trouble, and tries again later if nobody answers. One round has one deadline for
    /// all of them; the next round begins with the partitions that this one did not reach.
    pub(super) fn resolve(&mut self, hand_out: &mut impl FnMut(LaneEvent<'_>) -> Taken) -> Result<()> {
        self.resolve_at = None;
        let until = steady() + RESOLVE_WITHIN;
        self.slots.rotate_left(std::mem::take(&mut self.resolved_last));
        for at in 0..self.slots.len() {
            if !self.slots[at].is_in_trouble() {
                continue;
            }
            if steady() >= until {
                self.resolved_last = at;
                self.resolve_by(steady() + RESOLVE_AGAIN_AFTER);
                break;
            }
            let resolved = match self.slots[at].state {
                State::Lost { wanted } => self.resolve_lost(at, wanted, until, hand_out),
                State::Unreadable(_) => self.resolve_unreadable(at, until, hand_out),
                _ => self.resolve_doubtful(at, until, hand_out),
            };
            match resolved {
                Err(failure) if failure.remedy == Remedy::Retry => {
                    hand_out(LaneEvent::Problem(failure));
                    self.resolve_by(steady() + RESOLVE_AGAIN_AFTER);
                }
                other => other?,
            }
        }
        Ok(())
    }

    fn resolve_by(&mut self, at: Instant) {
        self.resolve_at = Some(self.resolve_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Moves a partition whose next offset is gone to the offset that the document asks for.
    fn resolve_lost(
        &mut self,
        at: usize,
        wanted: i64,
        until: Instant,
        hand_out: &mut impl FnMut(LaneEvent<'_>) -> Taken,
    ) -> Result<()> {
        let Some((low, end)) = self.bounds(at, until, hand_out)? else { return Ok(()) };
        let slot = &mut self.slots[at];
        let (partition, position) = (slot.index, slot.read_to.0);
        // The offset is there after all: librdkafka missed another one, to which it had moved by itself behind a batch
        // that could not be read.
        if (low..=end).contains(&position) {
            slot.state = State::Reading;
            return self.restart(at, position);
        }
        let next = match self.on_loss.offsets {
            OnLostOffsets::Fail => return Err(fault::offsets_lost(&slot.partition, wanted, low, end)),
            OnLostOffsets::Earliest => low,
            OnLostOffsets::Latest => end,
        };
        (slot.state, slot.read_to) = (State::Reading, (next, None));
        self.restart(at, next)?;
        hand_out(LaneEvent::OffsetsLost { partition, wanted, next });
        Ok(())
    }

    /// The offsets that the partition has. `None` if its topic no longer exists; the lane has reported that by then.
    fn bounds(
        &mut self,
        at: usize,
        until: Instant,
        hand_out: &mut impl FnMut(LaneEvent<'_>) -> Taken,
    ) -> Result<Option<(i64, i64)>> {
        let TopicPartition { topic, partition } = &self.slots[at].partition;
        let bounds = ask::until_answered(&self.client, until, |timeout| {
            self.client.fetch_watermarks(topic, *partition, timeout)
        });
        match bounds {
            Ok(bounds) => Ok(Some(bounds)),
            Err(refusal) if refusal.is_unknown_topic() => {
                let topic = topic.clone();
                self.give_up(&topic, hand_out)?;
                Ok(None)
            }
            Err(refusal) => Err(refusal.explain(&self.client, topic)),
        }
    }

    /// Takes the next step for a partition that can't be read at its offset. Each step is one fetch or one question,
    /// and a later call acts on the answer.
    fn resolve_unreadable(
        &mut self,
        at: usize,
        until: Instant,
        hand_out: &mut impl FnMut(LaneEvent<'_>) -> Taken,
    ) -> Result<()> {
        let now = steady();
        let slot = &mut self.slots[at];
        let State::Unreadable(unreadable) = &mut slot.state else { return Ok(()) };
        match unreadable.next(now) {
            Next::Rest(until) => {
                self.resolve_by(until);
                return self.take_out(at);
            }
            Next::Wait(until) => {
                self.resolve_by(until);
                return Ok(());
            }
            Next::Found { from, next } => return self.pass_over(at, from, next, hand_out),
            Next::Try { offset, nth } => {
                let found = told(&slot.partition, offset, unreadable);
                let problem = format!("{found}; Weir reads it again, attempt {nth} of {TRIES}");
                hand_out(LaneEvent::Problem(Failure::retry(problem)));
                self.restart(at, offset)?;
            }
            Next::Probe(offset) => {
                tracing::debug!(partition = %slot.partition, offset, "looking for the first offset that can be read");
                self.restart(at, offset)?;
            }
            Next::AskForEnd => {
                let Some((_, end)) = self.bounds(at, until, hand_out)? else { return Ok(()) };
                let slot = &mut self.slots[at];
                if let State::Unreadable(unreadable) = &mut slot.state {
                    if unreadable.stays_so() {
                        let found = told(&slot.partition, slot.read_to.0, unreadable);
                        let problem = format!(
                            "{found}; {TRIES} attempts have failed, and Weir looks for the next readable offset"
                        );
                        hand_out(LaneEvent::Problem(Failure::retry(problem)));
                    }
                    unreadable.end_is(slot.end, end, now);
                }
            }
        }
        // The step that was just begun has a deadline.
        self.resolve_by(now);
        Ok(())
    }

    /// Reads on behind the range that can't be read.
    fn pass_over(
        &mut self,
        at: usize,
        from: i64,
        next: i64,
        hand_out: &mut impl FnMut(LaneEvent<'_>) -> Taken,
    ) -> Result<()> {
        let slot = &mut self.slots[at];
        let ends = slot.end.filter(|end| next >= *end);
        let before = std::mem::replace(&mut slot.state, ends.map_or(State::Reading, State::AtBound));
        slot.read_to = (next, None);
        let partition = slot.index;
        if ends.is_some() { self.take_out(at) } else { self.restart(at, next) }?;
        if let State::Unreadable(unreadable) = &before
            && from < next
        {
            hand_out(LaneEvent::Unreadable { partition, from, next, reason: &unreadable.reason });
        }
        Ok(())
    }

    /// A single broker may know less than the others; librdkafka reads on by itself when the topic appears again.
    fn resolve_doubtful(
        &mut self,
        at: usize,
        until: Instant,
        hand_out: &mut impl FnMut(LaneEvent<'_>) -> Taken,
    ) -> Result<()> {
        let topic = self.slots[at].partition.topic.clone();
        if ask::partition_count_if_there(&self.client, &topic, until)?.is_none() {
            return self.give_up(&topic, hand_out);
        }
        for slot in self.slots.iter_mut().filter(|s| s.state == State::Doubtful && s.partition.topic == topic) {
            slot.state = State::Reading;
        }
        Ok(())
    }

    /// Gives up the partitions of a topic that no longer exists.
    fn give_up(&mut self, topic: &str, hand_out: &mut impl FnMut(LaneEvent<'_>) -> Taken) -> Result<()> {
        self.on_loss.topic_gone(topic, self.client.context().bootstrap_servers())?;
        for slot in self
            .slots
            .iter_mut()
            .filter(|s| s.partition.topic == topic && !matches!(s.state, State::Gone | State::Done))
        {
            slot.state = State::Gone;
            hand_out(LaneEvent::TopicGone { partition: slot.index });
        }
        Ok(())
    }

    /// Stops fetching partitions that are held, as their records would only fill the queue.
    pub(super) fn stop_held(&mut self) -> Result<()> {
        for at in 0..self.slots.len() {
            if self.slots[at].state == State::Held {
                self.take_out(at)?;
            }
        }
        Ok(())
    }

    /// Fetches a partition from another offset. What was fetched from it before does not arrive any more.
    pub(super) fn restart(&mut self, at: usize, next: i64) -> Result<()> {
        self.take_out(at)?;
        let slot = &mut self.slots[at];
        let mut list = TopicPartitionList::new();
        add(&mut list, &slot.partition, next)?;
        let moved = self.client.incremental_assign(&list);
        moved.map_err(|e| Failure::bug(format!("go on reading {} at {next}: {e}", slot.partition)))?;
        slot.is_assigned = true;
        // Stopping the fetch has removed the forwarding, as in `KafkaInput::assign`.
        self.take_in(&self.slots[at])
    }

    /// Stops fetching a partition.
    fn take_out(&mut self, at: usize) -> Result<()> {
        let slot = &mut self.slots[at];
        if !slot.is_assigned {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(&slot.partition.topic, slot.partition.partition);
        let stopped = self.client.incremental_unassign(&list);
        stopped.map_err(|e| Failure::bug(format!("stop reading {}: {e}", slot.partition)))?;
        slot.is_assigned = false;
        Ok(())
    }
}

fn told(partition: &TopicPartition, offset: i64, unreadable: &Unreadable) -> String {
    format!("{partition}: what comes at offset {offset} can't be read: {}", unreadable.reason)
}

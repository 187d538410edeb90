//! Partitions that librdkafka has stopped reading: what became of them is asked of the brokers, and the document says what follows.

use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use weir_plan::ids::TopicPartition;
use weir_plan::plan::OnLostOffsets;

use super::super::{ask, fault};
use super::{LaneEvent, LaneInput, State, add};
use crate::failure::{Failure, Remedy, Result};

/// How long a lane waits for what brokers say about its partitions in trouble, over all of them. Those stand still anyway; the lane's others
/// wait with them, and so does the close of an epoch.
const RESOLVE_WITHIN: Duration = Duration::from_secs(2);
const RESOLVE_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl LaneInput {
    /// Finds out about partitions in trouble, and tries again later where nobody answers. A round has one deadline for all; the next one
    /// begins with the partitions that this one did not get to.
    pub(super) fn resolve(&mut self, hand_out: &mut impl FnMut(LaneEvent<'_>)) -> Result<()> {
        self.resolve_at = None;
        let until = Instant::now() + RESOLVE_WITHIN;
        self.slots.rotate_left(std::mem::take(&mut self.resolved_last));
        for at in 0..self.slots.len() {
            if !self.slots[at].is_in_trouble() {
                continue;
            }
            if Instant::now() >= until {
                self.resolved_last = at;
                self.resolve_at = Some(Instant::now() + RESOLVE_AGAIN_AFTER);
                break;
            }
            let resolved = match self.slots[at].state {
                State::Lost { wanted } => self.resolve_lost(at, wanted, until, hand_out),
                _ => self.resolve_doubtful(at, until, hand_out),
            };
            match resolved {
                Err(failure) if failure.remedy == Remedy::Retry => {
                    hand_out(LaneEvent::Problem(failure));
                    self.resolve_at = Some(Instant::now() + RESOLVE_AGAIN_AFTER);
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Moves a partition whose next offset is gone to where the document says.
    fn resolve_lost(&mut self, at: usize, wanted: i64, until: Instant, hand_out: &mut impl FnMut(LaneEvent<'_>)) -> Result<()> {
        let slot = &self.slots[at];
        let TopicPartition { topic, partition } = &slot.partition;
        let bounds = ask::until_answered(&self.client, until, |timeout| self.client.fetch_watermarks(topic, *partition, timeout));
        let (low, end) = match bounds {
            Ok(bounds) => bounds,
            Err(refusal) if refusal.is_unknown_topic() => {
                let topic = topic.clone();
                return self.give_up(&topic, hand_out);
            }
            Err(refusal) => return Err(refusal.explain(&self.client, topic)),
        };
        let next = match self.on_loss.offsets {
            OnLostOffsets::Fail => return Err(fault::offsets_lost(&slot.partition, wanted, low, end)),
            OnLostOffsets::Earliest => low,
            OnLostOffsets::Latest => end,
        };
        let partition = slot.index;
        self.restart(at, next)?;
        hand_out(LaneEvent::OffsetsLost { partition, wanted, next });
        Ok(())
    }

    /// A single broker may know less than the others; librdkafka reads on by itself when the topic turns up again.
    fn resolve_doubtful(&mut self, at: usize, until: Instant, hand_out: &mut impl FnMut(LaneEvent<'_>)) -> Result<()> {
        let topic = self.slots[at].partition.topic.clone();
        if ask::partition_count_if_there(&self.client, &topic, until)?.is_none() {
            return self.give_up(&topic, hand_out);
        }
        for slot in self.slots.iter_mut().filter(|s| s.state == State::Doubtful && s.partition.topic == topic) {
            slot.state = State::Reading;
        }
        Ok(())
    }

    /// Nothing more comes of a topic that does not exist any more.
    fn give_up(&mut self, topic: &str, hand_out: &mut impl FnMut(LaneEvent<'_>)) -> Result<()> {
        self.on_loss.topic_gone(topic, self.client.context().bootstrap_servers())?;
        for slot in self.slots.iter_mut().filter(|s| s.partition.topic == topic && !matches!(s.state, State::Gone | State::Done)) {
            slot.state = State::Gone;
            hand_out(LaneEvent::TopicGone { partition: slot.index });
        }
        Ok(())
    }

    /// librdkafka has given the partition up: it is taken out of the assignment and put back at `next`.
    fn restart(&mut self, at: usize, next: i64) -> Result<()> {
        let slot = &mut self.slots[at];
        let mut list = TopicPartitionList::new();
        add(&mut list, &slot.partition, next)?;
        let moved = self.client.incremental_unassign(&list).and_then(|()| self.client.incremental_assign(&list));
        moved.map_err(|e| Failure::bug(format!("go on reading {} at {next}: {e}", slot.partition)))?;
        slot.state = State::Reading;
        // The stop took the forwarding away, as in `KafkaInput::assign`.
        self.take_in(&self.slots[at])
    }
}

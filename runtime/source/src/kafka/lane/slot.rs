//! A partition as its lane reads it: how each of its events changes its state, and what is handed out.

use std::ffi::CString;

use weir_base::clock::steady;
use weir_base::failure::{Failure, Result};
use weir_plan::ids::TopicPartition;

use super::super::fault::{self, Answer, PartitionFault};
use super::super::native::{Headers, Message};
use super::super::position::Position;
use super::event::{LaneEvent, Record, Taken};
use super::unreadable::Unreadable;

pub(super) struct Slot {
    pub(super) index: usize,
    pub(super) partition: TopicPartition,
    pub(super) topic: CString,
    pub(super) end: Option<i64>,
    pub(super) state: State,
    /// Whether librdkafka has this partition in its assignment.
    pub(super) is_assigned: bool,
    /// The offset behind the last record that was handed out, and the epoch of the leader that wrote that record, if it
    /// is known.
    pub(super) read_to: (i64, Option<i32>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Reading,
    /// The partition is at its end bound, and the lane has not reported that yet.
    AtBound(i64),
    Done,
    /// The next offset is gone; the lane is finding out where reading goes on.
    Lost {
        wanted: i64,
    },
    /// The next batch can't be read; the lane is finding out whether that stays so and where reading goes on. Meanwhile
    /// it hands out nothing from this partition.
    Unreadable(Box<Unreadable>),
    /// A record was not taken. The lane hands out nothing from this partition until reading goes on from `read_to`.
    Held,
    /// A broker does not know the topic; the lane is finding out whether the topic is gone.
    Doubtful,
    /// The topic no longer exists.
    Gone,
}

impl Slot {
    pub(super) fn new(index: usize, position: &Position) -> Result<Self> {
        let Position { partition, next, end, leader_epoch } = position;
        let topic = CString::new(partition.topic.as_str()).map_err(|_| fault::topic_name(&partition.topic))?;
        let is_assigned = end.is_none_or(|end| *next < end);
        let state = if is_assigned { State::Reading } else { State::AtBound(*next) };
        Ok(Self {
            index,
            partition: partition.clone(),
            topic,
            end: *end,
            state,
            is_assigned,
            read_to: (*next, *leader_epoch),
        })
    }

    pub(super) fn note(&mut self, last: &Message<'_>) {
        self.read_to = (last.offset() + 1, last.leader_epoch());
    }

    /// Hands a record out. True if it was handed out and taken.
    #[inline]
    pub(super) fn record(&mut self, message: &Message<'_>, hand_out: &mut impl FnMut(LaneEvent<'_>) -> Taken) -> bool {
        let offset = message.offset();
        if !self.is_read() {
            return false;
        }
        if let Some(end) = self.end
            && offset >= end
        {
            self.state = State::Done;
            hand_out(LaneEvent::EndOfPartition { partition: self.index, offset: end });
            return false;
        }
        let taken = hand_out(LaneEvent::Record(Record {
            partition: self.index,
            offset,
            timestamp: message.timestamp(),
            key: message.key(),
            value: message.value(),
            headers: Headers::of(message),
        }));
        if taken == Taken::NotYet {
            self.state = State::Held;
        }
        taken == Taken::Yes
    }

    pub(super) fn is_in_trouble(&self) -> bool {
        matches!(self.state, State::Lost { .. } | State::Unreadable(_) | State::Doubtful)
    }

    pub(super) fn is_unreadable(&self) -> bool {
        matches!(self.state, State::Unreadable(_))
    }

    /// Records of a doubtful topic are as good as any others.
    fn is_read(&self) -> bool {
        matches!(self.state, State::Reading | State::Doubtful)
    }

    pub(super) fn doubt(&mut self) {
        if self.state == State::Reading {
            self.state = State::Doubtful;
        }
    }

    /// Handles the first event after a fetch at an offset that could not be read. True if reading goes on at the same
    /// offset.
    #[cold]
    pub(super) fn answer(&mut self, answer: Answer) -> bool {
        let State::Unreadable(unreadable) = &mut self.state else { return false };
        let reads_on = unreadable.answer(answer, steady());
        if reads_on {
            self.state = State::Reading;
        }
        reads_on
    }

    /// Handles an error event. True if the partition now waits for `resolve`.
    pub(super) fn fail(
        &mut self,
        fault: PartitionFault,
        message: &Message<'_>,
        servers: &str,
        hand_out: &mut impl FnMut(LaneEvent<'_>) -> Taken,
    ) -> Result<bool> {
        match fault {
            PartitionFault::EndOfPartition => {
                if self.is_unreadable() && !self.answer(Answer::Readable) {
                    return Ok(true);
                }
                self.end_of_partition(message.offset(), hand_out);
            }
            // This is the only loss without an offset: by KIP-320, librdkafka found that a new leader's log ends before
            // what was read.
            PartitionFault::OffsetLost if message.offset() < 0 => {
                return Err(fault::log_cut(&self.partition, &message.error_text()));
            }
            PartitionFault::OffsetLost => return Ok(self.lose(message.offset())),
            PartitionFault::TopicGone => {
                self.doubt();
                return Ok(true);
            }
            PartitionFault::Forbidden => return Err(fault::topic_forbidden(&self.partition.topic, servers)),
            PartitionFault::Unreadable(answer) => {
                if self.is_read() {
                    let unreadable = Unreadable::new(self.read_to.0, answer, message.error_text(), steady());
                    self.state = State::Unreadable(Box::new(unreadable));
                } else {
                    self.answer(answer);
                }
                return Ok(self.is_unreadable());
            }
            PartitionFault::Transient => {
                let reason = message.error_text();
                let problem = format!("{} can't be read for now: {reason}", self.partition);
                hand_out(LaneEvent::Problem(Failure::retry(problem)));
            }
        }
        Ok(false)
    }

    fn end_of_partition(&mut self, offset: i64, hand_out: &mut impl FnMut(LaneEvent<'_>) -> Taken) {
        if !self.is_read() {
            return;
        }
        if self.end.is_some_and(|end| offset >= end) {
            self.state = State::Done;
        }
        // Markers and aborted transactions lie before this offset, and it is unknown which leader wrote them.
        if offset > self.read_to.0 {
            self.read_to = (offset, None);
        }
        hand_out(LaneEvent::EndOfPartition { partition: self.index, offset });
    }

    /// Notes that an offset is gone. True if the lane now has something to find out.
    fn lose(&mut self, wanted: i64) -> bool {
        let wanted = match &mut self.state {
            State::Reading | State::Doubtful => Some(wanted),
            State::Unreadable(unreadable) => unreadable.lose(wanted, steady()),
            _ => return false,
        };
        if let Some(wanted) = wanted {
            self.state = State::Lost { wanted };
        }
        true
    }
}

pub(super) fn find(slots: &[Slot], message: &Message<'_>) -> Option<usize> {
    let topic = message.topic()?;
    slots.iter().position(|s| s.partition.partition == message.partition() && s.topic.as_c_str() == topic)
}

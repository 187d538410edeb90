//! What a lane hands out, and what its receiver answers.

use weir_base::failure::Failure;

use super::super::native::{Headers, Timestamp};

/// A record, borrowed from librdkafka's fetch buffer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record<'a> {
    /// Index into the assigned positions.
    pub partition: usize,
    pub offset: i64,
    pub timestamp: Option<Timestamp>,
    pub key: Option<&'a [u8]>,
    /// The record's value; `None` for a tombstone.
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

#[derive(Debug)]
pub enum LaneEvent<'a> {
    Record(Record<'a>),
    /// There is nothing more for now, or, at the partition's end bound, for good; reading goes on at `offset`. Control
    /// records and aborted transactions lie before `offset`, so it may exceed the last record's offset by more than
    /// one. This event comes again after more was read.
    EndOfPartition {
        partition: usize,
        offset: i64,
    },
    /// The broker no longer had `wanted`; reading goes on at `next`, as `onLostOffsets` says. This event always
    /// precedes the records from `next` on.
    OffsetsLost {
        partition: usize,
        wanted: i64,
        next: i64,
    },
    /// No record in `[from, next)` can be read, although Kafka has that part of the log; reading goes on at `next`.
    /// Some of these offsets may hold no records. This event always precedes the records from `next` on.
    Unreadable {
        partition: usize,
        from: i64,
        next: i64,
        /// librdkafka's text.
        reason: &'a str,
    },
    /// The partition's topic no longer exists, and the document says to go on without it. No more records come from
    /// this partition.
    TopicGone {
        partition: usize,
    },
    /// Reading has stopped for a reason outside of Weir and goes on by itself. This event is repeated while the trouble
    /// lasts.
    Problem(Failure),
}

/// What the receiver did with an event. Only a record can be left for later; for other events the answer is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// The lane stops fetching the record's partition. [`LaneInput::go_on`](super::LaneInput::go_on)
    /// makes it read on with this record.
    NotYet,
}

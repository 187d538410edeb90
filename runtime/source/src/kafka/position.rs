//! Where in partitions reading is, and what brokers have.

use rdkafka::Offset;
use weir_plan::ids::TopicPartition;

/// Where reading a partition starts and, for a run that ends, where it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub partition: TopicPartition,
    /// The next offset to read.
    pub next: i64,
    /// The end offset, exclusive: nothing at or above it is handed out.
    pub end: Option<i64>,
    /// The epoch of the leader that wrote the record before `next`, if known; the log is compared with it before
    /// reading goes on.
    pub leader_epoch: Option<i32>,
}

/// The offsets of a partition that a broker has: `[low, end)`, where `end` is the last stable offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetBounds {
    pub low: i64,
    pub end: i64,
}

/// An offset in librdkafka's form.
pub(super) fn absolute(offset: i64) -> Offset {
    Offset::Offset(offset)
}

//! The messages between the driver and the lanes.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::bad_records::BadOfEpoch;
use crate::checkpoint::manifest::OffsetRange;
use crate::decode::schemas::SchemaId;
use crate::failure::Result;
use crate::keyed::edge::EdgeReport;

/// The watermarks (µs) at the start of an epoch, for the lanes of one source.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// The source's. No row that takes its time from the clock has an earlier time.
    pub source_us: Option<i64>,
    /// Per edge to a keyed step, those of the step's inputs, by which rows are late.
    pub edges_us: Vec<Vec<Option<i64>>>,
}

/// What the driver tells a lane.
#[derive(Debug)]
pub enum Command {
    /// Read.
    Begin(Before),
    /// Hand over the open epoch. Rows that were ahead of the clock are judged by this reading (µs), which is the
    /// epoch's.
    Close { clock_us: i64 },
}

/// What a lane hands over at the end of an epoch, or why it stopped.
pub type LaneMessage = Result<LaneReport>;
pub type Reports = mpsc::Sender<LaneMessage>;

#[derive(Debug, Default)]
pub struct LaneReport {
    /// Index into the plan's sources.
    pub source: usize,
    pub partitions: Vec<PartitionReport>,
    /// One per edge to a keyed step.
    pub edges: Vec<EdgeReport>,
    pub read: u64,
    pub decoded: u64,
    /// Records without a value that were skipped.
    pub tombstones: u64,
    pub bad: BadOfEpoch,
    pub filtered: u64,
    pub bytes: u64,
    /// The time (µs) of the rows, if the source takes it from the clock and there were rows.
    pub processing_time_us: Option<i64>,
    /// Time spent on records, without the time spent waiting for them.
    pub busy: Duration,
}

#[derive(Debug, Clone)]
pub struct PartitionReport {
    /// Index into the source's partitions.
    pub partition: usize,
    /// The next offset to read.
    pub next: i64,
    /// Gaps below `next`.
    pub lost: Vec<OffsetRange>,
    /// Ranges below `next` that could not be read.
    pub unreadable: Vec<OffsetRange>,
    pub max_event_time_us: Option<i64>,
    /// Since when the lane has been at the partition's end without a further record.
    pub at_end_since: Option<Instant>,
    /// Whether the partition is paused until the slowest one has caught up.
    pub waits: bool,
    /// The schema that it waits for.
    pub awaits: Option<AwaitedSchema>,
    /// Whether its topic no longer exists, so that nothing more comes from it.
    pub is_gone: bool,
    /// The epoch of the leader that wrote what lies before `next`, if it is known.
    pub leader_epoch: Option<i32>,
}

/// A schema that a partition waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwaitedSchema {
    /// The record that needs it, which is the next one of the partition.
    pub offset: i64,
    pub id: SchemaId,
    /// Since when the partition waits, µs since 1970.
    pub since_us: i64,
}

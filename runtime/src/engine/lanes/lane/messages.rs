//! What lanes and the driver tell each other.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::bad_records::BadOfEpoch;
use crate::checkpoint::manifest::OffsetRange;
use crate::failure::Result;
use crate::keyed::edge::EdgeReport;

/// What the driver tells a lane.
#[derive(Debug)]
pub enum Command {
    /// Read on. Rows are late by these watermarks: per edge to a keyed step, those of the step's inputs.
    Begin { before_us: Vec<Vec<Option<i64>>> },
    /// Hand over the epoch in hand. Rows that were ahead of the clock are judged by this reading, which is the epoch's.
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
    /// Per edge to a keyed step.
    pub edges: Vec<EdgeReport>,
    pub read: u64,
    pub decoded: u64,
    /// Records without a value that were passed over.
    pub tombstones: u64,
    pub bad: BadOfEpoch,
    pub filtered: u64,
    pub bytes: u64,
    /// Spent on records, the wait for them not counted.
    pub busy: Duration,
}

#[derive(Debug, Clone)]
pub struct PartitionReport {
    /// Index into the source's partitions.
    pub partition: usize,
    /// The next offset to read.
    pub next: i64,
    /// Gaps below it.
    pub lost: Vec<OffsetRange>,
    /// Ranges below it that could not be read.
    pub unreadable: Vec<OffsetRange>,
    pub max_event_time_us: Option<i64>,
    /// Since when the partition's end has been reached without a record after it.
    pub at_end_since: Option<Instant>,
    /// Paused, until the slowest partition has caught up.
    pub waits: bool,
    /// Its topic does not exist any more: nothing comes of it.
    pub is_gone: bool,
    /// Of the leader that wrote what lies before `next`, where that is known.
    pub leader_epoch: Option<i32>,
}

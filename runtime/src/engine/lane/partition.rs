//! One partition, as its lane sees it.

use std::time::Instant;

use weir_plan::ids::TopicPartition;

use super::PartitionReport;
use crate::checkpoint::manifest::OffsetRange;
use crate::engine::lost;
use crate::engine::skew::Skew;

/// Where a lane starts on one of its partitions.
pub struct Assignment {
    /// Into the source's partitions.
    pub index: usize,
    pub id: TopicPartition,
    pub start: i64,
    /// Exclusive end of an AvailableNow run.
    pub bound: Option<i64>,
    /// As lanes before this one saw it.
    pub at_end_since: Option<Instant>,
}

pub struct Partition {
    /// Into the source's partitions.
    pub index: usize,
    pub id: TopicPartition,
    pub next: i64,
    /// Gaps in the epoch in hand, of which there is at most one: it ends the reading.
    pub lost: Vec<OffsetRange>,
    pub bound: Option<i64>,
    max_event_time_us: Option<i64>,
    pub at_end_since: Option<Instant>,
    /// Paused, until the slowest partition has caught up.
    pub waits: bool,
}

impl Partition {
    #[must_use]
    pub fn new(assignment: Assignment) -> Self {
        let Assignment { index, id, start, bound, at_end_since } = assignment;
        Self { index, id, next: start, lost: Vec::new(), bound, max_event_time_us: None, at_end_since, waits: false }
    }

    #[must_use]
    pub fn is_at_bound(&self) -> bool {
        self.bound.is_some_and(|bound| self.next >= bound)
    }

    /// The end of the run that the log does not have any more.
    #[must_use]
    pub fn bound_cut_off(&self) -> Option<i64> {
        let at_end = self.at_end_since.is_some_and(|since| since.elapsed() >= lost::CUT_AFTER);
        self.bound.filter(|bound| at_end && self.next < *bound)
    }

    pub fn observe(&mut self, event_time_us: i64) {
        if self.max_event_time_us.is_none_or(|max| max < event_time_us) {
            self.max_event_time_us = Some(event_time_us);
        }
    }

    /// Where it is, for the others.
    pub fn tell(&self, skew: &Skew) {
        if let Some(time_us) = self.max_event_time_us {
            skew.read(self.index, time_us);
        }
        skew.at_end(self.index, self.at_end_since.is_some() || self.is_at_bound());
    }

    /// For the epoch that ends; the next one observes anew.
    pub fn report(&mut self) -> PartitionReport {
        PartitionReport {
            partition: self.index,
            next: self.next,
            lost: std::mem::take(&mut self.lost),
            max_event_time_us: self.max_event_time_us.take(),
            at_end_since: self.at_end_since,
            waits: self.waits,
        }
    }
}

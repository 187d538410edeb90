//! One partition, as its lane sees it.

use std::sync::Arc;
use std::time::Instant;

use weir_plan::ids::TopicPartition;

use super::messages::{AwaitedSchema, PartitionReport};
use crate::checkpoint::manifest::OffsetRange;
use crate::decode::schemas::{Question, SchemaId};
use crate::engine::lanes::{SkewOfSource, lost};
use crate::failure::Result;
use crate::source::kafka::Timestamp;

/// Where a lane starts on one of its partitions.
pub struct Assignment {
    /// Index into the source's partitions.
    pub index: usize,
    pub id: TopicPartition,
    pub start: i64,
    /// The exclusive end of an AvailableNow run.
    pub bound: Option<i64>,
    /// Since when the partition has been at its end, as earlier lanes saw it.
    pub at_end_since: Option<Instant>,
}

pub struct Partition {
    /// Index into the source's partitions.
    pub index: usize,
    pub id: TopicPartition,
    pub next: i64,
    /// Gaps in the open epoch. There is at most one, since a gap ends the reading.
    pub lost: Vec<OffsetRange>,
    /// Ranges that could not be read in the open epoch.
    pub unreadable: Vec<OffsetRange>,
    pub bound: Option<i64>,
    max_event_time_us: Option<i64>,
    pub at_end_since: Option<Instant>,
    /// When its leader was last asked whether the log still reaches the end of the run.
    asked_about_end: Option<Instant>,
    /// Whether it is paused until the slowest partition has caught up.
    pub waits: bool,
    /// The schema that the record at `next` was last found to need.
    pub(super) awaited: Option<Awaited>,
    /// Whether its topic no longer exists.
    pub is_gone: bool,
    /// Kafka's timestamp of the last record.
    pub newest: Option<Timestamp>,
}

/// The schema that a partition's next record needs.
pub(super) struct Awaited {
    pub offset: i64,
    pub id: SchemaId,
    pub question: Arc<Question>,
    pub since: Instant,
    /// Whether the partition is no longer fetched.
    pub is_held: bool,
}

impl Awaited {
    /// `now` is when the clock said `clock_us`.
    fn told(&self, clock_us: i64, now: Instant) -> AwaitedSchema {
        let waited = now.saturating_duration_since(self.since);
        let waited_us = i64::try_from(waited.as_micros()).unwrap_or(i64::MAX);
        AwaitedSchema { offset: self.offset, id: self.id, since_us: clock_us.saturating_sub(waited_us) }
    }
}

impl Partition {
    #[must_use]
    pub fn new(assignment: Assignment) -> Self {
        let Assignment { index, id, start, bound, at_end_since } = assignment;
        Self {
            index,
            id,
            next: start,
            lost: Vec::new(),
            unreadable: Vec::new(),
            bound,
            max_event_time_us: None,
            at_end_since,
            asked_about_end: None,
            waits: false,
            awaited: None,
            is_gone: false,
            newest: None,
        }
    }

    #[must_use]
    pub fn is_at_bound(&self) -> bool {
        self.bound.is_some_and(|bound| self.next >= bound)
    }

    /// Whether nothing of it is read until a schema is known.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.awaited.as_ref().is_some_and(|awaited| awaited.is_held)
    }

    /// The end of the run, if it is time to ask whether the log still reaches it: reading came to the log's end before
    /// that, and no record has come since.
    pub fn bound_in_doubt(&mut self, now: Instant) -> Option<i64> {
        let bound = self.bound.filter(|bound| self.next < *bound)?;
        let since = self.at_end_since?.max(self.asked_about_end.unwrap_or(self.at_end_since?));
        if now.saturating_duration_since(since) < lost::CUT_AFTER {
            return None;
        }
        self.asked_about_end = Some(now);
        Some(bound)
    }

    /// Continues at `next`, since Kafka no longer had `wanted`.
    ///
    /// # Errors
    /// `Config`, if the log goes back.
    pub fn lose(&mut self, wanted: i64, next: i64) -> Result<()> {
        let gap = lost::gap(&self.id.to_string(), self.next, wanted, next)?;
        let lost = gap.map_or(0, |gap| gap.end - gap.start);
        tracing::warn!(partition = %self.id, wanted, next, lost, "offsets lost: Kafka no longer had what comes next");
        self.next = next;
        self.lost.extend(gap);
        Ok(())
    }

    /// Continues after a range that cannot be read.
    pub fn pass_over(&mut self, range: OffsetRange) {
        self.next = range.end;
        // What was known about the partition's end is older than this range.
        self.at_end_since = None;
        self.unreadable.push(range);
    }

    /// Ends the partition: its topic no longer exists, so nothing more comes.
    pub fn give_up(&mut self, now: Instant) {
        tracing::warn!(partition = %self.id, next = self.next, "the topic does not exist any more: what was not read \
            is lost");
        self.bound = self.bound.map(|bound| bound.min(self.next));
        self.at_end_since.get_or_insert(now);
        self.awaited = None;
        self.is_gone = true;
    }

    pub fn observe(&mut self, event_time_us: i64) {
        if self.max_event_time_us.is_none_or(|max| max < event_time_us) {
            self.max_event_time_us = Some(event_time_us);
        }
    }

    /// Tells the lanes how far this partition has come.
    pub fn tell(&self, skew: &SkewOfSource) {
        if let Some(time_us) = self.max_event_time_us {
            skew.read(self.index, time_us);
        }
        skew.at_end(self.index, self.at_end_since.is_some() || self.is_at_bound());
    }

    /// The report for the epoch that ends `now`, when the clock says `clock_us`. What it reports is cleared, so that
    /// the next epoch observes again.
    pub fn report(&mut self, leader_epoch: Option<i32>, clock_us: i64, now: Instant) -> PartitionReport {
        let awaited = self.awaited.as_ref().filter(|awaited| awaited.is_held);
        PartitionReport {
            partition: self.index,
            next: self.next,
            lost: std::mem::take(&mut self.lost),
            unreadable: std::mem::take(&mut self.unreadable),
            max_event_time_us: self.max_event_time_us.take(),
            at_end_since: self.at_end_since,
            waits: self.waits,
            awaits: awaited.map(|awaited| awaited.told(clock_us, now)),
            is_gone: self.is_gone,
            leader_epoch,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_end_of_a_run_is_in_doubt_only_where_nothing_came_for_long_and_then_from_time_to_time() {
        let start = Instant::now();
        let id = TopicPartition { topic: "rides".into(), partition: 0 };
        let mut partition = Partition::new(Assignment { index: 0, id, start: 5, bound: Some(10), at_end_since: None });
        let later = start + lost::CUT_AFTER;
        assert_eq!(partition.bound_in_doubt(later), None, "its end was not seen");
        partition.at_end_since = Some(start);
        assert_eq!(partition.bound_in_doubt(start), None);
        assert_eq!(partition.bound_in_doubt(later), Some(10));
        assert_eq!(partition.bound_in_doubt(later), None, "asked just now");
        assert_eq!(partition.bound_in_doubt(later + lost::CUT_AFTER), Some(10));
        partition.next = 10;
        assert_eq!(partition.bound_in_doubt(later + lost::CUT_AFTER * 2), None);
    }
}

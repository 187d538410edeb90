//! How far the source has been read: the next offset of each partition, and the watermark. Pure; the lanes' reports move it on when an
//! epoch is closed.
//!
//! A plan has exactly one source (validation sees to it); what would change with a second one is here and in `start`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use weir_plan::Plan;
use weir_plan::ids::TopicPartition;
use weir_plan::plan::Source;

use super::bad_share;
use super::discovery::Changes;
use super::hold::{self, Hold};
use super::lane::{Assignment, PartitionReport};
use crate::checkpoint::manifest::{BadShare, MovedBy, PartitionProgress, SourceCounts, SourceProgress, Until};
use crate::failure::{Failure, Result};
use crate::source::kafka::Position;
use crate::window::watermark::SourceWatermark;

/// The index of the one source, where the plan's own types ask for an index.
pub const ONLY_SOURCE: usize = 0;

/// The one source of a plan.
///
/// # Errors
/// `Bug`: validation lets no other number through.
pub fn only_source(plan: &Plan) -> Result<&Source> {
    match plan.sources.as_slice() {
        [source] => Ok(source),
        other => Err(Failure::bug(format!("the plan has {} sources, and this version runs plans with one", other.len()))),
    }
}

/// Where the epoch in hand began.
pub struct Reading {
    pub name: String,
    /// Where `maxPerMillion` is in its count, if there is such a limit.
    bad_share: BadShare,
    max_bad_per_million: Option<u64>,
    /// A partition whose end was reached this long ago does not hold the watermark.
    idle_after: Duration,
    partitions: Vec<Partition>,
    watermark: SourceWatermark,
    quiet_for: Option<Duration>,
    run_ends: bool,
    /// Topics that are not read any more, until the next epoch has told.
    gone: Vec<String>,
}

struct Partition {
    id: TopicPartition,
    next: i64,
    /// Exclusive end of an AvailableNow run.
    bound: Option<i64>,
    at_end_since: Option<Instant>,
    /// Of the epoch that was closed last: it would be idle, did a transaction not hang open.
    hangs: bool,
}

impl Partition {
    fn is_at_bound(&self) -> bool {
        self.bound.is_some_and(|bound| self.next >= bound)
    }
}

impl Reading {
    /// Goes on where `progress` ended; a run with `until` ends there.
    #[must_use]
    pub fn resume(source: &Source, progress: &SourceProgress, until: Option<&Until>) -> Self {
        let (delay_us, idle_after_us) = source.event_time.as_ref().map_or((0, 0), |e| (e.watermark_delay_us, e.idle_after_us));
        let of_partitions = progress.partitions.iter().map(|p| p.watermark_us).collect();
        let partitions = progress.partitions.iter().map(|p| {
            let id = TopicPartition { topic: p.topic.clone(), partition: p.partition };
            let bound = until.map(|until| bound_of(until, &source.name, &id));
            Partition { id, next: p.end, bound, at_end_since: None, hangs: false }
        });
        Self {
            name: source.name.clone(),
            bad_share: progress.bad_share,
            max_bad_per_million: source.bad_records.max_per_million,
            idle_after: Duration::from_micros(idle_after_us.unsigned_abs()),
            partitions: partitions.collect(),
            watermark: SourceWatermark::new(delay_us, progress.watermark_after_us, of_partitions),
            quiet_for: None,
            run_ends: until.is_some(),
            gone: Vec::new(),
        }
    }

    /// Whether each partition has an end.
    #[must_use]
    pub fn run_ends(&self) -> bool {
        self.run_ends
    }

    /// Goes on with partitions that were found, each from its earliest offset, and without topics that are gone. Between two epochs.
    pub fn change(&mut self, changes: &Changes) {
        let stays: Vec<bool> = self.partitions.iter().map(|p| !changes.gone.contains(&p.id.topic)).collect();
        self.watermark.retain(&stays);
        let mut stays = stays.into_iter();
        self.partitions.retain(|_| stays.next().unwrap_or(true));
        self.gone.extend(changes.gone.iter().cloned());
        for (id, bounds) in &changes.new {
            self.partitions.push(Partition { id: id.clone(), next: bounds.low, bound: None, at_end_since: None, hangs: false });
            self.watermark.add();
        }
    }

    /// For how long every partition had been at its end, without a record, when the last epoch was closed; none if one was not.
    #[must_use]
    pub fn quiet_for(&self) -> Option<Duration> {
        self.quiet_for
    }

    /// Moves the watermark of the epoch that was just closed further than its records do.
    pub fn raise(&mut self, closed: &mut SourceProgress, to_us: i64, by: MovedBy) {
        if closed.watermark_after_us < Some(to_us) {
            closed.watermark_after_us = self.watermark.raise(to_us);
            closed.moved_by = Some(by);
        }
    }

    /// The greatest event time of each partition so far, in µs.
    pub fn times_us(&self) -> impl Iterator<Item = Option<i64>> {
        self.partitions.iter().enumerate().map(|(i, _)| self.watermark.time_of_partition(i))
    }

    /// In µs, at the start of the epoch in hand.
    #[must_use]
    pub fn watermark_us(&self) -> Option<i64> {
        self.watermark.current()
    }

    #[must_use]
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &TopicPartition> {
        self.partitions.iter().map(|p| &p.id)
    }

    #[must_use]
    pub fn positions(&self) -> Vec<Position> {
        self.partitions.iter().map(|p| Position { partition: p.id.clone(), next: p.next, end: p.bound }).collect()
    }

    /// What a lane has to know of one of its partitions.
    #[must_use]
    pub fn assignment(&self, index: usize) -> Assignment {
        let p = &self.partitions[index];
        Assignment { index, id: p.id.clone(), start: p.next, bound: p.bound, at_end_since: p.at_end_since }
    }

    /// Where the next epoch goes on: what the consumer group's committed offsets mean.
    #[must_use]
    pub fn next_offsets(&self) -> Vec<(TopicPartition, i64)> {
        self.partitions.iter().map(|p| (p.id.clone(), p.next)).collect()
    }

    /// What holds the watermark of the epoch that was closed last.
    #[must_use]
    pub fn held_by(&self, closed: &SourceProgress) -> Option<Hold> {
        hold::hold(closed, |index| self.partitions[index].hangs)
    }

    /// Closes the epoch in hand and moves on to its end. `high_watermark` is what the client last heard of a partition's log.
    ///
    /// # Errors
    /// How many records of how many are bad, if that is too many.
    pub fn close(
        &mut self,
        reports: Vec<PartitionReport>,
        counts: SourceCounts,
        topic_ids: &BTreeMap<String, String>,
        high_watermark: impl Fn(&TopicPartition) -> Option<i64>,
    ) -> Result<SourceProgress, BadShare> {
        self.bad_share = match self.max_bad_per_million {
            Some(max) => bad_share::advance(self.bad_share, &counts, max)?,
            None => BadShare::default(),
        };
        let starts: Vec<i64> = self.partitions.iter().map(|p| p.next).collect();
        let mut idle = vec![false; self.partitions.len()];
        let mut lost = vec![Vec::new(); self.partitions.len()];
        for report in reports {
            let partition = &mut self.partitions[report.partition];
            partition.next = report.next;
            partition.at_end_since = report.at_end_since;
            lost[report.partition] = report.lost;
            if let Some(max) = report.max_event_time_us {
                self.watermark.observe(report.partition, max);
            }
            let at_end_for = report.at_end_since.map(|since| since.elapsed());
            let never_read = self.watermark.of_partition(report.partition).is_none();
            let is_quiet = is_over(at_end_for, self.idle_after);
            partition.hangs = is_quiet && !partition.is_at_bound() && hangs(report.next, high_watermark(&partition.id));
            // A run ends at its bound. A partition of which nothing was ever read has no time that it could hold back.
            idle[report.partition] = (is_quiet && !partition.hangs) || (never_read && partition.is_at_bound());
        }
        let at_end_for = self.partitions.iter().map(|p| p.at_end_since.map(|since| since.elapsed()));
        let least = |all: Vec<Duration>| all.into_iter().min().filter(|_| idle.iter().all(|idle| *idle));
        self.quiet_for = at_end_for.collect::<Option<Vec<_>>>().and_then(least);
        let before_us = self.watermark.current();
        let after_us = self.watermark.advance(&idle);
        let partitions = self.partitions.iter().zip(lost).enumerate().map(|(i, (p, lost))| PartitionProgress {
            topic: p.id.topic.clone(),
            partition: p.id.partition,
            start: starts[i],
            end: p.next,
            lost,
            watermark_us: self.watermark.of_partition(i),
            idle: idle[i],
        });
        Ok(SourceProgress {
            name: self.name.clone(),
            topic_ids: topic_ids.clone(),
            topics_gone: std::mem::take(&mut self.gone),
            watermark_before_us: before_us,
            watermark_after_us: after_us,
            moved_by: None,
            partitions: partitions.collect(),
            counts,
            bad_share: self.bad_share,
        })
    }
}

fn is_over(at_end_for: Option<Duration>, idle_after: Duration) -> bool {
    at_end_for.is_some_and(|at_end_for| at_end_for >= idle_after)
}

/// The log goes on behind what a reader of committed records gets: a transaction is open, and its records may be old when they come.
/// (Or records have just come in; then the partition is not idle either.)
fn hangs(next: i64, high_watermark: Option<i64>) -> bool {
    high_watermark.is_some_and(|end| end > next)
}

fn bound_of(until: &Until, source: &str, partition: &TopicPartition) -> i64 {
    let own = until.ends.iter().find(|e| e.source == source && e.topic == partition.topic && e.partition == partition.partition);
    // A partition that was found after the run's end was fixed belongs to the next run.
    own.map_or(i64::MIN, |e| e.end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::checkpoint::manifest::{OffsetRange, UntilPartition};
    use crate::engine::hold::Because;
    use crate::source::kafka::OffsetBounds;

    const READ: i64 = 1_000;

    fn id(partition: i32) -> TopicPartition {
        TopicPartition { topic: "rides".into(), partition }
    }

    /// Two partitions at offset 10; idle at once.
    fn reading(bounds: [Option<i64>; 2]) -> Reading {
        let partitions = [0, 1].map(|i| {
            let bound = bounds[usize::try_from(i).unwrap()];
            Partition { id: id(i), next: 10, bound, at_end_since: None, hangs: false }
        });
        Reading {
            name: "rides".into(),
            bad_share: BadShare::default(),
            max_bad_per_million: None,
            idle_after: Duration::ZERO,
            partitions: partitions.into(),
            watermark: SourceWatermark::new(0, None, vec![None, None]),
            quiet_for: None,
            run_ends: bounds[0].is_some(),
            gone: Vec::new(),
        }
    }

    fn report(partition: usize, next: i64, max_event_time_us: Option<i64>, at_end: bool) -> PartitionReport {
        PartitionReport { partition, next, lost: Vec::new(), max_event_time_us, at_end_since: at_end.then(Instant::now), waits: false }
    }

    fn close(reading: &mut Reading, reports: Vec<PartitionReport>, high_watermark: i64) -> SourceProgress {
        reading.close(reports, SourceCounts::default(), &BTreeMap::new(), |_| Some(high_watermark)).unwrap()
    }

    #[test]
    fn an_epoch_goes_from_where_the_last_one_ended_to_what_the_lanes_report() {
        let mut reading = reading([None, None]);
        let first = close(&mut reading, vec![report(0, 15, Some(READ), false)], 100);
        assert_eq!(first.partitions.iter().map(|p| (p.start, p.end)).collect::<Vec<_>>(), [(10, 15), (10, 10)]);
        let second = close(&mut reading, vec![report(1, 12, Some(READ), false), report(0, 15, None, false)], 100);
        assert_eq!(second.partitions.iter().map(|p| (p.start, p.end)).collect::<Vec<_>>(), [(15, 15), (10, 12)]);
        assert_eq!(reading.next_offsets(), [(id(0), 15), (id(1), 12)]);
        assert_eq!((first.watermark_after_us, second.watermark_before_us, second.watermark_after_us), (None, None, Some(READ)));
    }

    #[test]
    fn a_gap_is_told_with_its_epoch_and_once() {
        let mut reading = reading([None, None]);
        let gap = OffsetRange { start: 10, end: 14 };
        let first = close(&mut reading, vec![PartitionReport { lost: vec![gap], ..report(1, 15, None, false) }], 100);
        assert_eq!(first.partitions.iter().map(|p| (p.start, p.end, p.lost_count())).collect::<Vec<_>>(), [(10, 10, 0), (10, 15, 4)]);
        let second = close(&mut reading, vec![report(1, 16, None, false)], 100);
        assert_eq!(second.partitions[1].lost, []);
    }

    #[test]
    fn a_partition_at_its_end_is_idle_unless_a_transaction_hangs_open_there() {
        for (high_watermark, idle) in [(10, true), (11, false)] {
            let mut reading = reading([None, None]);
            let closed = close(&mut reading, vec![report(0, 10, Some(READ), false), report(1, 10, None, true)], high_watermark);
            assert_eq!((closed.partitions[1].idle, closed.watermark_after_us), (idle, idle.then_some(READ)), "{high_watermark}");
            let (partition, because) = if idle { (0, Because::Slowest) } else { (1, Because::OpenTransaction) };
            assert_eq!(reading.held_by(&closed), Some(Hold { topic: "rides".into(), partition, because }));
        }
    }

    #[test]
    fn a_partition_that_was_found_begins_at_its_earliest_and_holds_the_watermark_until_it_is_read_or_idle() {
        let mut reading = reading([None, None]);
        close(&mut reading, vec![report(0, 15, Some(READ), false), report(1, 12, Some(READ), true)], 0);
        let bounds = OffsetBounds { low: 7, end: 9 };
        reading.change(&Changes { new: vec![(id(2), bounds)], ..Changes::default() });
        assert_eq!(reading.next_offsets(), [(id(0), 15), (id(1), 12), (id(2), 7)]);
        assert!(reading.assignment(1).at_end_since.is_some(), "who was at the end still is");
        let further = Some(READ + 5);
        let held = close(&mut reading, vec![report(0, 16, further, false), report(1, 13, further, false), report(2, 7, None, false)], 0);
        assert_eq!((held.watermark_after_us, held.partitions[2].start), (Some(READ), 7));
        let read = close(&mut reading, vec![report(2, 8, Some(READ + 3), false)], 0);
        assert_eq!((read.watermark_after_us, read.topics_gone), (Some(READ + 3), vec![]));
    }

    #[test]
    fn a_topic_that_is_gone_is_told_once_and_holds_nothing_back() {
        let mut reading = reading([None, None]);
        reading.partitions[0].id.topic = "old".into();
        close(&mut reading, vec![report(0, 15, Some(READ), false), report(1, 12, Some(READ + 9), false)], 100);
        reading.change(&Changes { gone: vec!["old".into()], ..Changes::default() });
        let closed = close(&mut reading, vec![report(0, 13, None, false)], 100);
        assert_eq!((closed.topics_gone, closed.watermark_after_us), (vec!["old".to_owned()], Some(READ + 9)));
        assert_eq!(closed.partitions.iter().map(|p| (p.topic.as_str(), p.start, p.end)).collect::<Vec<_>>(), [("rides", 12, 13)]);
        assert_eq!(close(&mut reading, vec![], 100).topics_gone, Vec::<String>::new());
    }

    #[test]
    fn what_lies_behind_the_end_of_the_run_does_not_hold_the_watermark() {
        let mut reading = reading([Some(20), Some(10)]);
        let closed = close(&mut reading, vec![report(0, 20, Some(READ), true), report(1, 10, None, true)], 500);
        assert_eq!((closed.partitions[0].idle, closed.partitions[1].idle, closed.watermark_after_us), (true, true, Some(READ)));
    }

    #[test]
    fn a_run_ends_at_its_offsets_and_takes_nothing_of_partitions_found_later() {
        let until = Until {
            run: None,
            ends: vec![UntilPartition { source: "rides".into(), topic: "rides".into(), partition: 0, end: 7 }],
            reached: false,
        };
        assert_eq!(bound_of(&until, "rides", &id(0)), 7);
        assert_eq!(bound_of(&until, "rides", &id(1)), i64::MIN);
    }
}

//! How far a source has been read: the next offset of each partition, and the watermark. Pure. The lanes' reports move
//! it forward when an epoch is closed.

use std::collections::BTreeMap;
use std::mem::take;
use std::time::{Duration, Instant};

use weir_plan::ids::TopicPartition;
use weir_plan::plan::Source;
use weir_plan::report::{Because, Hold};

use super::bad_share;
use super::watermark::SourceWatermark;
use crate::checkpoint::manifest::{
    BadShare, HeldBy, MovedBy, OffsetRange, PartitionProgress, SourceCounts, SourceProgress, Until,
};
use crate::engine::lanes::{Assignment, AwaitedSchema, PartitionReport};
use crate::observe::hold::hold;
use crate::source::kafka::{Ends, OffsetBounds, Position};

/// How far a source has been read, at the start of the open epoch.
pub struct Reading {
    pub name: String,
    /// The count of `maxPerMillion`, if there is such a limit.
    bad_share: BadShare,
    max_bad_per_million: Option<u64>,
    /// A partition does not hold the watermark if its end was reached this long ago and still is its end.
    idle_after: Duration,
    /// Whether rows take their time from the clock. Then partitions have no watermark and none is idle.
    is_timed_by_clock: bool,
    partitions: Vec<Partition>,
    watermark: SourceWatermark,
    quiet_for: Option<Duration>,
    run_ends: bool,
    /// Topics that are no longer read, until the next epoch has reported them.
    gone: Vec<String>,
}

struct Partition {
    id: TopicPartition,
    /// Where the open epoch began.
    start: i64,
    next: i64,
    /// The epoch of the leader that wrote what lies before `next`.
    leader_epoch: Option<i32>,
    /// Gaps in the open epoch.
    lost: Vec<OffsetRange>,
    /// Ranges that could not be read in the open epoch.
    unreadable: Vec<OffsetRange>,
    /// The exclusive end of an AvailableNow run.
    bound: Option<i64>,
    at_end_since: Option<Instant>,
    /// Since when reading has stood at `next`, as far as reports tell.
    stands_since: Instant,
    /// Whether it is paused until the slowest partition has caught up.
    waits: bool,
    /// The schema that it waits for.
    awaits: Option<AwaitedSchema>,
    is_gone: bool,
    idle: bool,
    /// Why it is not idle although it has been quiet for long.
    not_idle: Option<Because>,
}

impl Partition {
    fn at(id: TopicPartition, next: i64, bound: Option<i64>, leader_epoch: Option<i32>, now: Instant) -> Self {
        Self {
            id,
            start: next,
            next,
            leader_epoch,
            lost: Vec::new(),
            unreadable: Vec::new(),
            bound,
            at_end_since: None,
            stands_since: now,
            waits: false,
            awaits: None,
            is_gone: false,
            idle: false,
            not_idle: None,
        }
    }

    fn at_end_for(&self, at: Instant) -> Option<Duration> {
        self.at_end_since.map(|since| at.saturating_duration_since(since))
    }

    /// Takes in which schema the partition waits for. Later lanes, which meet the record again, do not know since when.
    fn take_in_wait(&mut self, now: Option<AwaitedSchema>) {
        let is_same =
            |before: &AwaitedSchema| now.is_some_and(|now| (before.offset, before.id) == (now.offset, now.id));
        self.awaits = self.awaits.filter(is_same).or(now);
    }

    fn is_at_bound(&self) -> bool {
        self.bound.is_some_and(|bound| self.next >= bound)
    }
}

impl Reading {
    /// Goes on `now` where `progress` ended; a run with `until` ends there.
    #[must_use]
    pub fn resume(source: &Source, progress: &SourceProgress, until: Option<&Until>, now: Instant) -> Self {
        let (delay_us, idle_after_us) =
            source.event_time.as_ref().map_or((0, 0), |e| (e.watermark_delay_us, e.idle_after_us));
        let is_timed_by_clock = source.is_timed_by_clock();
        let of_partitions = progress.partitions.iter().map(|p| p.watermark_us.filter(|_| !is_timed_by_clock)).collect();
        let partitions = progress.partitions.iter().map(|p| {
            let id = TopicPartition { topic: p.topic.clone(), partition: p.partition };
            let bound = until.map(|until| bound_of(until, &source.name, &id));
            Partition::at(id, p.end, bound, p.leader_epoch, now)
        });
        Self {
            name: source.name.clone(),
            bad_share: progress.bad_share,
            max_bad_per_million: source.bad_records.max_per_million,
            idle_after: Duration::from_micros(idle_after_us.unsigned_abs()),
            is_timed_by_clock,
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

    /// Continues with partitions that were found, each from its earliest offset, and without topics that are gone. It
    /// is called between two epochs.
    pub fn change(&mut self, new: &[(TopicPartition, OffsetBounds)], gone: &[String], now: Instant) {
        let stays: Vec<bool> = self.partitions.iter().map(|p| !gone.contains(&p.id.topic)).collect();
        self.watermark.retain(&stays);
        let mut stays = stays.into_iter();
        self.partitions.retain(|_| stays.next().unwrap_or(true));
        self.gone.extend(gone.iter().cloned());
        for (id, bounds) in new {
            self.partitions.push(Partition::at(id.clone(), bounds.low, None, None, now));
            self.watermark.add();
        }
    }

    /// For how long every partition had been at its end, without a record, when the last epoch was closed; `None` if
    /// one was not at its end.
    #[must_use]
    pub fn quiet_for(&self) -> Option<Duration> {
        self.quiet_for
    }

    /// Whether nothing comes from any partition, so that the source holds nothing up.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.is_timed_by_clock && self.partitions.iter().all(|p| p.idle)
    }

    /// Moves the watermark of the epoch that was just closed further than its records do.
    pub fn raise(&mut self, closed: &mut SourceProgress, to_us: i64, by: MovedBy) {
        if closed.watermark_after_us < Some(to_us) {
            closed.watermark_after_us = self.watermark.raise(to_us);
            closed.moved_by = Some(by);
        }
    }

    /// Moves the watermark of the epoch that was just closed to the clock, which gives the rows their time.
    pub fn follow_clock(&mut self, closed: &mut SourceProgress, clock_us: i64) {
        closed.watermark_after_us = self.watermark.raise(clock_us);
    }

    /// The greatest event time of each partition so far, in µs.
    pub fn times_us(&self) -> impl Iterator<Item = Option<i64>> {
        self.partitions.iter().enumerate().map(|(i, _)| self.watermark.time_of_partition(i))
    }

    /// The watermark at the start of the open epoch, in µs.
    #[must_use]
    pub fn watermark_us(&self) -> Option<i64> {
        self.watermark.current()
    }

    #[must_use]
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &TopicPartition> {
        self.partitions.iter().map(|p| &p.id)
    }

    /// Partitions that had not come to the end of the run when the last epoch was closed.
    #[must_use]
    pub fn unread(&self) -> Vec<TopicPartition> {
        self.partitions.iter().filter(|p| !p.is_at_bound()).map(|p| p.id.clone()).collect()
    }

    #[must_use]
    pub fn positions(&self) -> Vec<Position> {
        let position = |p: &Partition| Position {
            partition: p.id.clone(),
            next: p.next,
            end: p.bound,
            leader_epoch: p.leader_epoch,
        };
        self.partitions.iter().map(position).collect()
    }

    /// What a lane has to know about one of its partitions.
    #[must_use]
    pub fn assignment(&self, index: usize) -> Assignment {
        let p = &self.partitions[index];
        Assignment { index, id: p.id.clone(), start: p.next, bound: p.bound, at_end_since: p.at_end_since }
    }

    /// Where the next epoch begins. The consumer group's committed offsets mean the same.
    #[must_use]
    pub fn next_offsets(&self) -> Vec<(TopicPartition, i64)> {
        self.partitions.iter().map(|p| (p.id.clone(), p.next)).collect()
    }

    /// What holds the watermark of the epoch that was closed last.
    #[must_use]
    pub fn held_by(&self, closed: &SourceProgress) -> Option<Hold> {
        if self.is_timed_by_clock {
            return None;
        }
        hold(closed, |index| self.partitions[index].not_idle.clone())
    }

    /// The schemas that partitions waited for when the last epoch was closed.
    pub fn awaited(&self) -> impl Iterator<Item = (&TopicPartition, AwaitedSchema)> {
        self.partitions.iter().filter_map(|p| Some((&p.id, p.awaits?)))
    }

    /// Takes in what the lanes report of the epoch in hand, whose clock was read at `at`.
    pub fn take_in(&mut self, reports: Vec<PartitionReport>, at: Instant) {
        for report in reports {
            let partition = &mut self.partitions[report.partition];
            if partition.next != report.next {
                partition.stands_since = at;
            }
            partition.next = report.next;
            partition.waits = report.waits;
            partition.take_in_wait(report.awaits);
            partition.leader_epoch = report.leader_epoch;
            partition.lost = report.lost;
            partition.unreadable = report.unreadable;
            partition.at_end_since = report.at_end_since;
            partition.is_gone = report.is_gone;
            if let Some(max) = report.max_event_time_us {
                self.watermark.observe(report.partition, max);
            }
        }
    }

    /// Partitions whose leaders have to say where their logs end. They are of two kinds. From the first, nothing has
    /// come for so long that they are idle at `at` if nothing more is there. The second stand still for whatever
    /// reason, which may be that the leader is silent.
    #[must_use]
    pub fn quiet(&self, at: Instant) -> Vec<TopicPartition> {
        if self.is_timed_by_clock {
            return Vec::new();
        }
        let asked = |i: usize, p: &Partition| !p.is_gone && (self.is_quiet(i, at) || self.stands_still(p, at));
        self.partitions.iter().enumerate().filter(|(i, p)| asked(*i, p)).map(|(_, p)| p.id.clone()).collect()
    }

    fn is_quiet(&self, index: usize, at: Instant) -> bool {
        let partition = &self.partitions[index];
        // A run ends at its bound. A partition from which nothing was ever read has no event time that could hold the
        // watermark.
        let has_nothing = self.watermark.of_partition(index).is_none() && partition.is_at_bound();
        has_nothing || partition.at_end_for(at).is_some_and(|at_end_for| at_end_for >= self.idle_after)
    }

    /// Whether a partition that should be read further has given nothing for long.
    fn stands_still(&self, partition: &Partition, at: Instant) -> bool {
        !partition.waits
            && partition.awaits.is_none()
            && !partition.is_at_bound()
            && at.saturating_duration_since(partition.stands_since) >= self.idle_after
    }

    /// Decides which partitions are idle at `at`, when the epoch's clock was read. `ends` has the answers of the
    /// leaders that were asked after that.
    pub fn judge(&mut self, at: Instant, ends: &Ends) {
        if self.is_timed_by_clock {
            return;
        }
        for index in 0..self.partitions.len() {
            let is_quiet = self.is_quiet(index, at);
            let stands_still = self.stands_still(&self.partitions[index], at);
            let partition = &mut self.partitions[index];
            (partition.idle, partition.not_idle) = match ends.get(&partition.id) {
                _ if partition.awaits.is_some() => (false, Some(Because::WaitsForSchema)),
                // Nothing comes from a topic that does not exist.
                _ if is_quiet && partition.is_gone => (true, None),
                None if is_quiet || stands_still => (false, Some(Because::LeaderSilent)),
                Some(end) if is_quiet && end.offset == partition.next => {
                    partition.leader_epoch = end.leader_epoch.or(partition.leader_epoch);
                    (true, None)
                }
                // What lies beyond `next` belongs to an open transaction, and may be old when it comes. (Or it has just
                // come in; then the partition is no longer quiet at the next look.) At the end of a run, it is left for
                // the next run to read, and must not be late there.
                Some(end) if is_quiet => (
                    false,
                    (end.offset > partition.next && !partition.is_at_bound()).then_some(Because::OpenTransaction),
                ),
                _ => (false, None),
            };
        }
        let at_end_for = self.partitions.iter().map(|p| p.at_end_for(at).filter(|_| p.idle));
        self.quiet_for = at_end_for.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().min());
    }

    /// Whether closing the open epoch would move the watermark.
    #[must_use]
    pub fn would_move(&self) -> bool {
        self.watermark.peek(&self.idle()) != self.watermark.current()
    }

    /// How many offsets of the open epoch could not be read.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.partitions.iter().flat_map(|p| &p.unreadable).map(|range| range.end.abs_diff(range.start)).sum()
    }

    fn idle(&self) -> Vec<bool> {
        self.partitions.iter().map(|p| p.idle).collect()
    }

    /// Closes the open epoch and moves to its end. The watermark stays where it is if something holds it.
    ///
    /// # Errors
    /// The count of bad records and of all records, if too many are bad.
    pub fn close(
        &mut self,
        counts: SourceCounts,
        topic_ids: &BTreeMap<String, String>,
        held_by: Option<HeldBy>,
    ) -> Result<SourceProgress, BadShare> {
        self.bad_share = match self.max_bad_per_million {
            Some(max) => bad_share::advance(self.bad_share, &counts, self.unreadable(), max)?,
            None => BadShare::default(),
        };
        let before_us = self.watermark.current();
        let after_us = if held_by.is_none() { self.watermark.advance(&self.idle()) } else { before_us };
        let watermark = &self.watermark;
        let partitions = self.partitions.iter_mut().enumerate().map(|(i, p)| PartitionProgress {
            topic: p.id.topic.clone(),
            partition: p.id.partition,
            start: std::mem::replace(&mut p.start, p.next),
            end: p.next,
            lost: take(&mut p.lost),
            unreadable: take(&mut p.unreadable),
            watermark_us: watermark.of_partition(i),
            idle: p.idle,
            leader_epoch: p.leader_epoch,
        });
        let partitions = partitions.collect();
        Ok(SourceProgress {
            name: self.name.clone(),
            topic_ids: topic_ids.clone(),
            topics_gone: take(&mut self.gone),
            watermark_before_us: before_us,
            watermark_after_us: after_us,
            processing_time_us: None,
            moved_by: None,
            held_by,
            partitions,
            counts,
            bad_share: self.bad_share,
        })
    }
}

fn bound_of(until: &Until, source: &str, partition: &TopicPartition) -> i64 {
    let own = until
        .ends
        .iter()
        .find(|e| e.source == source && e.topic == partition.topic && e.partition == partition.partition);
    // A partition that was found after the run's end was fixed belongs to the next run.
    own.map_or(i64::MIN, |e| e.end)
}

#[cfg(test)]
mod tests;

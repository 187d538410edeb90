//! The open epoch: what all lanes and the driver share while records are read. It has counters, limits, and a
//! notification for the driver.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::Notify;
use weir_plan::plan::Limits;

use crate::clock::{Clock, steady};
use crate::memory::Memory;

/// Stands for a reading of the clock that nobody has taken yet.
const NOT_READ: i64 = i64::MIN;

pub struct OpenEpoch {
    records: AtomicU64,
    bytes: AtomicU64,
    /// Records that lanes have read or are about to read. There are never more than the limit.
    reserved: AtomicU64,
    limits: Limits,
    lanes_at_bound: AtomicU64,
    /// Since 1970.
    now_us: Clock,
    /// The latest reading of it.
    clock_us: AtomicI64,
    /// The epoch's reading for rows that take their time from the clock; [`NOT_READ`] until somebody needs it.
    rows_clock_us: AtomicI64,
    /// Whether the epoch is to be closed before its trigger or a limit says so.
    early: AtomicBool,
    topic_gone: AtomicBool,
    stopped: AtomicBool,
    first_record: OnceLock<Instant>,
    /// Bytes of partial aggregates, over all lanes.
    partials_bytes: AtomicU64,
    partials_bytes_max: u64,
    memory: Arc<Memory>,
    /// Notified when something has happened that the driver may be waiting for.
    pub changed: Notify,
}

impl OpenEpoch {
    #[must_use]
    pub fn new(limits: Limits, partials_bytes_max: u64, memory: Arc<Memory>, now_us: Clock) -> Self {
        Self {
            partials_bytes: AtomicU64::new(0),
            partials_bytes_max,
            memory,
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            reserved: AtomicU64::new(0),
            limits,
            lanes_at_bound: AtomicU64::new(0),
            now_us,
            clock_us: AtomicI64::new(NOT_READ),
            rows_clock_us: AtomicI64::new(NOT_READ),
            early: AtomicBool::new(false),
            topic_gone: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            first_record: OnceLock::new(),
            changed: Notify::new(),
        }
    }

    /// A new value for the lanes that replace these.
    #[must_use]
    pub fn of_other_lanes(&self) -> Self {
        Self {
            first_record: self.first_record.clone(),
            ..Self::new(self.limits, self.partials_bytes_max, Arc::clone(&self.memory), Arc::clone(&self.now_us))
        }
    }

    /// Says that a lane has lost a topic, so the driver must look which topics there are.
    pub fn lane_lost_topic(&self) {
        self.topic_gone.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }

    pub fn has_lost_topic(&self) -> bool {
        self.topic_gone.load(Ordering::Relaxed)
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// A lane has read all its partitions up to the run's end offsets.
    pub fn lane_is_at_bound(&self) {
        self.lanes_at_bound.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Reads the clock, µs. The result never goes back: a row that a lane found to be in time must also be in time by
    /// the epoch's reading, which comes later.
    pub fn clock_us(&self) -> i64 {
        let now = (self.now_us)();
        self.clock_us.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// The time (µs) of all rows of the epoch that take it from the clock: whoever comes first reads the clock.
    pub fn rows_clock_us(&self) -> i64 {
        self.rows_clock_us_or(self.clock_us())
    }

    /// Reads the clock for the last time in the epoch, µs. No row of the epoch has a later time by the clock: a lane
    /// that reads its first record after this gets this reading.
    pub fn closing_clock_us(&self) -> i64 {
        let now_us = self.clock_us();
        // A lane may have read the clock a moment later than this, and come first.
        self.rows_clock_us_or(now_us).max(now_us)
    }

    fn rows_clock_us_or(&self, now_us: i64) -> i64 {
        let taken = self.rows_clock_us.compare_exchange(NOT_READ, now_us, Ordering::Relaxed, Ordering::Relaxed);
        taken.err().unwrap_or(now_us)
    }

    /// Records read since the epoch was opened.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Closes the epoch early because offsets were lost. The loss is decided and reported before more is read, whatever
    /// the trigger says, and no epoch has more than one gap per partition.
    pub fn close_early(&self) {
        self.early.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Whether the epoch is to be closed, most often because a limit is reached. Lanes read nothing more until it is.
    pub fn is_full(&self) -> bool {
        let early = self.early.load(Ordering::Relaxed);
        let bytes = self.bytes.load(Ordering::Relaxed);
        early
            || self.records() >= self.limits.records_per_epoch
            || bytes >= self.limits.bytes_per_epoch
            || self.holds_too_much()
    }

    /// Whether partial aggregates fill their share of memory, or take so much that their merge would not fit into the
    /// memory that is left. The end of the epoch merges them. Other use of memory is no reason to close the epoch,
    /// since its end would free none of that.
    fn holds_too_much(&self) -> bool {
        let held = self.partials_bytes.load(Ordering::Relaxed);
        held >= self.partials_bytes_max.min(self.memory.partials_bytes())
    }

    /// Records that one lane's partial aggregates have grown, or were handed over.
    pub fn hold(&self, before_bytes: u64, now_bytes: u64) {
        self.partials_bytes.fetch_add(now_bytes.wrapping_sub(before_bytes), Ordering::Relaxed);
        if self.holds_too_much() {
            self.changed.notify_one();
        }
    }

    /// How many lanes have read all their partitions up to the run's end offsets.
    pub fn lanes_at_bound(&self) -> u64 {
        self.lanes_at_bound.load(Ordering::Relaxed)
    }

    /// When this process read its first record.
    pub fn first_record(&self) -> Option<Instant> {
        self.first_record.get().copied()
    }

    /// Resets the counters. The driver calls it while no lane reads.
    pub fn reset(&self) {
        self.records.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        self.reserved.store(0, Ordering::Relaxed);
        self.early.store(false, Ordering::Relaxed);
        self.rows_clock_us.store(NOT_READ, Ordering::Relaxed);
    }

    /// Tells the lanes to end at their next look.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Reserves at most `most` records for one lane to read, and returns how many; 0 if the others may fill the epoch.
    pub fn reserve(&self, most: usize) -> usize {
        let limit = self.limits.records_per_epoch;
        let mut granted = 0;
        let grant = |reserved: u64| {
            granted = limit.saturating_sub(reserved).min(most as u64);
            Some(reserved + granted)
        };
        // The closure never returns None, so both results carry the same value.
        let _ = self.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grant);
        usize::try_from(granted).unwrap_or(most)
    }

    /// Takes back the records that a lane has reserved and not read.
    pub fn give_back(&self, records: u64) {
        self.reserved.fetch_sub(records, Ordering::Relaxed);
    }

    /// Counts what a lane has read.
    pub fn add(&self, records: u64, bytes: u64) {
        let before = self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before == 0 {
            self.first_record.get_or_init(steady);
        }
        if before == 0 || self.is_full() {
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn open(records_per_epoch: u64, bytes_per_epoch: u64) -> OpenEpoch {
        OpenEpoch::new(
            Limits { records_per_epoch, bytes_per_epoch },
            500,
            Arc::new(Memory::new(None).unwrap()),
            Arc::new(|| 0),
        )
    }

    #[test]
    fn an_epoch_is_full_by_the_partial_aggregates_of_all_lanes() {
        let epoch = open(100, 1000);
        epoch.hold(0, 300);
        epoch.hold(0, 100);
        assert!(!epoch.is_full());
        epoch.hold(100, 250);
        assert!(epoch.is_full());
        epoch.hold(300, 0);
        assert!(!epoch.is_full());
    }

    #[test]
    fn lanes_never_set_aside_more_than_the_limit() {
        let epoch = open(100, 1000);
        assert_eq!(epoch.reserve(80), 80);
        assert_eq!(epoch.reserve(80), 20);
        assert_eq!(epoch.reserve(80), 0);
        epoch.give_back(30);
        assert_eq!(epoch.reserve(80), 30);
        assert!(!epoch.is_full(), "set aside is not read yet");
        epoch.add(100, 10);
        assert!(epoch.is_full());
        epoch.reset();
        assert_eq!((epoch.records(), epoch.is_full(), epoch.reserve(1)), (0, false, 1));
    }

    #[test]
    fn all_rows_of_an_epoch_have_one_time_by_the_clock_and_none_is_later_than_its_end() {
        let now = Arc::new(AtomicI64::new(5));
        let shown = Arc::clone(&now);
        let limits = Limits { records_per_epoch: 1, bytes_per_epoch: 1 };
        let memory = Arc::new(Memory::new(None).unwrap());
        let epoch = OpenEpoch::new(limits, 1, memory, Arc::new(move || shown.load(Ordering::Relaxed)));
        let set = |us| now.store(us, Ordering::Relaxed);
        assert_eq!(epoch.rows_clock_us(), 5);
        set(7);
        assert_eq!((epoch.rows_clock_us(), epoch.closing_clock_us()), (5, 7));
        epoch.reset();
        assert_eq!(epoch.closing_clock_us(), 7);
        set(9);
        assert_eq!(epoch.rows_clock_us(), 7, "a lane comes to its first record after the end");
        epoch.reset();
        set(3);
        assert_eq!((epoch.rows_clock_us(), epoch.closing_clock_us()), (9, 9), "the clock was set back");
    }

    #[test]
    fn an_epoch_is_full_by_bytes_too() {
        let epoch = open(100, 1000);
        epoch.add(1, 1000);
        assert!(epoch.is_full());
    }

    #[test]
    fn an_epoch_that_is_closed_early_reads_no_more_until_the_next() {
        let epoch = open(100, 1000);
        epoch.close_early();
        assert!(epoch.is_full());
        epoch.reset();
        assert!(!epoch.is_full());
    }
}

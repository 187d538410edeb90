//! Holds back partitions that run ahead of the slowest one in event time (`eventTime.maxSkew`). In a replay, a
//! partition that lags hours behind would otherwise let the others open hours of windows, which all stay in memory
//! until it has caught up. Flink calls this watermark alignment (FLIP-182, FLIP-217). It changes when records are read,
//! never what comes out.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// The time of a partition from which nothing was read yet.
const NOTHING: i64 = i64::MIN;

/// How far each partition has come. Lanes report their own partitions and ask about all.
#[derive(Debug)]
pub struct Skew {
    max_us: i64,
    partitions: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    /// The greatest event time read, µs.
    time_us: AtomicI64,
    /// Whether its end was reached. Then the others have nothing to wait for.
    at_end: AtomicBool,
}

impl Skew {
    /// `times_us` are the greatest event times of the partitions so far.
    #[must_use]
    pub fn new(max_us: i64, times_us: impl Iterator<Item = Option<i64>>) -> Self {
        let slot = |time_us: Option<i64>| Slot {
            time_us: AtomicI64::new(time_us.unwrap_or(NOTHING)),
            at_end: AtomicBool::new(false),
        };
        Self { max_us, partitions: times_us.map(slot).collect() }
    }

    pub fn read(&self, partition: usize, time_us: i64) {
        self.partitions[partition].time_us.fetch_max(time_us, Ordering::Relaxed);
    }

    pub fn at_end(&self, partition: usize, at_end: bool) {
        self.partitions[partition].at_end.store(at_end, Ordering::Relaxed);
    }

    /// Whether a partition must wait. A waiting partition continues when half of its lead is gone, so that it does not
    /// stop at every batch.
    #[must_use]
    pub fn must_wait(&self, partition: usize, waits: bool) -> bool {
        let own = self.partitions[partition].time_us.load(Ordering::Relaxed);
        let allowed_us = if waits { self.max_us / 2 } else { self.max_us };
        own != NOTHING && self.slowest_us().is_some_and(|slowest| own.saturating_sub(slowest) > allowed_us)
    }

    /// The least time of the partitions that are not at their ends; `None` if all are.
    fn slowest_us(&self) -> Option<i64> {
        let behind = self.partitions.iter().filter(|p| !p.at_end.load(Ordering::Relaxed));
        behind.map(|p| p.time_us.load(Ordering::Relaxed)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_waits_when_its_lead_is_too_great_and_goes_on_when_half_of_it_is_gone() {
        let skew = Skew::new(100, [Some(0), Some(0)].into_iter());
        skew.read(0, 100);
        assert!(!skew.must_wait(0, false), "as far as it may be");
        skew.read(0, 101);
        assert!(skew.must_wait(0, false) && !skew.must_wait(1, false));
        skew.read(1, 50);
        assert!(skew.must_wait(0, true) && !skew.must_wait(0, false));
        skew.read(1, 51);
        assert!(!skew.must_wait(0, true));
    }

    #[test]
    fn one_that_was_never_read_is_waited_for_and_one_at_its_end_is_not() {
        let skew = Skew::new(100, [None, None].into_iter());
        assert!(!skew.must_wait(0, false), "nor does it wait itself");
        skew.read(0, 7);
        assert!(skew.must_wait(0, false));
        skew.at_end(1, true);
        assert!(!skew.must_wait(0, false));
        skew.at_end(0, true);
        assert!(!skew.must_wait(0, true), "nobody is behind");
    }

    #[test]
    fn a_restart_remembers_who_was_ahead() {
        assert!(Skew::new(100, [Some(500), Some(0)].into_iter()).must_wait(0, false));
    }
}

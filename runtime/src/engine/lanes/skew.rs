//! Holds back partitions that run ahead of the slowest one in event time (`eventTime.maxSkew`), over all sources whose
//! rows may meet. In a replay, a partition that lags hours behind would otherwise let the others open hours of windows,
//! which all stay in memory until it has caught up. Flink calls this watermark alignment (FLIP-182, FLIP-217). It
//! changes when records are read, never what comes out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// The time of a partition from which nothing was read yet.
const NOTHING: i64 = i64::MIN;

/// How far each partition of one part of the graph has come.
#[derive(Debug)]
pub struct Skew {
    partitions: Vec<Slot>,
}

/// What the lanes of one source see of it: they report their own partitions and compare them with all.
#[derive(Debug, Clone)]
pub struct SkewOfSource {
    all: Arc<Skew>,
    /// The index of the source's first partition among all.
    first: usize,
    /// How far a partition of this source may be ahead, in µs. `None`: none of them waits, but others may wait for
    /// them.
    max_us: Option<i64>,
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
    pub fn new(times_us: impl Iterator<Item = Option<i64>>) -> Self {
        let slot = |time_us: Option<i64>| Slot {
            time_us: AtomicI64::new(time_us.unwrap_or(NOTHING)),
            at_end: AtomicBool::new(false),
        };
        Self { partitions: times_us.map(slot).collect() }
    }

    /// The least time of the partitions that are not at their ends; `None` if all are.
    fn slowest_us(&self) -> Option<i64> {
        let behind = self.partitions.iter().filter(|p| !p.at_end.load(Ordering::Relaxed));
        behind.map(|p| p.time_us.load(Ordering::Relaxed)).min()
    }
}

impl SkewOfSource {
    /// For a source whose partitions stand from `first` on in `all`.
    #[must_use]
    pub fn new(all: Arc<Skew>, first: usize, max_us: Option<i64>) -> Self {
        Self { all, first, max_us }
    }

    pub fn read(&self, partition: usize, time_us: i64) {
        self.slot(partition).time_us.fetch_max(time_us, Ordering::Relaxed);
    }

    pub fn at_end(&self, partition: usize, at_end: bool) {
        self.slot(partition).at_end.store(at_end, Ordering::Relaxed);
    }

    /// Whether a partition of the source must wait. A waiting partition continues when half of its lead is gone, so
    /// that it does not stop at every batch.
    #[must_use]
    pub fn must_wait(&self, partition: usize, waits: bool) -> bool {
        let Some(max_us) = self.max_us else { return false };
        let own = self.slot(partition).time_us.load(Ordering::Relaxed);
        let allowed_us = if waits { max_us / 2 } else { max_us };
        own != NOTHING && self.all.slowest_us().is_some_and(|slowest| own.saturating_sub(slowest) > allowed_us)
    }

    fn slot(&self, partition: usize) -> &Slot {
        &self.all.partitions[self.first + partition]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(max_us: i64, times_us: [Option<i64>; 2]) -> SkewOfSource {
        SkewOfSource::new(Arc::new(Skew::new(times_us.into_iter())), 0, Some(max_us))
    }

    #[test]
    fn a_partition_waits_when_its_lead_is_too_great_and_goes_on_when_half_of_it_is_gone() {
        let skew = one(100, [Some(0), Some(0)]);
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
        let skew = one(100, [None, None]);
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
        assert!(one(100, [Some(500), Some(0)]).must_wait(0, false));
    }

    #[test]
    fn a_partition_waits_for_those_of_other_sources_by_its_own_limit() {
        let all = Arc::new(Skew::new([Some(0), Some(0), Some(0)].into_iter()));
        let [a, b] =
            [(0, Some(100)), (2, None)].map(|(first, max_us)| SkewOfSource::new(Arc::clone(&all), first, max_us));
        a.read(0, 200);
        a.at_end(1, true);
        assert!(a.must_wait(0, false));
        b.read(0, 150);
        assert!(!a.must_wait(0, false));
        b.read(0, 900);
        assert!(!b.must_wait(0, false), "it has no limit");
    }
}

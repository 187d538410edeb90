//! Watermarks, as pure decisions: how far each partition's event time has come, and up to which time the source as a
//! whole may be taken as complete.
//!
//! The watermark of a partition is the greatest event time decoded, minus the delay. It never goes back. (This is
//! bounded out-of-orderness as in Flink's `BoundedOutOfOrdernessWatermarks`, but per partition.) The watermark of a
//! source is the least over its partitions that are not idle; if all are idle, the greatest. A partition that is
//! neither read nor idle holds the watermark (`None`).

/// The partitions of one source and its watermark.
#[derive(Debug, Clone)]
pub struct SourceWatermark {
    delay_us: i64,
    partitions: Vec<Option<i64>>,
    current: Option<i64>,
}

impl SourceWatermark {
    /// Continues from the checkpoint, which has the source's watermark and each partition's, in µs.
    #[must_use]
    pub fn new(delay_us: i64, current: Option<i64>, partitions: Vec<Option<i64>>) -> Self {
        Self { delay_us, partitions, current }
    }

    /// Adds a partition as the last one. Nothing was read from it yet.
    pub fn add(&mut self) {
        self.partitions.push(None);
    }

    /// Removes the partitions that do not stay. They hold nothing any more.
    pub fn retain(&mut self, stays: &[bool]) {
        let mut stays = stays.iter();
        self.partitions.retain(|_| stays.next().copied().unwrap_or(true));
    }

    /// The source's watermark, in µs.
    #[must_use]
    pub fn current(&self) -> Option<i64> {
        self.current
    }

    /// A partition's own watermark, in µs.
    #[must_use]
    pub fn of_partition(&self, partition: usize) -> Option<i64> {
        self.partitions[partition]
    }

    /// The greatest event time that a partition's watermark stands for, in µs.
    #[must_use]
    pub fn time_of_partition(&self, partition: usize) -> Option<i64> {
        self.partitions[partition].map(|w| w.saturating_add(self.delay_us))
    }

    /// Takes in the greatest event time that an epoch decoded from a partition.
    pub fn observe(&mut self, partition: usize, max_event_time_us: i64) {
        let seen = max_event_time_us.saturating_sub(self.delay_us);
        let slot = &mut self.partitions[partition];
        *slot = Some(slot.map_or(seen, |w| w.max(seen)));
    }

    /// What the watermark would be if these partitions were idle. This does not move it.
    #[must_use]
    pub fn peek(&self, idle: &[bool]) -> Option<i64> {
        let busy = || self.partitions.iter().zip(idle).filter(|(_, idle)| !**idle).map(|(w, _)| *w);
        let candidate = if busy().next().is_some() {
            // `None` is less than `Some`, so a partition that was never read holds the others.
            busy().min().flatten()
        } else {
            self.partitions.iter().copied().max().flatten()
        };
        candidate.max(self.current)
    }

    /// Moves the watermark further than the partitions say. It never goes back.
    pub fn raise(&mut self, to_us: i64) -> Option<i64> {
        self.current = self.current.max(Some(to_us));
        self.current
    }

    /// Moves the watermark to the end of an epoch. It never goes back.
    pub fn advance(&mut self, idle: &[bool]) -> Option<i64> {
        self.current = self.peek(idle);
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(partitions: &[Option<i64>], idle: &[bool], expected: Option<i64>) {
        assert_eq!(
            SourceWatermark::new(0, None, partitions.to_vec()).peek(idle),
            expected,
            "{partitions:?} idle {idle:?}"
        );
    }

    #[test]
    fn the_slowest_partition_that_is_not_idle_decides() {
        check(&[Some(5), Some(3)], &[false, false], Some(3));
        check(&[Some(5), Some(3)], &[false, true], Some(5));
        check(&[Some(5), Some(3)], &[true, true], Some(5));
    }

    #[test]
    fn a_partition_never_read_holds_until_it_is_idle() {
        check(&[Some(5), None], &[false, false], None);
        check(&[Some(5), None], &[false, true], Some(5));
        check(&[None, None], &[true, true], None);
    }

    #[test]
    fn no_watermark_goes_back() {
        let mut w = SourceWatermark::new(10, None, vec![None, None]);
        w.observe(0, 100);
        w.observe(0, 50);
        assert_eq!(w.of_partition(0), Some(90));
        assert_eq!(w.advance(&[false, true]), Some(90));
        w.observe(1, 20);
        assert_eq!(
            w.advance(&[false, false]),
            Some(90),
            "an idle partition that wakes up behind does not pull it back"
        );
    }

    #[test]
    fn a_partition_that_joins_holds_and_one_that_goes_does_not() {
        let mut w = SourceWatermark::new(0, Some(4), vec![Some(9), Some(5), Some(7)]);
        w.retain(&[true, false, true]);
        assert_eq!(w.advance(&[false, false]), Some(7));
        w.add();
        w.observe(0, 20);
        w.observe(1, 30);
        assert_eq!(w.advance(&[false, false, false]), Some(7));
        w.observe(2, 8);
        assert_eq!(w.advance(&[false, false, false]), Some(8));
    }

    #[test]
    fn times_at_the_beginning_of_time_do_not_overflow() {
        let mut w = SourceWatermark::new(i64::MAX, None, vec![None]);
        w.observe(0, i64::MIN);
        assert_eq!(w.of_partition(0), Some(i64::MIN));
    }
}

//! What may be deleted. Pure: the writer lists and deletes.
//!
//! Only a writer whose manifest is the newest begins a collection. It may stall in the middle and delete after others
//! have long taken over. So every rule here, once true for an object, must stay true for ever:
//!
//! - A manifest below the newest `keep` and below the epoch that may be in doubt is never needed again: claims carry
//!   what they need, later epochs are higher, and a number is never decided twice.
//! - A state file of an older generation that no kept manifest refers to is never referred to again. Nobody of that
//!   generation can decide anything after our claim. Later manifests refer only to what the newest refers to, and to
//!   files written since. A claim that goes back to an older epoch refers to copies, whose names have its own
//!   generation, and an older writer's collection never takes these.
//! - The same holds for a file of our own generation whose epoch is decided, unless the newest manifest says that a
//!   compaction begun for that epoch is under way. Files of later epochs are being written. Epochs that are decided
//!   while the collection runs refer to what the newest manifest refers to or names as being written, and to files of
//!   later epochs.
//! - A file of a newer generation is left alone: then we are the writer that was overtaken.
//!
//! Files are listed before manifests, so that every listed file is older than the manifests that it is compared with.
//! The grace period (by the object's age) is added for people who are reading, and safety does not depend on it.

use std::collections::BTreeSet;
use std::time::Duration;

use weir_plan::ids::Epoch;

use super::layout::StateName;
use super::protocol::Head;
#[cfg(test)]
use super::protocol::Rule;

/// The age below which probes stay, whatever the grace period. A starting writer creates a probe twice in a row. If
/// somebody deleted it in between, the store would look unfit.
pub const PROBE_GRACE: Duration = Duration::from_secs(10 * 60);

/// What a collection deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcReport {
    pub manifests_deleted: u64,
    pub state_files_deleted: u64,
    pub state_bytes_deleted: u64,
    pub probes_deleted: u64,
}

/// The rules for deletion, as the newest writer applies them.
#[derive(Debug, Clone)]
pub struct Collector<'a> {
    newest: &'a Head,
    keep: u64,
    being_written: BTreeSet<(u32, Epoch)>,
    #[cfg(test)]
    broken: Option<Rule>,
}

impl<'a> Collector<'a> {
    /// Keeps the newest `keep` manifests, and at least one.
    #[must_use]
    pub fn new(newest: &'a Head, keep: u32) -> Self {
        Self {
            newest,
            keep: u64::from(keep.max(1)),
            being_written: BTreeSet::new(),
            #[cfg(test)]
            broken: None,
        }
    }

    /// Spares the files of compactions that are under way, given by task and by the epoch that the files are named for.
    #[must_use]
    pub fn sparing(self, being_written: BTreeSet<(u32, Epoch)>) -> Self {
        Self { being_written, ..self }
    }

    /// The first number that is kept: manifests below it may be deleted.
    #[must_use]
    pub fn keep_from(&self) -> Epoch {
        let by_count = Epoch((self.newest.epoch.0 + 1).saturating_sub(self.keep));
        match self.newest.unacknowledged() {
            Some(in_doubt) if self.keeps_in_doubt() => by_count.min(in_doubt),
            _ => by_count,
        }
    }

    /// Whether a state file may be deleted. `kept` are the names that the manifests from [`Self::keep_from`] on refer
    /// to.
    #[must_use]
    pub fn takes(&self, file: &StateName, kept: &BTreeSet<StateName>) -> bool {
        !kept.contains(file) && (self.is_settled(file) || !self.spares_running())
    }

    /// Whether no manifest that does not refer to the file now will ever do so.
    fn is_settled(&self, file: &StateName) -> bool {
        let is_decided = file.generation == self.newest.generation && file.epoch <= self.newest.epoch;
        file.generation < self.newest.generation || (is_decided && !self.is_being_written(file))
    }

    fn is_being_written(&self, file: &StateName) -> bool {
        file.is_compacted() && self.being_written.contains(&(file.task, file.epoch)) && self.spares_compactions()
    }

    #[cfg(test)]
    pub fn breaking(self, broken: Option<Rule>) -> Self {
        Self { broken, ..self }
    }

    #[cfg(test)]
    fn spares_running(&self) -> bool {
        self.broken != Some(Rule::CollectNothingRunning)
    }

    #[cfg(test)]
    fn spares_compactions(&self) -> bool {
        self.broken != Some(Rule::CollectNothingCompacted)
    }

    #[cfg(test)]
    fn keeps_in_doubt(&self) -> bool {
        self.broken != Some(Rule::CollectNothingInDoubt)
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self)]
    fn spares_running(&self) -> bool {
        true
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self)]
    fn spares_compactions(&self) -> bool {
        true
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self)]
    fn keeps_in_doubt(&self) -> bool {
        true
    }
}

/// Whether an object last written at `modified_us` is at least `grace` old. An object from the future is not.
#[must_use]
pub fn is_old(modified_us: i64, now_us: i64, grace: Duration) -> bool {
    now_us.checked_sub(modified_us).and_then(|age| u128::try_from(age).ok()).is_some_and(|age| age >= grace.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::COMPACTED_FROM;
    use crate::manifest::Kind;
    use weir_plan::ids::Generation;

    fn newest(epoch: u64, generation: u64, kind: Kind, in_doubt: Option<u64>) -> Head {
        Head {
            epoch: Epoch(epoch),
            kind,
            generation: Generation(generation),
            nonce: "n".into(),
            in_doubt: in_doubt.map(Epoch),
            begun: Generation(1),
            writes: Vec::new(),
            acknowledged: Vec::new(),
        }
    }

    fn file(generation: u64, epoch: u64) -> StateName {
        StateName { generation: Generation(generation), epoch: Epoch(epoch), task: 0, n: 0 }
    }

    #[test]
    fn the_newest_manifests_are_kept_and_never_fewer_than_one() {
        let head = newest(100, 3, Kind::Data, None);
        assert_eq!(Collector::new(&head, 10).keep_from(), Epoch(91));
        assert_eq!(Collector::new(&head, 0).keep_from(), Epoch(100));
        assert_eq!(Collector::new(&newest(5, 1, Kind::Data, None), 10).keep_from(), Epoch(0));
    }

    #[test]
    fn an_epoch_in_doubt_is_kept_however_old() {
        let head = newest(100, 30, Kind::Claim, Some(70));
        assert_eq!(Collector::new(&head, 10).keep_from(), Epoch(70));
    }

    #[test]
    fn only_settled_files_that_nobody_refers_to_are_taken() {
        let head = newest(100, 3, Kind::Data, None);
        let collector = Collector::new(&head, 10);
        let kept = BTreeSet::from([file(3, 95), file(1, 20)]);
        assert!(collector.takes(&file(3, 100), &kept), "decided, and not referred to");
        assert!(collector.takes(&file(2, 500), &kept), "of a zombie that ran ahead");
        assert!(!collector.takes(&file(3, 101), &kept), "being written");
        assert!(!collector.takes(&file(4, 50), &kept), "of a newer writer");
        assert!(!collector.takes(&file(3, 95), &kept) && !collector.takes(&file(1, 20), &kept), "referred to");
    }

    #[test]
    fn what_a_compaction_writes_is_spared_until_the_manifest_says_no_more_of_it() {
        let head = newest(100, 3, Kind::Data, None);
        let compacted = |generation, epoch| StateName { n: COMPACTED_FROM, ..file(generation, epoch) };
        let collector = Collector::new(&head, 10).sparing(BTreeSet::from([(0, Epoch(90))]));
        assert!(!collector.takes(&compacted(3, 90), &BTreeSet::new()), "being written");
        assert!(collector.takes(&file(3, 90), &BTreeSet::new()), "a change of that epoch");
        assert!(
            collector.takes(&compacted(3, 91), &BTreeSet::new())
                && collector.takes(&compacted(2, 90), &BTreeSet::new()),
            "of others"
        );
        assert!(Collector::new(&head, 10).takes(&compacted(3, 90), &BTreeSet::new()), "given up");
    }

    #[test]
    fn age_counts_from_the_last_write_and_the_future_is_not_old() {
        let grace = Duration::from_secs(1);
        assert!(is_old(0, 1_000_000, grace));
        assert!(!is_old(1, 1_000_000, grace));
        assert!(!is_old(2_000_000, 1_000_000, Duration::ZERO));
        assert!(!is_old(i64::MIN, i64::MAX, grace), "an overflow is not an age");
    }
}

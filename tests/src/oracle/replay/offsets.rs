//! Checks the offsets that manifests declare as read, lost, unreadable, or as the end of an idle partition.

use std::collections::BTreeSet;

use super::{State, dead_letter};
use crate::oracle::manifest::{Manifest, Partition, Place};
use crate::topic::Stored;

impl State<'_> {
    /// Checks that nothing is read twice and nothing is left out: each range begins where the last one ended, whichever
    /// process wrote it.
    pub(super) fn check_positions(&mut self, manifest: &Manifest) {
        let is_there = |place: &Place| manifest.partitions.iter().any(|p| p.place() == *place);
        let left_out: BTreeSet<_> =
            self.held.positions.keys().filter(|place| !is_there(place)).map(|(topic, _)| topic.clone()).collect();
        self.expect(manifest.epoch, "topics that are gone", &left_out.iter().cloned().collect(), &manifest.topics_gone);
        self.held.positions.retain(|(topic, _), _| !left_out.contains(topic));
        self.held.partitions.retain(|(topic, _), _| !left_out.contains(topic));
        for p in &manifest.partitions {
            let known = self.held.positions.get(&p.place()).copied();
            let begins = if manifest.is_claim { p.end } else { p.start };
            if let Some(known) = known {
                self.expect(manifest.epoch, &format!("start of partition {}", p.partition), &known, &begins);
            }
            self.held.positions.insert(p.place(), p.end);
            self.check_lost(manifest.epoch, p);
            self.check_idle(manifest, p);
        }
    }

    /// Checks that an idle partition had nothing more to read: no further record had been acknowledged when the epoch
    /// read its clock.
    fn check_idle(&mut self, manifest: &Manifest, p: &Partition) {
        if !p.idle {
            return;
        }
        let unread = self
            .records
            .onwards(&p.topic, p.partition, p.end)
            .find(|(_, record)| record.acknowledged_us.is_some_and(|at_us| at_us <= manifest.clock_us));
        self.expect(
            manifest.epoch,
            &format!("unread record of the idle partition {}", p.partition),
            &unread.map(|(offset, _)| offset),
            &None,
        );
    }

    /// Checks that offsets declared as lost lie in the epoch's own range.
    fn check_lost(&mut self, epoch: u64, p: &Partition) {
        let mut at = p.start;
        for &(from, to) in &p.lost {
            let within = at <= from && from < to && to <= p.end;
            self.expect(
                epoch,
                &format!("lost range [{from}, {to}) is within partition {}", p.partition),
                &true,
                &within,
            );
            at = to;
            self.out.lost += u64::try_from(to - from).unwrap_or_default();
        }
    }

    /// The destroyed ranges that an epoch's range touches.
    pub(super) fn destroyed_of(&self, p: &Partition) -> Vec<(i64, i64)> {
        let all = self.destroyed.get(&p.partition).into_iter().flatten();
        all.filter(|(from, to)| *from < p.end && p.start < *to).copied().collect()
    }

    /// Checks that exactly the destroyed ranges are declared as unreadable, each in one epoch, and that each leaves as
    /// one dead letter if these are kept.
    pub(super) fn check_unreadable(&mut self, epoch: u64, p: &Partition, destroyed: &[(i64, i64)]) {
        self.expect(
            epoch,
            &format!("unreadable ranges of partition {}", p.partition),
            &destroyed,
            &p.unreadable.as_slice(),
        );
        for (from, to) in destroyed {
            self.out.unreadable += from.abs_diff(*to);
            if self.pipeline.bad_records.are_kept() {
                self.out.rejected_ranges.push(dead_letter(p.partition, *from, &Stored::default()));
            }
        }
    }
}

//! Sums over all epochs of a checkpoint, carried from manifest to manifest, so that neither a restart nor garbage
//! collection resets the counters. Records that a state action makes Weir read again count again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::sinks::Committable;
use super::sources::{PartitionProgress, SourceCounts, SourceProgress, is_zero};
use super::tasks::Task;

/// Sums by name, so that what the document no longer has keeps its sums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Epochs with data.
    pub epochs: u64,
    pub sources: BTreeMap<String, SourceTotals>,
    pub steps: BTreeMap<String, StepTotals>,
    /// Rows, by sink.
    pub sinks: BTreeMap<String, u64>,
    /// The sums of [`Task::rows_bad`].
    #[serde(default, rename = "rowsBad", skip_serializing_if = "BTreeMap::is_empty")]
    pub rows_bad: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceTotals {
    #[serde(flatten)]
    pub counts: SourceCounts,
    /// Offsets that Kafka had already deleted when they came next.
    pub lost: u64,
    /// Offsets whose batches could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepTotals {
    pub rows_in: u64,
    pub rows_late: u64,
    pub rows_out: u64,
}

impl Totals {
    /// These sums with one more epoch.
    #[must_use]
    pub fn plus(&self, sources: &[SourceProgress], tasks: &[Task], committables: &[Committable]) -> Self {
        let mut sum = self.clone();
        sum.epochs += 1;
        for source in sources {
            let of_source = sum.sources.entry(source.name.clone()).or_default();
            of_source.counts.add(&source.counts);
            of_source.lost += source.partitions.iter().map(PartitionProgress::lost_count).sum::<u64>();
            of_source.unreadable += source.partitions.iter().map(PartitionProgress::unreadable_count).sum::<u64>();
        }
        for step in tasks.iter().flat_map(|t| &t.steps) {
            let of_step = sum.steps.entry(step.name.clone()).or_default();
            of_step.rows_in += step.rows_in();
            of_step.rows_late += step.rows_late();
            of_step.rows_out += step.rows_out;
        }
        for (step, rows) in tasks.iter().flat_map(|t| &t.rows_bad) {
            *sum.rows_bad.entry(step.clone()).or_default() += rows;
        }
        for committable in committables {
            *sum.sinks.entry(committable.sink.clone()).or_default() += committable.rows;
        }
        sum
    }

    /// The sums over all sources.
    #[must_use]
    pub fn of_sources(&self) -> SourceTotals {
        let mut sum = SourceTotals::default();
        for of_source in self.sources.values() {
            sum.counts.add(&of_source.counts);
            sum.lost += of_source.lost;
            sum.unreadable += of_source.unreadable;
        }
        sum
    }

    /// Rows that missed their window, over all steps.
    #[must_use]
    pub fn rows_late(&self) -> u64 {
        self.steps.values().map(|step| step.rows_late).sum()
    }
}

//! The result of a run.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::checkpoint::manifest::{Manifest, PartitionProgress};

/// The result of a run, over all its epochs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    pub records_read: u64,
    pub records_decoded: u64,
    pub records_late: u64,
    pub records_dead_letter: u64,
    pub records_dropped: u64,
    /// Records without a value that were skipped, as `tombstones` says.
    pub tombstones_skipped: u64,
    /// Offsets that Kafka no longer had when they were next to be read.
    pub records_lost: u64,
    /// Offsets whose batches could not be read.
    pub records_unreadable: u64,
    pub records_filtered: u64,
    /// Data epochs that this run decided.
    pub epochs: u64,
    pub last_epoch: u64,
    /// By sink name.
    pub rows_written: BTreeMap<String, u64>,
    /// From the start of the run to the first record; `None` if there was no record.
    pub first_record_seconds: Option<f64>,
    /// The most memory that was found in use, in bytes, without memory that is backed by files. `None` without a memory
    /// limit.
    pub memory_bytes_max: Option<u64>,
    /// Whether the run had an end that it did not reach, because it was told to stop before.
    pub cut_short: bool,
}

impl Summary {
    /// Adds a data epoch that this run decided.
    pub(super) fn add(&mut self, manifest: &Manifest) {
        self.epochs += 1;
        self.last_epoch = manifest.epoch.0;
        for source in &manifest.sources {
            self.records_read += source.counts.read;
            self.records_decoded += source.counts.decoded;
            self.records_dropped += source.counts.dropped;
            self.tombstones_skipped += source.counts.tombstones;
            self.records_dead_letter += source.counts.rejected;
            self.records_filtered += source.counts.filtered;
            self.records_lost += source.partitions.iter().map(PartitionProgress::lost_count).sum::<u64>();
            self.records_unreadable += source.partitions.iter().map(PartitionProgress::unreadable_count).sum::<u64>();
        }
        for step in manifest.tasks.iter().flat_map(|t| &t.steps) {
            self.records_late += step.rows_late();
        }
        for committable in &manifest.committables {
            *self.rows_written.entry(committable.sink.clone()).or_default() += committable.rows;
        }
    }
}

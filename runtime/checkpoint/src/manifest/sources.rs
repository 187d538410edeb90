//! How far the sources were read, and what was counted on the way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceProgress {
    pub name: String,
    /// Topic → id, if the broker reports ids: a topic that was deleted and created again has another id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub topic_ids: BTreeMap<String, String>,
    /// Topics that no longer exist; this manifest drops their partitions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics_gone: Vec<String>,
    /// The source's watermark before and after this epoch, in microseconds; `None` until every partition has been read
    /// or is idle.
    pub watermark_before_us: Option<i64>,
    pub watermark_after_us: Option<i64>,
    /// The time of this epoch's rows, in microseconds, if the source takes it from the clock; `None` if no rows came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processing_time_us: Option<i64>,
    /// Why the watermark moved further than the records allow, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_by: Option<MovedBy>,
    /// Why the watermark stayed although the records would move it, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<HeldBy>,
    pub partitions: Vec<PartitionProgress>,
    pub counts: SourceCounts,
    /// The share of bad records after this epoch.
    pub bad_share: BadShare,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionProgress {
    pub topic: String,
    pub partition: i32,
    /// The offsets that this epoch took in. The next epoch goes on at `end`.
    pub start: i64,
    pub end: i64,
    /// Ranges among these offsets that Kafka had already deleted when they came next, in order. Nothing was read there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<OffsetRange>,
    /// Ranges among these offsets whose batches Kafka has and nobody can read, in order. They were skipped, as the
    /// source's `badRecords` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<OffsetRange>,
    /// The greatest decoded event time minus the delay, after this epoch; `None` if nothing was ever decoded.
    pub watermark_us: Option<i64>,
    /// Whether the partition is idle at the end of this epoch, so that it does not hold back the source's watermark.
    pub idle: bool,
    /// The epoch of the leader that wrote the record before `end`, if known (KIP-320). A later reader asks the leader
    /// with it whether the log was cut since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_epoch: Option<i32>,
}

impl PartitionProgress {
    /// How many offsets were lost in this epoch. Some of them may not have been records: transactions and compaction
    /// leave holes.
    #[must_use]
    pub fn lost_count(&self) -> u64 {
        count(&self.lost)
    }

    /// How many offsets of this epoch could not be read. Some of them may not have been records either.
    #[must_use]
    pub fn unreadable_count(&self) -> u64 {
        count(&self.unreadable)
    }
}

fn count(ranges: &[OffsetRange]) -> u64 {
    ranges.iter().map(|range| range.end.abs_diff(range.start)).sum()
}

/// A range of offsets that is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OffsetRange {
    pub start: i64,
    /// The end of the range, exclusive.
    pub end: i64,
}

/// Why a watermark stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeldBy {
    /// The brokers had not confirmed recently enough that there is no new partition, or a new one was found. Its
    /// records may be older.
    Discovery,
}

/// What moves a watermark further than the source's records do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MovedBy {
    /// All partitions were quiet for a long time.
    Clock,
    /// The run is over.
    EndOfRun,
    /// Nothing comes from the source, and the sources whose rows meet its rows are further.
    OtherSources,
}

/// Counts of one epoch; read = decoded + tombstones + dropped + rejected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceCounts {
    pub read: u64,
    /// Records that were taken in: every step before the first window could be evaluated.
    pub decoded: u64,
    /// Records without a value that were skipped, as the source's `tombstones` says.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tombstones: u64,
    /// Bad records that were dropped, as the source's `badRecords` says.
    pub dropped: u64,
    /// Bad records that went to the output `Rejected`.
    pub rejected: u64,
    /// Decoded records that a `where` removed, summed over all maps before the first window.
    pub filtered: u64,
    pub bytes: u64,
}

impl SourceCounts {
    pub fn add(&mut self, other: &Self) {
        // Every field is named, so that nobody can forget a new count.
        let Self { read, decoded, tombstones, dropped, rejected, filtered, bytes } = other;
        self.read += read;
        self.decoded += decoded;
        self.tombstones += tombstones;
        self.dropped += dropped;
        self.rejected += rejected;
        self.filtered += filtered;
        self.bytes += bytes;
    }

    /// Bad records: those that were not taken in.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.dropped + self.rejected
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks
pub(super) fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The current count for `badRecords.maxPerMillion`: records since the count began anew, and how many of them were bad.
/// Offsets that can't be read count as bad records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadShare {
    pub read: u64,
    pub bad: u64,
}

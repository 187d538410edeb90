//! The manifest: everything that is decided about one epoch, in one immutable object. `docs/formats/manifest-v1.md` describes it field by
//! field; `runtime/fixtures/manifest-v1.json` is one that every later version must read.
//!
//! Times are integers, microseconds since 1970-01-01T00:00:00Z. Offset ranges are half-open: `[start, end)`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_plan::ids::{Epoch, Generation};

use super::totals::Totals;

/// The `format` of this version.
pub const MANIFEST_V1: &str = "weir.manifest/v1";

/// One epoch, decided. A claim (a manifest that a starting writer creates) has the same shape and takes in no data: it carries what its
/// predecessor decided, so that the newest manifest alone says where to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub format: String,
    pub lineage: String,
    pub epoch: Epoch,
    pub kind: Kind,
    pub writer: Writer,
    /// The one reading of the clock that this epoch goes by.
    pub clock_us: i64,
    /// What the plan means for saved state; `weir_plan::compat`.
    pub fingerprint: serde_json::Value,
    /// In a claim: the last data epoch, whose sinks may not have acknowledged it yet. The claiming writer commits it before anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_doubt: Option<Epoch>,
    pub sources: Vec<SourceProgress>,
    pub tasks: Vec<Task>,
    pub committables: Vec<Committable>,
    /// Per sink, the identity of the table as it was pinned by the first manifest.
    pub tables: Vec<PinnedTable>,
    /// Of an AvailableNow run: where it ends. Kept until it has got there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// The last state action that was done: by this claim, if it begins a lineage, or by one before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_action: Option<ActedUpon>,
    /// Over all epochs of the checkpoint, this one included.
    pub totals: Totals,
}

/// A `spec.stateAction` that was done. The same token is not done again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActedUpon {
    pub token: String,
    /// The epoch whose end was gone back to; none if the state was discarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Epoch>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    Claim,
    Data,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Writer {
    pub generation: Generation,
    /// Random, drawn once per process: tells a lost answer from a lost race.
    pub nonce: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceProgress {
    pub name: String,
    /// Topic → id, where the broker tells: a topic made anew under the same name has another one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub topic_ids: BTreeMap<String, String>,
    /// Topics that do not exist any more, whose partitions this manifest does not carry on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics_gone: Vec<String>,
    /// The source's watermark before and after this epoch; `None` until every partition has been read or is idle.
    pub watermark_before_us: Option<i64>,
    pub watermark_after_us: Option<i64>,
    /// Why the watermark went further than the records say, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_by: Option<MovedBy>,
    pub partitions: Vec<PartitionProgress>,
    pub counts: SourceCounts,
    /// After this epoch.
    pub bad_share: BadShare,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionProgress {
    pub topic: String,
    pub partition: i32,
    /// Offsets taken in by this epoch. `end` is where the next one goes on.
    pub start: i64,
    pub end: i64,
    /// Of these, the ranges that Kafka no longer had when they came next, in order: nothing was read there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<OffsetRange>,
    /// The greatest event time decoded minus the delay, after this epoch; `None` if nothing was ever decoded.
    pub watermark_us: Option<i64>,
    /// Does not hold the source's watermark at the end of this epoch.
    pub idle: bool,
}

impl PartitionProgress {
    /// Offsets that were lost in this epoch. Not all of them need have been records: transactions and compaction leave holes.
    #[must_use]
    pub fn lost_count(&self) -> u64 {
        self.lost.iter().map(|range| range.end.abs_diff(range.start)).sum()
    }
}

/// Not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OffsetRange {
    pub start: i64,
    /// Exclusive.
    pub end: i64,
}

/// What closes windows that no record would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MovedBy {
    /// All partitions were quiet for long.
    Clock,
    /// The run is over.
    EndOfRun,
}

/// read = decoded + dropped + rejected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceCounts {
    pub read: u64,
    /// Taken in: every step before the first window could be evaluated.
    pub decoded: u64,
    /// Left out by policy.
    pub dropped: u64,
    /// Handed to the output `Rejected`.
    pub rejected: u64,
    /// Of the decoded ones, those that a `where` left out, over all maps before the first window.
    pub filtered: u64,
    pub bytes: u64,
}

/// Where `badRecords.maxPerMillion` is in its count: records since it began anew, and how many of them were bad.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadShare {
    pub read: u64,
    pub bad: u64,
}

/// What one task of the data plane contributes. There is one for now; scale-out adds more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    pub id: u32,
    /// Half-open range of key groups.
    pub key_groups: (u16, u16),
    /// State files that together, merged, are the keyed state after this epoch. Oldest first.
    pub state: Vec<StateFile>,
    /// Per step with a state, by name.
    pub steps: Vec<StepProgress>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateFile {
    /// Relative to the checkpoint's root.
    pub path: String,
    pub bytes: u64,
    pub rows: u64,
    pub crc32: u32,
    /// The greatest window end of any row: at or below the watermark, the file has nothing left to say.
    pub max_window_end_us: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepProgress {
    pub name: String,
    pub watermark_after_us: Option<i64>,
    pub rows_in: u64,
    /// Rows that missed every window.
    pub rows_late: u64,
    pub rows_out: u64,
    pub open_windows: u64,
    pub groups: u64,
}

/// What one sink is to commit for this epoch. No rows, no committable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Committable {
    pub sink: String,
    pub rows: u64,
    pub payload: Payload,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Payload {
    /// Delta, append: data files that are already uploaded, as the `add` actions of the Delta protocol.
    DeltaAppend { adds: Vec<serde_json::Value> },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PinnedTable {
    pub sink: String,
    pub uri: String,
    /// The Delta table's `metaData.id`.
    pub table_id: String,
}

/// Where an AvailableNow run ends: the end offsets as they were found, once, at its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Until {
    /// Names the run: another run takes other ends, and the same one is not done again. None for a run that nobody named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    pub ends: Vec<UntilPartition>,
    pub reached: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UntilPartition {
    pub source: String,
    pub topic: String,
    pub partition: i32,
    /// Exclusive.
    pub end: i64,
}

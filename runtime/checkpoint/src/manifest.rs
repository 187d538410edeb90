//! The manifest: everything that is decided about one epoch, in one immutable object. `docs/formats/manifest-v2.md`
//! describes it field by field. `runtime/fixtures/manifest-v2.json` is an example that every later version must read.
//! Weir also reads version 1 (`v1.rs`).
//!
//! Times are integers, microseconds since 1970-01-01T00:00:00Z. Offset ranges are half-open: `[start, end)`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_plan::Plan;
use weir_plan::ids::{Epoch, Generation};
use xxhash_rust::xxh3::xxh3_64;

use super::layout::StateName;
use super::totals::Totals;

/// The `format` of this version.
pub const MANIFEST_V2: &str = "weir.manifest/v2";

/// One decided epoch. A claim (the manifest that a starting writer creates) has the same shape and takes in no data. It
/// carries what its predecessor decided, so that the newest manifest alone says where to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub format: String,
    /// What a reader must know beside this format; otherwise it would miss part of the manifest's meaning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    pub lineage: String,
    pub epoch: Epoch,
    pub kind: Kind,
    pub writer: Writer,
    /// The one clock reading that this epoch goes by.
    pub clock_us: i64,
    /// What saved state depends on in the plan; see `weir_plan::compat`.
    pub fingerprint: serde_json::Value,
    /// In a claim: the last data epoch, which some sinks may not have acknowledged yet. The claiming writer commits it
    /// before anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_doubt: Option<Epoch>,
    pub sources: Vec<SourceProgress>,
    pub tasks: Vec<Task>,
    pub committables: Vec<Committable>,
    /// The identity of each sink, as the first manifest pinned it.
    pub sinks: Vec<PinnedSink>,
    /// For each sink that ever got rows in this lineage, the newest epoch that it had acknowledged when this manifest,
    /// or the epoch in doubt, was decided. A sink that holds less at a start was put back from an old copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acknowledged: Vec<AcknowledgedEpoch>,
    /// The same for sinks that got no rows in this lineage yet, but did in a former one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acknowledged_before: Vec<AcknowledgedBefore>,
    /// Where an AvailableNow run ends. It is kept until the run has got there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// The last state action that was done: by this claim, if it begins a lineage, or by an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_action: Option<ActedUpon>,
    /// Digests of the tokens of all state actions that were done ([`token_digest`]), oldest first. So each token acts
    /// only once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens_done: Vec<String>,
    /// Sums over all epochs of the checkpoint, including this one.
    pub totals: Totals,
}

/// What a checkpoint remembers of a state action's token: sixteen hexadecimal digits, so that even a thousand tokens
/// take little room.
#[must_use]
pub fn token_digest(token: &str) -> String {
    format!("{:016x}", xxh3_64(token.as_bytes()))
}

impl Manifest {
    /// The watermark of each of the plan's sources after this epoch.
    #[must_use]
    pub fn watermarks_us(&self, plan: &Plan) -> Vec<Option<i64>> {
        let of = |name: &str| self.sources.iter().find(|s| s.name == name).and_then(|s| s.watermark_after_us);
        plan.sources.iter().map(|source| of(&source.name)).collect()
    }

    /// The least watermark of the sources that have an event time; `None` as long as one of them has no watermark.
    #[must_use]
    pub fn watermark_us(&self, plan: &Plan) -> Option<i64> {
        let with_time =
            plan.sources.iter().zip(self.watermarks_us(plan)).filter(|(source, _)| source.event_time.is_some());
        with_time.map(|(_, watermark_us)| watermark_us).min().flatten()
    }

    /// Names the manifest: `epoch 42, which Weir 0.3.0 wrote`.
    #[must_use]
    pub fn named(&self) -> String {
        let by = self.writer.version.as_ref().map_or(String::new(), |version| format!(", which Weir {version} wrote"));
        format!("epoch {}{by}", self.epoch)
    }

    /// Whether the state action with this token was done, by this claim or an earlier one.
    #[must_use]
    pub fn has_done(&self, token: &str) -> bool {
        self.state_action.as_ref().is_some_and(|done| done.token == token)
            || self.tokens_done.contains(&token_digest(token))
    }
}

/// Something that later versions of Weir write in this format, and that a reader must not ignore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    pub name: String,
    /// The first version of Weir that knows it.
    pub since: String,
}

/// A `spec.stateAction` that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActedUpon {
    pub token: String,
    /// The epoch whose end was restored; `None` if the state was discarded.
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
    /// Random, drawn once per process. It tells a lost answer from a lost race.
    pub nonce: String,
    /// The namespace of the pipeline on its cluster. `None` if the pipeline never ran on a cluster, or only under an
    /// operator that did not name the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The version of Weir; `None` in manifests of version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

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

/// What closes windows that no record would close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MovedBy {
    /// All partitions were quiet for a long time.
    Clock,
    /// The run is over.
    EndOfRun,
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

/// What one task of the data plane contributes. There is one task now; scale-out adds more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    pub id: u32,
    /// A half-open range of key groups.
    pub key_groups: (u16, u16),
    /// The state files that, merged, are the keyed state after this epoch. Oldest first.
    pub state: Vec<StateFile>,
    /// The epoch for which this writer began a compaction that is still writing files. No manifest names these files
    /// yet, and a later one may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compacting: Option<Epoch>,
    /// The progress of each step that has state, by name.
    pub steps: Vec<StepProgress>,
    /// Rows behind a window that could not be computed, by step: they were dropped or went to the step's output
    /// `Rejected`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rows_bad: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateFile {
    /// The file's path, relative to the checkpoint's root.
    pub path: String,
    pub bytes: u64,
    pub rows: u64,
    pub crc32: u32,
    /// The tables of steps that have entries in the file. Once it is below the horizons of all of them, nobody needs
    /// the file any more.
    pub tables: Vec<TableInFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableInFile {
    pub step: String,
    pub table: String,
    /// The greatest time of an entry; `None` if entries have no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_time_us: Option<i64>,
}

impl StateFile {
    /// The name in the file's path; `None` if Weir did not give it.
    #[must_use]
    pub fn name(&self) -> Option<StateName> {
        StateName::parse(self.path.rsplit('/').next()?)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepProgress {
    pub name: String,
    /// The step's inputs, in the document's order.
    pub inputs: Vec<InputProgress>,
    pub rows_out: u64,
    /// The tables that the step keeps after this epoch.
    pub tables: Vec<TableProgress>,
    /// How many windows are open after this epoch, if the step has windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_windows: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InputProgress {
    pub watermark_before_us: Option<i64>,
    pub watermark_after_us: Option<i64>,
    /// Rows of this epoch, including late ones.
    pub rows_in: u64,
    /// Rows among these that the step took no part of, because they came behind its watermark.
    pub rows_late: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableProgress {
    pub name: String,
    pub entries: u64,
    /// The time below which entries are closed for good. It never falls, whatever happens to the document.
    pub horizon_us: Option<i64>,
}

impl StepProgress {
    /// The step's state once the epoch is over and no new rows have come.
    #[must_use]
    pub fn at_rest(&self) -> Self {
        let at_rest = |input: &InputProgress| InputProgress {
            watermark_before_us: input.watermark_after_us,
            watermark_after_us: input.watermark_after_us,
            ..InputProgress::default()
        };
        Self { inputs: self.inputs.iter().map(at_rest).collect(), rows_out: 0, ..self.clone() }
    }

    /// Rows that came in, over all inputs.
    #[must_use]
    pub fn rows_in(&self) -> u64 {
        self.inputs.iter().map(|input| input.rows_in).sum()
    }

    /// Late rows, over all inputs.
    #[must_use]
    pub fn rows_late(&self) -> u64 {
        self.inputs.iter().map(|input| input.rows_late).sum()
    }

    /// Entries, over all tables.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.tables.iter().map(|table| table.entries).sum()
    }
}

/// What one sink commits for this epoch. A sink without rows has no committable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Committable {
    pub sink: String,
    pub rows: u64,
    pub payload: Payload,
}

/// What a sink commits, in a form that only the sink's kind reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payload {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(flatten)]
    pub body: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PinnedSink {
    /// The sink's name in the document.
    pub name: String,
    /// The sink's kind.
    #[serde(rename = "type")]
    pub kind: String,
    pub place: String,
    /// Distinguishes the sink from any other that was ever at this place.
    pub id: String,
}

/// An epoch that a sink has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcknowledgedEpoch {
    pub sink: String,
    pub id: String,
    pub epoch: Epoch,
    /// The mark of the manifest that decided the epoch; the sink has the same mark.
    pub mark: u32,
}

/// An epoch of a former lineage that a sink has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcknowledgedBefore {
    /// The generation whose claim began that lineage.
    pub begun: Generation,
    #[serde(flatten)]
    pub acknowledged: AcknowledgedEpoch,
}

/// Where an AvailableNow run ends: the end offsets, as they were found once at its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Until {
    /// Names the run. Another run gets other ends, and a finished run is not repeated. `None` for a run without a name.
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
    /// The end of the range, exclusive.
    pub end: i64,
}

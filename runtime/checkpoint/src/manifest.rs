//! The manifest: everything that is decided about one epoch, in one immutable object. `docs/formats/manifest-v2.md`
//! describes it field by field; `runtime/fixtures/manifest-v2.json` is one that every later version must read. Version
//! 1 is read, too (`v1.rs`).
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

/// One epoch, decided. A claim (a manifest that a starting writer creates) has the same shape and takes in no data: it
/// carries what its predecessor decided, so that the newest manifest alone says where to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub format: String,
    /// What a reader must know beside this format, or it takes something for less than it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    pub lineage: String,
    pub epoch: Epoch,
    pub kind: Kind,
    pub writer: Writer,
    /// The one reading of the clock that this epoch goes by.
    pub clock_us: i64,
    /// What the plan means for saved state; `weir_plan::compat`.
    pub fingerprint: serde_json::Value,
    /// In a claim: the last data epoch, whose sinks may not have acknowledged it yet. The claiming writer commits it
    /// before anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_doubt: Option<Epoch>,
    pub sources: Vec<SourceProgress>,
    pub tasks: Vec<Task>,
    pub committables: Vec<Committable>,
    /// The identity of each sink, as the first manifest pinned it.
    pub sinks: Vec<PinnedSink>,
    /// Of each sink that ever got rows in this lineage, the newest epoch that it had when this manifest, or the epoch
    /// in doubt, was decided. A sink that holds less at a start was put back from an old copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acknowledged: Vec<AcknowledgedEpoch>,
    /// The same of sinks that got none in this lineage so far, and did in a former one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acknowledged_before: Vec<AcknowledgedBefore>,
    /// Of an AvailableNow run: where it ends. Kept until it has got there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// The last state action that was done: by this claim, if it begins a lineage, or by one before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_action: Option<ActedUpon>,
    /// What stands for the tokens of all state actions that were done ([`token_digest`]), oldest first: each acts once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens_done: Vec<String>,
    /// Over all epochs of the checkpoint, this one included.
    pub totals: Totals,
}

/// What a checkpoint remembers of a state action's token: sixteen hexadecimal digits, so that a thousand of them are no
/// burden.
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

    /// The least of those of sources with an event time; none as long as one of them has none.
    #[must_use]
    pub fn watermark_us(&self, plan: &Plan) -> Option<i64> {
        let with_time =
            plan.sources.iter().zip(self.watermarks_us(plan)).filter(|(source, _)| source.event_time.is_some());
        with_time.map(|(_, watermark_us)| watermark_us).min().flatten()
    }

    /// `epoch 42, which Weir 0.3.0 wrote`.
    #[must_use]
    pub fn named(&self) -> String {
        let by = self.writer.version.as_ref().map_or(String::new(), |version| format!(", which Weir {version} wrote"));
        format!("epoch {}{by}", self.epoch)
    }

    /// Whether the state action of this token was done, by this claim or by one before it.
    #[must_use]
    pub fn has_done(&self, token: &str) -> bool {
        self.state_action.as_ref().is_some_and(|done| done.token == token)
            || self.tokens_done.contains(&token_digest(token))
    }
}

/// Something that later versions of Weir write in this format, and that must not be passed over.
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
    /// The namespace of the pipeline on its cluster; none of one that never ran on a cluster, or only under an operator
    /// that did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Of Weir; none of those that wrote version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
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
    /// Why the watermark did not move although the records say so, if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<HeldBy>,
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
    /// Of these, the ranges whose batches Kafka has and nobody can read, in order: nothing was read there, as the
    /// source's `badRecords` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<OffsetRange>,
    /// The greatest event time decoded minus the delay, after this epoch; `None` if nothing was ever decoded.
    pub watermark_us: Option<i64>,
    /// Does not hold the source's watermark at the end of this epoch.
    pub idle: bool,
    /// The epoch of the leader that wrote what lies before `end`, where that is known (KIP-320): a later reader has its
    /// leader say whether the log was cut since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_epoch: Option<i32>,
}

impl PartitionProgress {
    /// Offsets that were lost in this epoch. Not all of them need have been records: transactions and compaction leave
    /// holes.
    #[must_use]
    pub fn lost_count(&self) -> u64 {
        count(&self.lost)
    }

    /// Offsets of this epoch that could not be read, of which some need not have been records either.
    #[must_use]
    pub fn unreadable_count(&self) -> u64 {
        count(&self.unreadable)
    }
}

fn count(ranges: &[OffsetRange]) -> u64 {
    ranges.iter().map(|range| range.end.abs_diff(range.start)).sum()
}

/// Not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OffsetRange {
    pub start: i64,
    /// Exclusive.
    pub end: i64,
}

/// What keeps a watermark where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeldBy {
    /// The brokers had not said recently enough that there is no new partition, or one was found: its records may be
    /// older.
    Discovery,
}

/// What closes windows that no record would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MovedBy {
    /// All partitions were quiet for long.
    Clock,
    /// The run is over.
    EndOfRun,
}

/// read = decoded + tombstones + dropped + rejected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceCounts {
    pub read: u64,
    /// Taken in: every step before the first window could be evaluated.
    pub decoded: u64,
    /// Records without a value that were passed over, as the source's `tombstones` says.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tombstones: u64,
    /// Left out by policy.
    pub dropped: u64,
    /// Handed to the output `Rejected`.
    pub rejected: u64,
    /// Of the decoded ones, those that a `where` left out, over all maps before the first window.
    pub filtered: u64,
    pub bytes: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks
pub(super) fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Where `badRecords.maxPerMillion` is in its count: records since it began anew, and how many of them were bad.
/// Offsets that can't be read count as bad records.
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
    /// Files of a compaction that this writer began for that epoch are being written: no manifest names them yet, and a
    /// later one may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compacting: Option<Epoch>,
    /// Per step with a state, by name.
    pub steps: Vec<StepProgress>,
    /// Rows behind a window that could not be computed, by step: dropped, or gone to its output `Rejected`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rows_bad: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateFile {
    /// Relative to the checkpoint's root.
    pub path: String,
    pub bytes: u64,
    pub rows: u64,
    pub crc32: u32,
    /// The tables of steps that have entries in it. Below the horizons of all of them, the file has nothing left to
    /// say.
    pub tables: Vec<TableInFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableInFile {
    pub step: String,
    pub table: String,
    /// No entry has a greater time; none where entries have no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_time_us: Option<i64>,
}

impl StateFile {
    /// What its path says; `None` if we did not name it.
    #[must_use]
    pub fn name(&self) -> Option<StateName> {
        StateName::parse(self.path.rsplit('/').next()?)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepProgress {
    pub name: String,
    /// In the document's order.
    pub inputs: Vec<InputProgress>,
    pub rows_out: u64,
    /// What it keeps after this epoch.
    pub tables: Vec<TableProgress>,
    /// Of a step with windows: those that are open after this epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_windows: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InputProgress {
    pub watermark_before_us: Option<i64>,
    pub watermark_after_us: Option<i64>,
    /// Rows of this epoch, late ones included.
    pub rows_in: u64,
    /// Of these, those that the step took no part of, since they came behind its watermark.
    pub rows_late: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableProgress {
    pub name: String,
    pub entries: u64,
    /// Entries with a time below it are over, for good: it never falls, whatever becomes of the document.
    pub horizon_us: Option<i64>,
}

impl StepProgress {
    /// Where it is once the epoch is over, with nothing that came to it since.
    #[must_use]
    pub fn at_rest(&self) -> Self {
        let at_rest = |input: &InputProgress| InputProgress {
            watermark_before_us: input.watermark_after_us,
            watermark_after_us: input.watermark_after_us,
            ..InputProgress::default()
        };
        Self { inputs: self.inputs.iter().map(at_rest).collect(), rows_out: 0, ..self.clone() }
    }

    /// Over all inputs.
    #[must_use]
    pub fn rows_in(&self) -> u64 {
        self.inputs.iter().map(|input| input.rows_in).sum()
    }

    /// Over all inputs.
    #[must_use]
    pub fn rows_late(&self) -> u64 {
        self.inputs.iter().map(|input| input.rows_late).sum()
    }

    /// Over all tables.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.tables.iter().map(|table| table.entries).sum()
    }
}

/// What one sink is to commit for this epoch. No rows, no committable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Committable {
    pub sink: String,
    pub rows: u64,
    pub payload: Payload,
}

/// What is to be committed, in the words of the sink's kind, which alone reads them.
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
    /// In the document.
    pub name: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: String,
    pub place: String,
    /// Tells it from any other one that was ever at this place.
    pub id: String,
}

/// An epoch that a sink has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcknowledgedEpoch {
    pub sink: String,
    pub id: String,
    pub epoch: Epoch,
    /// Stands for the manifest that decided it; the sink has the same.
    pub mark: u32,
}

/// An epoch of a former lineage that a sink has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcknowledgedBefore {
    /// The generation whose claim began that lineage.
    pub begun: Generation,
    #[serde(flatten)]
    pub acknowledged: AcknowledgedEpoch,
}

/// Where an AvailableNow run ends: the end offsets as they were found, once, at its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Until {
    /// Names the run: another run takes other ends, and the same one is not done again. None for a run that nobody
    /// named.
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

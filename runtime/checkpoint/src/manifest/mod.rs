//! The manifest: everything that is decided about one epoch, in one immutable object. `docs/formats/manifest-v2.md`
//! describes it field by field. `runtime/fixtures/manifest-v2.json` is an example that every later version must read.
//! Weir also reads version 1 (`v1.rs`).
//!
//! Times are integers, microseconds since 1970-01-01T00:00:00Z. Offset ranges are half-open: `[start, end)`.

mod sinks;
mod sources;
mod tasks;
mod totals;

use serde::{Deserialize, Serialize};
use weir_plan::Plan;
use weir_plan::ids::{Epoch, Generation};
use xxhash_rust::xxh3::xxh3_64;

pub use self::sinks::{AcknowledgedBefore, AcknowledgedEpoch, Committable, Payload, PinnedSink};
pub use self::sources::{BadShare, HeldBy, MovedBy, OffsetRange, PartitionProgress, SourceCounts, SourceProgress};
pub use self::tasks::{InputProgress, StateFile, StepProgress, TableInFile, TableProgress, Task};
pub use self::totals::{SourceTotals, StepTotals, Totals};

/// The `format` of this version.
pub(crate) const MANIFEST_V2: &str = "weir.manifest/v2";

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

//! The sinks: which they are, what they commit, and what they have acknowledged.

use serde::{Deserialize, Serialize};
use weir_plan::ids::{Epoch, Generation};

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

//! What the operator reports of a pipeline. Figures are integers and times are texts, so that equal statuses are equal
//! JSON.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of a pipeline. Only the operator writes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The generation of the spec that this status is about; -1 before the operator has looked at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Validated, DataFlowing, WatermarkAdvancing, Suspended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Pods that run now.
    #[serde(default)]
    pub replicas: i32,
    /// The pods' label selector, for the scale subresource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// What the pods run: an accepted document, and an image that stays until it is changed on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// How far the pipeline has progressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The current or last run of an AvailableNow pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// How often the runtime had to restart, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<Restarts>,
    /// The newest `spec.stateAction.token` that was acted upon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_action_token: Option<String>,
}

/// What the pods run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Runtime {
    /// The image that the pods run. It changes only on purpose.
    pub image: String,
    /// The name of the ControllerRevision that holds the accepted document.
    pub revision: String,
    /// The generation of the spec that the revision came from.
    pub generation: i64,
}

/// How far the pipeline has progressed, as its runtime last reported.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Records that arrived per second, over the last epoch.
    #[serde(default)]
    pub input_rows_per_second: i64,
    /// Records processed per second of work, over the last epoch.
    #[serde(default)]
    pub processed_rows_per_second: i64,
    /// Records between the last read offsets and the ends of the partitions.
    #[serde(default)]
    pub lag: i64,
    /// The event time up to which windows are closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Time>,
    /// When the watermark was last seen to move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark_moved_at: Option<Time>,
    /// The partition that holds the watermark back, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark_held_by: Option<WatermarkHold>,
    /// The partition that has waited longest for the schema of its next record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for_schema: Option<SchemaWait>,
    /// Windows that are still open, over all steps.
    #[serde(default)]
    pub open_windows: i64,
    /// Bytes of the state files in the checkpoint.
    #[serde(default)]
    pub state_bytes: i64,
    /// The last committed epoch.
    #[serde(default)]
    pub last_epoch: i64,
    /// When the last epoch was committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_commit: Option<Time>,
    /// The versions of the tables that the last commits created.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["sink"]))]
    pub tables: Vec<TableVersion>,
    /// Records without a value that were skipped, as the source's `tombstones` says, since the checkpoint began.
    #[serde(default)]
    pub tombstones: i64,
    /// Records that could not be read and went to the `Rejected` output or were dropped, since the checkpoint began.
    #[serde(default)]
    pub dead_letters: i64,
    /// Rows that came after their window had closed, since the checkpoint began.
    #[serde(default)]
    pub late_rows: i64,
}

/// What holds the watermark back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatermarkHold {
    /// The source in the document.
    pub source: String,
    /// The Kafka topic.
    pub topic: String,
    /// The Kafka partition.
    pub partition: i32,
    /// OpenTransaction: a transaction is still open there. LeaderSilent: the partition has been quiet for long, and its
    /// leader does not confirm that there is nothing to read. NotReadYet: nothing of it was read yet.
    /// WaitsForSchema: its next record waits for its schema. Slowest: its records are the oldest. Newer runtimes may
    /// add words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// A partition that is not read further until the schema of its next record is known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaWait {
    /// The source in the document.
    pub source: String,
    /// The Kafka topic.
    pub topic: String,
    /// The Kafka partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// The schema's id.
    pub schema_id: String,
    /// Since when the partition waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// How many partitions wait for a schema.
    pub partitions: i64,
}

/// A table that a sink writes to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableVersion {
    /// The sink in the document.
    pub sink: String,
    /// The version of the Delta table.
    pub version: i64,
}

/// A run of an AvailableNow pipeline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The run's id: the spec's `runToken`, or when it was due by its `schedule`, as in 20261121T0200Z. None before the
    /// first run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When the run started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When the run had read everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    /// When the next run is due; in the past while it waits for this run to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Time>,
    /// The schedule of the runs so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Runs due up to this time have been started, or will not be made up for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_until: Option<Time>,
    /// The newest `spec.trigger.runToken` that started a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Restarts of the runtime's container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restarts {
    /// Restarts in the current pod.
    pub count: i32,
    /// What the runtime said when it last ended, or what Kubernetes says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reason: Option<String>,
    /// When it last ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_time: Option<Time>,
}

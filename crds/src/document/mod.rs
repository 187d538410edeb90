//! `StreamPipeline` as its author writes it: the name and type of every field, but not what the fields mean.
//!
//! The shape is final: it also has the fields whose feature is still to be built, and lowering refuses them with their
//! path. Blocks whose inner shape is still open are an [`Open`] mapping. `kubectl explain` and editors show the
//! comments on fields; the table of all fields is in `docs/reference/document.md`.
// The fields' comments are plain text: brackets in them are neither links nor HTML.
#![allow(rustdoc::broken_intra_doc_links, rustdoc::invalid_html_tags, rustdoc::bare_urls)]

mod connection;
mod duration;
mod format;
mod http;
mod pod;
mod quantity;
mod rules;
mod schema;
mod sink;
mod source;
mod step;
mod storage;
mod table;
pub(crate) mod unions;

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use rules::{EXACTLY_ONE, FOLDER_ON_A_CLUSTER, rule, say_what_is_built};
use rules::{belongs_to, between, connections_are_there, different_names, exactly_one, no_folder, reads_what_is_there};
use schema::{Image, Name, ObjectName, OpenBlock, Schedule, SecretKey, Tag, Text, Token, Uri};

pub use connection::{Connection, KafkaConnection, Oauth, Sasl, SaslMechanism, SchemaRegistry, Tls, Username};
pub use duration::Duration;
pub use format::{
    AvroFormat, CsvFormat, Encoding, Envelope, Format, JsonFormat, ProtobufFormat, RawEncoding, RawFormat, RawKind,
    Registry, SourceColumn, TimestampNumbers,
};
pub(crate) use http::TOKEN_WITHOUT_TLS;
pub use http::{Http, HttpTls};
pub use pod::{EnvVar, NetworkPolicy, NetworkPolicyMode, PodTemplate, Resources};
pub use quantity::Quantity;
pub(crate) use sink::SINK_FOLDERS;
pub use sink::{
    ConsoleSink, DeltaMaintenance, DeltaSink, Guarantee, KafkaSink, Mode, ParquetSink, SchemaEvolution, Sink,
};
pub(crate) use source::COLUMNS_ARE_REQUIRED;
pub use source::{
    Assignment, BadRecords, BadRecordsPolicy, EventTime, KafkaOffset, KafkaSource, MetadataColumn, MetadataField,
    OnLostOffsets, Position, Source, StartFrom, Tombstones,
};
pub(crate) use step::COLUMNS_ARE_ALL;
pub use step::{
    AddedColumn, Aggregate, AggregateColumn, Between, Calendar, CalendarUnit, Clock, Column, Cumulate, Deduplicate,
    Direction, Empties, Join, JoinKey, JoinType, Lookup, LookupKey, LookupType, Map, Nulls, Occurs, OnRow, OnTimer,
    OrderBy, Over, Pattern, PatternRow, Process, ProcessLimits, RangeFrame, RowsFrame, Rules, Session, SetTimer,
    Sliding, Sql, StateColumn, Step, Ties, Top, Tumbling, Union, Unnest, Window,
};
pub use storage::{S3Encryption, S3EncryptionType, S3Storage, Storage};
pub use table::{DeltaTable, Table, TopicTable};

/// The `apiVersion` of documents of this shape.
pub(crate) const API_VERSION: &str = "weir.dev/v1alpha1";
/// The `kind` of documents of this shape.
pub const KIND: &str = "StreamPipeline";

/// A block whose inner shape is still open: it takes any mapping.
pub type Open = BTreeMap<String, serde_json::Value>;

/// A block without fields: its presence says all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// A streaming pipeline: what is read, what is computed and what is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StreamPipeline {
    /// The version of the document's shape.
    #[schemars(extend("enum" = [API_VERSION]))]
    pub api_version: String,
    /// The kind of the document.
    #[schemars(extend("enum" = [KIND]))]
    pub kind: String,
    /// The pipeline's name and labels.
    pub metadata: Metadata,
    /// What the pipeline does.
    pub spec: Spec,
}

/// The metadata of any Kubernetes object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The pipeline's name: at most 50 lower-case letters, digits and hyphens.
    #[schemars(with = "Name")]
    pub name: String,
    /// A Kubernetes namespace. The pipeline's name is then namespace/name.
    pub namespace: Option<String>,
    /// Labels for people and tools; the pipeline does not depend on them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations for people and tools; the pipeline does not depend on them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What a pipeline does: its sources, steps and sinks, when it commits, and where it keeps its progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[kube(
    group = "weir.dev",
    version = "v1alpha1",
    kind = "StreamPipeline",
    root = "StreamPipelineSchema",
    namespaced,
    status = "crate::status::Status",
    shortname = "spl",
    category = "weir"
)]
#[schemars(extend("x-kubernetes-validations" = [
    different_names("sources", "steps"),
    different_names("sources", "sinks"),
    different_names("steps", "sinks"),
    connections_are_there(),
    reads_what_is_there("steps", "map"),
    reads_what_is_there("steps", "aggregate"),
    reads_what_is_there("sinks", ""),
]))]
pub struct Spec {
    /// When an epoch is closed and its results are committed. By default as soon as the last epoch is committed and
    /// there is something new.
    pub trigger: Option<Trigger>,
    /// Where the pipeline keeps its progress and state. No two pipelines share a checkpoint.
    pub checkpoint: Checkpoint,
    /// How to reach object stores, by prefixes of URIs; the longest matching prefix wins. Without an entry, the pod's
    /// environment decides. At most 64.
    #[serde(default)]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["uriPrefix"]))]
    pub storage: Vec<Storage>,
    /// Servers that sources, sinks and formats refer to by name. At most 64.
    #[serde(default)]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub connections: Vec<Connection>,
    /// Not supported yet. Tables that lookup steps refer to by name. At most 64.
    #[serde(default)]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub tables: Vec<Table>,
    /// What the pipeline reads. 1 to 64.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub sources: Vec<Source>,
    /// What the pipeline computes: a graph of steps that read sources and each other by name. At most 64, in any order.
    #[serde(default)]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub steps: Vec<Step>,
    /// What the pipeline writes. An epoch commits to all sinks or to none. 1 to 64.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub sinks: Vec<Sink>,
    /// The limits of one epoch.
    pub limits: Option<Limits>,
    /// The time zone for dates, for formatting and for timestamps without one. Always UTC for now.
    #[schemars(with = "Option<Text>")]
    pub time_zone: Option<String>,
    /// Whether to run no pods. The state stays, and the pipeline resumes from it later. By default false.
    pub suspend: Option<bool>,
    /// Not supported yet. How many pods share the work, depending on the load.
    #[schemars(with = "Option<OpenBlock>")]
    pub autoscale: Option<Open>,
    /// How the HTTP port of the pods is guarded. By default only by the network policy.
    pub http: Option<Http>,
    /// Who may reach the HTTP port of the pods.
    pub network_policy: Option<NetworkPolicy>,
    /// Not supported yet. The local volume for state that does not fit into memory.
    #[schemars(with = "Option<OpenBlock>")]
    pub scratch: Option<Open>,
    /// How many pods share the work: 0 or 1, until pipelines can use several. By default 1. 0 suspends the pipeline.
    #[schemars(range(min = 0, max = 1))]
    pub replicas: Option<i64>,
    /// CPU and memory of the runtime's container. By default the operator's.
    pub resources: Option<Resources>,
    /// The container image of the runtime, in place of the operator's default: registry.example.com/weir:0.1.0
    #[schemars(with = "Option<Image>")]
    pub image: Option<String>,
    /// The version of the runtime: 0.1.0. By default the version that first started the pipeline; upgrading the
    /// operator does not change it.
    #[schemars(with = "Option<Tag>")]
    pub runtime_version: Option<String>,
    /// Additions to the pods that the operator creates: labels, placement, environment.
    pub pod_template: Option<PodTemplate>,
    /// What deleting the pipeline does to its checkpoint. Retain (the default): nothing. DeleteCheckpoint: deletes it.
    /// Tables always stay.
    pub deletion_policy: Option<DeletionPolicy>,
    /// Discards the saved state or returns to an earlier one, once per token: for changes that the state does not fit,
    /// or to repeat a part.
    pub state_action: Option<StateAction>,
}

/// When an epoch is closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "self.type != 'Interval' || has(self.interval)",
        "",
        "interval is required for the type `Interval`: write a duration such as 5s",
    ),
    belongs_to("interval", "type", "Interval", None),
    belongs_to("onEnd", "type", "AvailableNow", None),
    belongs_to("schedule", "type", "AvailableNow", None),
    belongs_to("runToken", "type", "AvailableNow", None),
]))]
pub struct Trigger {
    /// AsSoonAsPossible: when the last epoch is committed and there is something new. Interval: at a fixed interval.
    /// AvailableNow: the run reads what is there when it starts, then ends. Continuous: not supported yet.
    #[serde(rename = "type")]
    pub kind: TriggerType,
    /// The time between epochs for the type Interval, which requires it: a duration from 1ms to 24h, such as 5s
    #[schemars(extend("x-kubernetes-validations" = [between("1ms", "24h")]))]
    pub interval: Option<Duration>,
    /// For the type AvailableNow: what happens to open windows at the end of a run. KeepOpen (the default): the next
    /// run continues them. EmitAll: they are closed and written, and later rows for them are late.
    pub on_end: Option<OnEnd>,
    /// For the type AvailableNow: when a run starts, as in cron, in UTC: minute, hour, day, month, weekday. Every night
    /// at two: 0 2 * * *
    #[schemars(with = "Option<Schedule>")]
    pub schedule: Option<String>,
    /// For the type AvailableNow: each new token starts a run, once the last one is done: run-7
    #[schemars(with = "Option<Token>")]
    pub run_token: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TriggerType {
    AsSoonAsPossible,
    Interval,
    AvailableNow,
    Continuous,
}

/// What happens to open windows when an AvailableNow run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnEnd {
    KeepOpen,
    EmitAll,
}

/// Where the pipeline keeps its progress and state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    /// The checkpoint's own folder, outside of all tables: s3://lake/checkpoints/rides. It can't be changed later.
    #[schemars(with = "Uri", extend("x-kubernetes-validations" = [no_folder(), rule("self == \
        oldSelf", "", CHECKPOINT_STAYS)]))]
    pub uri: String,
    /// How many manifests garbage collection keeps, 2 to 10000. By default 10.
    #[schemars(range(min = 2, max = 10_000))]
    pub keep: Option<i64>,
    /// After how many epochs the whole state is written again, 1 to 10000. By default 32.
    #[schemars(range(min = 1, max = 10_000))]
    pub snapshot_every: Option<i64>,
    /// Not supported yet. The least time between two checkpoints, as a duration.
    pub min_pause: Option<Duration>,
    /// Not supported yet. The longest time that a checkpoint may take, as a duration.
    pub timeout: Option<Duration>,
}

const CHECKPOINT_STAYS: &str = "can't be changed, since the pipeline's progress and state lie there; to begin anew, \
                                create a pipeline under another name";

/// The order in which rows are processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Order {
    Arrival,
    EventTime,
}

/// A Secret. Its keys depend on what it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// A Secret in the pipeline's namespace.
    #[schemars(with = "ObjectName")]
    pub name: String,
}

/// One key of a Secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretKeyRef {
    /// A Secret in the pipeline's namespace.
    #[schemars(with = "ObjectName")]
    pub name: String,
    /// The Secret's key.
    #[schemars(with = "SecretKey")]
    pub key: String,
}

/// The limits of one epoch: the first that is reached closes the epoch early.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Records, 1 to 1000000000. By default 2000000.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub records_per_epoch: Option<i64>,
    /// Bytes of records, 1Ki to 64Gi. By default 512Mi.
    pub bytes_per_epoch: Option<Quantity>,
}

/// What deleting the resource does to its checkpoint. Tables always stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    Retain,
    DeleteCheckpoint,
}

/// A token, and exactly one of `discard` and `restore`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(unions::STATE_ACTIONS)]))]
pub struct StateAction {
    /// The action runs when the token differs from that of the last action: discard-1
    #[schemars(with = "Token")]
    pub token: String,
    /// Begins without state: open windows are lost, and the rows in tables stay.
    pub discard: Option<Discard>,
    /// Returns to the state and offsets of an earlier epoch. The rows that later epochs wrote stay in the tables and
    /// are written again.
    pub restore: Option<Restore>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Discard {
    /// Keep (the default): continues at the current offsets. StartFrom: starts where `startFrom` says, like a new
    /// pipeline; records that are read again are written to the tables again.
    pub offsets: Option<Offsets>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Offsets {
    Keep,
    StartFrom,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Restore {
    /// The epoch to whose end the pipeline returns. Its manifest must still exist: checkpoint.keep says how many are
    /// kept.
    #[schemars(range(min = 1))]
    pub epoch: i64,
}

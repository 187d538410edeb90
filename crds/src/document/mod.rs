//! `StreamPipeline` as its author writes it: names and types of every field, and nothing about what they mean.
//!
//! The shape is final: fields whose feature is still to be built are here too, and lowering refuses them with their path. Blocks whose inner
//! shape is still open are an [`Open`] mapping. `docs/reference/document.md` describes each field.

mod sink;
mod source;
mod step;
pub(crate) mod unions;

use std::collections::BTreeMap;
use std::fmt;

use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use sink::{DeltaMaintenance, DeltaSink, Mode, Output, SchemaEvolution, Sink};
pub use source::{
    Assignment, BadRecords, BadRecordsPolicy, EventTime, Format, JsonColumn, JsonFormat, KafkaOffset, KafkaSource, OnLostOffsets, Position,
    Source, StartFrom, TimestampNumbers,
};
pub use step::{Aggregate, AggregateColumn, Map, MapColumn, Session, Sliding, Step, Tumbling, Window};

/// The `apiVersion` of this shape.
pub const API_VERSION: &str = "weir.dev/v1alpha1";
/// Its `kind`.
pub const KIND: &str = "StreamPipeline";

/// A block whose inner shape is still open: any mapping.
pub type Open = BTreeMap<String, serde_json::Value>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StreamPipeline {
    pub api_version: String,
    pub kind: String,
    pub metadata: Metadata,
    pub spec: Spec,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    pub name: String,
    pub namespace: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[kube(
    group = "weir.dev",
    version = "v1alpha1",
    kind = "StreamPipeline",
    root = "StreamPipelineSchema",
    namespaced,
    status = "crate::resource::Status",
    shortname = "spl",
    category = "weir"
)]
pub struct Spec {
    pub trigger: Option<Trigger>,
    pub checkpoint: Checkpoint,
    #[serde(default)]
    pub storage: Vec<Storage>,
    #[serde(default)]
    pub connections: Vec<Connection>,
    pub sources: Vec<Source>,
    #[serde(default)]
    pub steps: Vec<Step>,
    pub sinks: Vec<Sink>,
    pub limits: Option<Limits>,
    pub time_zone: Option<String>,
    pub suspend: Option<bool>,
    pub replicas: Option<i64>,
    pub resources: Option<Open>,
    pub image: Option<String>,
    pub runtime_version: Option<String>,
    pub pod_template: Option<Open>,
    pub deletion_policy: Option<DeletionPolicy>,
    pub state_action: Option<StateAction>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trigger {
    #[serde(rename = "type")]
    pub kind: TriggerType,
    pub interval: Option<String>,
    pub on_end: Option<OnEnd>,
    pub schedule: Option<String>,
    pub run_token: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TriggerType {
    AsSoonAsPossible,
    Interval,
    AvailableNow,
    Continuous,
}

/// What becomes of open windows when an AvailableNow run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnEnd {
    KeepOpen,
    EmitAll,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    pub uri: String,
    pub keep: Option<i64>,
    pub snapshot_every: Option<i64>,
    pub min_pause: Option<String>,
    pub timeout: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Storage {
    pub uri_prefix: String,
    pub s3: Option<S3Storage>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct S3Storage {
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub force_path_style: Option<bool>,
    pub credentials_secret_ref: Option<SecretRef>,
    pub ca_secret_ref: Option<SecretKeyRef>,
    pub encryption: Option<S3Encryption>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct S3Encryption {
    #[serde(rename = "type")]
    pub kind: S3EncryptionType,
    pub key_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum S3EncryptionType {
    SseS3,
    SseKms,
}

/// A Secret, with keys that are fixed by what it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    pub name: String,
}

/// One key of a Secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretKeyRef {
    pub name: String,
    pub key: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Connection {
    pub name: String,
    pub kafka: Option<KafkaConnection>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaConnection {
    pub bootstrap_servers: String,
    pub sasl: Option<Sasl>,
    pub tls: Option<Tls>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sasl {
    pub mechanism: SaslMechanism,
    pub username: Username,
    pub password_secret_ref: SecretKeyRef,
}

/// Under Kafka's own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SaslMechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

/// Exactly one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Username {
    pub value: Option<String>,
    pub secret_ref: Option<SecretKeyRef>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    pub ca_secret_ref: Option<SecretKeyRef>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    pub records_per_epoch: Option<i64>,
    pub bytes_per_epoch: Option<Quantity>,
}

/// What deleting the resource does to its checkpoints. Tables are left alone always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    Retain,
    DeleteCheckpoint,
}

/// Acts once per token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StateAction {
    pub token: String,
    pub discard: Option<Open>,
    pub restore: Option<Open>,
}

/// A size as Kubernetes writes quantities, `128Mi` or a plain number, still as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity(pub String);

impl JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true})
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;
        impl Visitor<'_> for TextOrNumber {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 128Mi")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Quantity, E> {
                Ok(Quantity(bytes.to_string()))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Quantity, E> {
                Ok(Quantity(bytes.to_string()))
            }
        }
        deserializer.deserialize_any(TextOrNumber)
    }
}

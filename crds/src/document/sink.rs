//! Sinks: what is written where, and in which output mode.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Open, Quantity};

/// A name and exactly one kind of sink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sink {
    pub name: String,
    pub from: String,
    pub output: Option<Output>,
    pub mode: Option<Mode>,
    pub key: Option<Vec<String>>,
    pub delta: Option<DeltaSink>,
    pub kafka: Option<Open>,
    pub parquet: Option<Open>,
    pub console: Option<Open>,
}

/// Which of a node's outputs is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Output {
    Main,
    Late,
    Rejected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    Append,
    Update,
    Complete,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeltaSink {
    pub uri: String,
    pub partition_by: Option<Vec<String>>,
    pub target_file_size: Option<Quantity>,
    pub schema_evolution: Option<SchemaEvolution>,
    pub maintenance: Option<DeltaMaintenance>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SchemaEvolution {
    Refuse,
    AddColumns,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeltaMaintenance {
    /// Commits.
    pub checkpoint_every: Option<i64>,
    pub compact_every: Option<String>,
    pub vacuum_after: Option<String>,
}

//! Steps: a name and exactly one operation each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Open;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    pub name: String,
    pub map: Option<Map>,
    pub aggregate: Option<Aggregate>,
    pub union: Option<Open>,
    pub join: Option<Open>,
    pub deduplicate: Option<Open>,
    pub unnest: Option<Open>,
    pub over: Option<Open>,
    pub process: Option<Open>,
    pub sql: Option<Open>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Map {
    pub from: String,
    #[serde(rename = "where")]
    pub filter: Option<String>,
    /// Left out: the input's columns as they are.
    pub columns: Option<Vec<MapColumn>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MapColumn {
    pub name: String,
    /// Left out: the input's column of that name.
    pub expr: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Aggregate {
    pub from: String,
    pub window: Option<Window>,
    pub group_by: Option<Vec<String>>,
    pub columns: Vec<AggregateColumn>,
}

/// Exactly one kind of window; `offset` shifts where windows begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    pub tumbling: Option<Tumbling>,
    pub sliding: Option<Sliding>,
    pub session: Option<Session>,
    pub cumulate: Option<Open>,
    pub calendar: Option<Open>,
    pub offset: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tumbling {
    pub size: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sliding {
    pub size: String,
    pub slide: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Session {
    pub gap: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AggregateColumn {
    pub name: String,
    pub expr: String,
    pub filter: Option<String>,
}

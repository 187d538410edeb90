//! Tables in which `lookup` steps look up rows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::exactly_one_later;
use super::schema::{Columns, Name, Topic, Uri};
use super::{Duration, Format, SourceColumn, unions};

/// A name and exactly one kind of table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one_later(unions::TABLE_KINDS)]))]
pub struct Table {
    /// The name by which lookup steps read it: at most 50 lower-case letters, digits and hyphens.
    #[schemars(with = "Name")]
    pub name: String,
    /// A Delta Lake table.
    pub delta: Option<DeltaTable>,
    /// A compacted topic of a Kafka cluster: each key's last record is a row.
    pub kafka: Option<TopicTable>,
    /// How the records' values become columns. For kafka only.
    pub format: Option<Format>,
    /// The columns in the record's key. For kafka only. At most 256.
    #[schemars(with = "Option<Columns>")]
    pub key: Option<Vec<String>>,
    /// The table's columns; the start compares them with the real table. 1 to 256.
    #[schemars(
        length(min = 1, max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub columns: Vec<SourceColumn>,
}

/// A Delta Lake table to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeltaTable {
    /// The table's place: s3://lake/customers
    #[schemars(with = "Uri")]
    pub uri: String,
    /// How often to look for a newer version, as a duration from 1s: 5m. If left out, the version at the start is kept.
    pub refresh_every: Option<Duration>,
}

/// A compacted topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopicTable {
    /// The name of one of spec.connections.
    #[schemars(with = "Name")]
    pub connection: String,
    /// The topic.
    #[schemars(with = "Topic")]
    pub topic: String,
}

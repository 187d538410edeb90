//! Sinks: what is written to which place, and in which output mode.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rules::{belongs_to, between, exactly_one, no_folder, rule};
use super::schema::{Column as ColumnName, Columns, Expr, Name, Node, Topic, Uri};
use super::{AddedColumn, Duration, Encoding, Quantity, unions};
use crate::finding::Path;

/// A name and exactly one kind of sink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    exactly_one(unions::SINK_KINDS),
    belongs_to("key", "mode", "Update", Some("Append")),
    rule(
        "!has(self.mode) || self.mode != 'Update' || has(self.key)",
        "",
        "key is required for the mode `Update`: write the columns whose values tell one row of the result from another",
    ),
]))]
pub struct Sink {
    /// The sink's name: at most 50 lower-case letters, digits and hyphens. The table records the sink's progress under
    /// it.
    #[schemars(with = "Name")]
    pub name: String,
    /// The source or step whose rows are written, or one of its other outputs. revenue.Late, of a step with windows:
    /// rows whose window had closed. rides.Rejected, of a source with badRecords.policy Output: bad records; of a step
    /// with windows or behind one: rows that it could not compute.
    #[schemars(with = "Node")]
    pub from: String,
    /// Append (the default): each row is written once; rows of a window when it closes. Update: the changed rows of an
    /// aggregate without a window, by key. Complete: its whole result each time. (To a console only.)
    pub mode: Option<Mode>,
    /// For the mode Update: the columns that identify a row. At most 256.
    #[schemars(with = "Option<Columns>")]
    pub key: Option<Vec<String>>,
    /// Not supported yet. For the mode Update: a column of the table. A row with a smaller value than the table's never
    /// replaces the table's row.
    #[schemars(with = "Option<ColumnName>")]
    pub order_by: Option<String>,
    /// Not supported yet. For the mode Update: a SQL expression that gives a boolean. A row for which it is true
    /// deletes its key: _op = 'd'
    #[schemars(with = "Option<Expr>")]
    pub delete_when: Option<String>,
    /// Columns that are not written. At most 256.
    #[schemars(with = "Option<Columns>")]
    pub drop_columns: Option<Vec<String>>,
    /// ExactlyOnce (the default): each row once. AtLeastOnce (not supported yet): a row may be written twice after a
    /// failure.
    pub guarantee: Option<Guarantee>,
    /// A Delta Lake table.
    pub delta: Option<DeltaSink>,
    /// Not supported yet. A Kafka topic.
    pub kafka: Option<KafkaSink>,
    /// Not supported yet. Parquet files.
    pub parquet: Option<ParquetSink>,
    /// Standard output, for trying things: the first rows of each epoch.
    pub console: Option<ConsoleSink>,
}

/// A folder that a kind of sink writes to.
pub(crate) struct SinkFolder {
    /// The sink's member for this kind, and the member's field with the folder.
    kind: &'static str,
    field: &'static str,
    of: fn(&Sink) -> Option<&str>,
    /// Whether sinks of several pipelines may share the folder.
    pub is_shared: bool,
}

/// The folders of all kinds of sinks that write to one.
pub(crate) const SINK_FOLDERS: &[SinkFolder] =
    &[SinkFolder { kind: "delta", field: "uri", of: |sink| Some(&sink.delta.as_ref()?.uri), is_shared: true }];

impl SinkFolder {
    /// The path of the folder's field, for the sink at `sink`.
    pub fn path(&self, sink: &Path) -> Path {
        sink.field(self.kind).field(self.field)
    }

    /// The folder in a sink that is not validated yet.
    pub fn in_raw<'a>(&self, sink: &'a Value) -> Option<&'a str> {
        sink.get(self.kind)?.get(self.field)?.as_str()
    }
}

impl Sink {
    /// The folders that the sink writes to, with their URIs.
    pub(crate) fn folders(&self) -> impl Iterator<Item = (&'static SinkFolder, &str)> {
        SINK_FOLDERS.iter().filter_map(|folder| Some((folder, (folder.of)(self)?)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Guarantee {
    ExactlyOnce,
    AtLeastOnce,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    Append,
    Update,
    Complete,
}

/// A Delta Lake table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeltaSink {
    /// The table's place: s3://lake/silver/rides. The table is created if it is absent.
    #[schemars(with = "Uri", extend("x-kubernetes-validations" = [no_folder()]))]
    pub uri: String,
    /// Columns whose values become folders: [date]. At most 16, and not all of them. If left out, the table has no
    /// partitions.
    #[schemars(with = "Option<Columns>", length(max = 16))]
    pub partition_by: Option<Vec<String>>,
    /// The size at which a data file is complete, 1Ki to 16Gi. By default 128Mi.
    pub target_file_size: Option<Quantity>,
    /// What to do if the table lacks a column. Refuse (the default): stop. AddColumns (not supported yet): add it.
    pub schema_evolution: Option<SchemaEvolution>,
    /// Maintenance of the table besides commits: checkpoints of its log, compaction of small files, deletion of old
    /// files.
    pub maintenance: Option<DeltaMaintenance>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SchemaEvolution {
    Refuse,
    AddColumns,
}

/// The maintenance of a table besides commits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeltaMaintenance {
    /// How many commits lie between two checkpoints of the table's log, 1 to 10000. By default 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub checkpoint_every: Option<i64>,
    /// The time from one compaction of small files to the next, as a duration of at least 1m. If left out, there is
    /// none.
    #[schemars(extend("x-kubernetes-validations" = [between("1m", "99999h")]))]
    pub compact_every: Option<Duration>,
    /// The age at which files that the table no longer contains are deleted, as a duration: at least 1h, and more than
    /// the longest outage that readers and writers must survive. If left out, none is deleted.
    #[schemars(extend("x-kubernetes-validations" = [between("1h", "99999h")]))]
    pub vacuum_after: Option<Duration>,
}

/// A Kafka topic that the sink writes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaSink {
    /// The name of one of spec.connections.
    #[schemars(with = "Name")]
    pub connection: String,
    /// The topic.
    #[schemars(with = "Topic")]
    pub topic: String,
    /// How to make the record's key. Exactly one of json, avro and raw. If left out, records have no key.
    pub record_key: Option<Encoding>,
    /// How to make the record's value. Exactly one of json, avro and raw.
    pub value: Encoding,
    /// Headers of the record. At most 64.
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub headers: Option<Vec<AddedColumn>>,
}

/// A folder of Parquet files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParquetSink {
    /// The folder: s3://lake/exports/rides
    #[schemars(with = "Uri", extend("x-kubernetes-validations" = [no_folder()]))]
    pub uri: String,
    /// Columns whose values become folders: [date]. At most 16, and not all of them. If left out, there are none.
    #[schemars(with = "Option<Columns>", length(max = 16))]
    pub partition_by: Option<Vec<String>>,
    /// The size at which a file is complete, 1Ki to 16Gi. By default 128Mi.
    pub target_file_size: Option<Quantity>,
}

/// The first rows of each epoch on standard output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsoleSink {
    /// How many rows of an epoch are shown, 1 to 1000. By default 20.
    #[schemars(range(min = 1, max = 1000))]
    pub rows: Option<i64>,
    /// After how many characters values are cut, 1 to 10000. By default 20.
    #[schemars(range(min = 1, max = 10_000))]
    pub truncate: Option<i64>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn the_folder_of_a_sink_is_the_one_that_its_path_names() {
        for folder in SINK_FOLDERS {
            let written = json!({"name": "a", "from": "b", folder.kind: {folder.field: "s3://lake/a"}});
            assert_eq!(folder.in_raw(&written), Some("s3://lake/a"));
            let sink: Sink = serde_json::from_value(written).unwrap();
            let found: Vec<_> =
                sink.folders().map(|(folder, uri)| (folder.path(&Path::root()).to_string(), uri)).collect();
            assert_eq!(found, [(format!("{}.{}", folder.kind, folder.field), "s3://lake/a")]);
        }
    }
}

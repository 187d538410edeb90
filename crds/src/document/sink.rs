//! Sinks: what is written where, and in which output mode.

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
    /// The sink's name, which its progress in the table belongs to: at most 50 lower-case letters, digits and hyphens.
    #[schemars(with = "Name")]
    pub name: String,
    /// The source or step whose rows are written, and which of its outputs, where it is not the rows themselves:
    /// revenue.Late, of a step with windows: rows whose window had closed. rides.Rejected, of a source with
    /// badRecords.policy Output: records that could not be taken in; of a step with windows or behind one: rows that it
    /// could not compute.
    #[schemars(with = "Node")]
    pub from: String,
    /// Append (the default): rows are written once, windows when they close. Update (not supported yet): rows that
    /// changed, by key. Complete (not supported yet): the whole result anew.
    pub mode: Option<Mode>,
    /// Not supported yet. Of the mode Update: the columns that tell one row from another. At most 256.
    #[schemars(with = "Option<Columns>")]
    pub key: Option<Vec<String>>,
    /// Not supported yet. Of the mode Update: a column of the table. A row with a lesser value than the table's never
    /// replaces it.
    #[schemars(with = "Option<ColumnName>")]
    pub order_by: Option<String>,
    /// Not supported yet. Of the mode Update: a SQL expression that gives a boolean. A row for which it is true deletes
    /// its key: _op = 'd'
    #[schemars(with = "Option<Expr>")]
    pub delete_when: Option<String>,
    /// Columns that are not written. At most 256.
    #[schemars(with = "Option<Columns>")]
    pub drop_columns: Option<Vec<String>>,
    /// ExactlyOnce (the default): each row once. AtLeastOnce (not supported yet): a row may come twice after a failure.
    pub guarantee: Option<Guarantee>,
    /// A Delta Lake table.
    pub delta: Option<DeltaSink>,
    /// Not supported yet. A Kafka topic.
    pub kafka: Option<KafkaSink>,
    /// Not supported yet. Parquet files.
    pub parquet: Option<ParquetSink>,
    /// Not supported yet. The log of the pod.
    pub console: Option<ConsoleSink>,
}

/// A folder that sinks of a kind write to.
pub(crate) struct SinkFolder {
    /// The member of the sink, and its field.
    kind: &'static str,
    field: &'static str,
    of: fn(&Sink) -> Option<&str>,
    /// Whether sinks of several pipelines may have the same one.
    pub is_shared: bool,
}

/// Every kind that writes to a folder is here.
pub(crate) const SINK_FOLDERS: &[SinkFolder] =
    &[SinkFolder { kind: "delta", field: "uri", of: |sink| Some(&sink.delta.as_ref()?.uri), is_shared: true }];

impl SinkFolder {
    /// Of the sink that is at `sink`.
    pub fn path(&self, sink: &Path) -> Path {
        sink.field(self.kind).field(self.field)
    }

    /// Of a sink that may not be right elsewhere.
    pub fn in_raw<'a>(&self, sink: &'a Value) -> Option<&'a str> {
        sink.get(self.kind)?.get(self.field)?.as_str()
    }
}

impl Sink {
    /// The folders that it writes to, with their URIs.
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
    /// Where the table is: s3://lake/silver/rides. It is created if it is absent.
    #[schemars(with = "Uri", extend("x-kubernetes-validations" = [no_folder()]))]
    pub uri: String,
    /// Columns whose values become folders: [date]. At most 16, and not all of them. Left out, the table has no
    /// partitions.
    #[schemars(with = "Option<Columns>", length(max = 16))]
    pub partition_by: Option<Vec<String>>,
    /// The size at which a data file is complete, 1Ki to 16Gi. By default 128Mi.
    pub target_file_size: Option<Quantity>,
    /// What to do when the table lacks a column. Refuse (the default): stop. AddColumns (not supported yet): add it.
    pub schema_evolution: Option<SchemaEvolution>,
    /// What is done for the table beside its commits: checkpoints of its log, compaction of small files, deletion of
    /// old ones.
    pub maintenance: Option<DeltaMaintenance>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SchemaEvolution {
    Refuse,
    AddColumns,
}

/// What is done for a table beside its commits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeltaMaintenance {
    /// Commits from one checkpoint of the table's log to the next, 1 to 10000. By default 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub checkpoint_every: Option<i64>,
    /// The time from one compaction of small files to the next, as a duration: 1m at least. Left out, none is
    /// compacted.
    #[schemars(extend("x-kubernetes-validations" = [between("1m", "99999h")]))]
    pub compact_every: Option<Duration>,
    /// The age at which files that the table no longer has are deleted, as a duration: 1h at least, and more than the
    /// longest outage that readers and writers are to survive. Left out, none is deleted.
    #[schemars(extend("x-kubernetes-validations" = [between("1h", "99999h")]))]
    pub vacuum_after: Option<Duration>,
}

/// A Kafka topic that is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaSink {
    /// The name of one of spec.connections.
    #[schemars(with = "Name")]
    pub connection: String,
    /// The topic.
    #[schemars(with = "Topic")]
    pub topic: String,
    /// How the record's key is made. Exactly one of json, avro and raw. Left out, records have none.
    pub record_key: Option<Encoding>,
    /// How the record's value is made. Exactly one of json, avro and raw.
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
    /// Columns whose values become folders: [date]. At most 16, and not all of them. Left out, there are none.
    #[schemars(with = "Option<Columns>", length(max = 16))]
    pub partition_by: Option<Vec<String>>,
    /// The size at which a file is complete, 1Ki to 16Gi. By default 128Mi.
    pub target_file_size: Option<Quantity>,
}

/// The log of the pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsoleSink {
    /// How many rows of an epoch are shown, 1 to 1000. By default 20.
    #[schemars(range(min = 1, max = 1000))]
    pub rows: Option<i64>,
    /// After how many characters a value is cut, 1 to 10000. By default 20.
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

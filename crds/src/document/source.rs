//! Sources: what is read, how it is decoded, and where the rows' event time comes from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{between, exactly_one, rule};
use super::schema::{Column, Columns, Expr, GroupId, Name, Partition, Text, Timestamp, Topic};
use super::{Duration, Empty, Envelope, Format, SourceColumn, unions};

/// A name and exactly one kind of source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    exactly_one(unions::SOURCE_KINDS),
    rule("has(self.columns) || has(self.format.raw)", "", COLUMNS_ARE_REQUIRED),
]))]
pub struct Source {
    /// The name by which steps and sinks read it: at most 50 lower-case letters, digits and hyphens.
    #[schemars(with = "Name")]
    pub name: String,
    /// Topics of a Kafka cluster.
    pub kafka: Option<KafkaSource>,
    /// How a record's value is encoded. Exactly one of json, raw, csv, avro and protobuf.
    pub format: Format,
    /// Not supported yet. What a record means for its row. Plain (the default): it is the row. Debezium: a change, of
    /// which the row after it is read, or the row before it for a delete. Upsert: the row of its key, or, without a
    /// value, the row's deletion.
    pub envelope: Option<Envelope>,
    /// Not supported yet. For the envelope Upsert: how a record's key is encoded.
    pub key_format: Option<Format>,
    /// Not supported yet. For the envelope Upsert: the columns in a record's key. At most 256.
    #[schemars(with = "Option<Columns>")]
    pub key: Option<Vec<String>>,
    /// The reader's schema: the fields to read from each record, by name. Required except for raw. 1 to 256.
    #[schemars(
        length(min = 1, max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub columns: Option<Vec<SourceColumn>>,
    /// How to get a row's event time, which windows use, and how long to wait for late rows. Without it there are no
    /// windows.
    pub event_time: Option<EventTime>,
    /// Not supported yet. The number of records of this source after which an epoch is closed early.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_records_per_epoch: Option<i64>,
    /// What happens to a record that can't be taken in.
    pub bad_records: Option<BadRecords>,
    /// What a record without a value means; a compacted topic deletes a key with one. Bad (the default): the record
    /// can't be taken in. Skip: it is skipped and counted.
    pub tombstones: Option<Tombstones>,
}

pub(crate) const COLUMNS_ARE_REQUIRED: &str =
    "columns are required: what is read of each record, as in [{name: city, type: string}]";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Tombstones {
    Skip,
    Bad,
}

/// Exactly one of `topics`, `topicPattern` and `assign`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(unions::TOPICS)]))]
pub struct KafkaSource {
    /// The name of one of spec.connections.
    #[schemars(with = "Name")]
    pub connection: String,
    /// Topics, by name: [rides, rides-v2]. 1 to 64.
    #[schemars(with = "Option<Vec<Topic>>", length(min = 1, max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub topics: Option<Vec<String>>,
    /// A regular expression that must match a topic's whole name; it also finds later topics, but never internal ones
    /// (__…): rides-.*
    #[schemars(with = "Option<Text>")]
    pub topic_pattern: Option<String>,
    /// Certain partitions of certain topics. 1 to 64 topics.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["topic"]))]
    pub assign: Option<Vec<Assignment>>,
    /// Where the first start of the pipeline begins to read; later starts continue from the checkpoint. By default at
    /// Latest.
    pub start_from: Option<StartFrom>,
    /// What to do when the broker no longer has the next offset. Fail (the default) stops; Earliest and Latest continue
    /// at the oldest or newest record. Every gap is counted.
    pub on_lost_offsets: Option<OnLostOffsets>,
    /// The Kafka consumer group whose offsets show the lag in Kafka's tools; the pipeline's progress is in the
    /// checkpoint. By default weir-<namespace>-<name>, from the pipeline.
    #[schemars(with = "Option<GroupId>")]
    pub group_id: Option<String>,
    /// Columns with metadata of the record, after the columns of its format: [{name: kafka_offset, field: Offset}]. 1
    /// to 8.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub metadata_columns: Option<Vec<MetadataColumn>>,
}

/// What Kafka knows of a record besides its value, as a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetadataColumn {
    /// The column's name.
    #[schemars(with = "Column")]
    pub name: String,
    /// Key and Value: binary. Topic: string. Partition: int. Offset: bigint. Timestamp: timestamp. TimestampType: int,
    /// 0 for the producer's time, 1 for the broker's, -1 for none. Headers: array<struct<key: string, value: binary>>.
    pub field: MetadataField,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MetadataField {
    Key,
    Value,
    Topic,
    Partition,
    Offset,
    Timestamp,
    TimestampType,
    Headers,
}

/// Partitions of one topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Assignment {
    /// The topic.
    #[schemars(with = "Topic")]
    pub topic: String,
    /// The partitions' numbers: [0, 1]. 1 to 256.
    #[schemars(with = "Vec<Partition>", length(min = 1, max = 256), extend("x-kubernetes-list-type" = "set"))]
    pub partitions: Vec<i64>,
}

/// Exactly one of `position`, `timestamp` and `offsets`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(unions::START)]))]
pub struct StartFrom {
    /// Earliest: all records that still exist. Latest: only records that arrive from now on.
    pub position: Option<Position>,
    /// The first record of each partition at or after a time, in RFC 3339; the partition's end if there is none:
    /// 2026-01-01T00:00:00Z
    #[schemars(with = "Option<Timestamp>")]
    pub timestamp: Option<String>,
    /// The first offset to read of every partition that exists at the first start. 1 to 256.
    #[schemars(length(min = 1, max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["topic", "partition"]))]
    pub offsets: Option<Vec<KafkaOffset>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Position {
    Earliest,
    Latest,
}

/// Where to begin in one partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaOffset {
    /// The topic.
    #[schemars(with = "Topic")]
    pub topic: String,
    /// The partition's number.
    #[schemars(with = "Partition")]
    pub partition: i64,
    /// The first offset to read.
    #[schemars(range(min = 0))]
    pub offset: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnLostOffsets {
    Fail,
    Earliest,
    Latest,
}

/// Exactly one of `expr`, `kafkaTimestamp` and `processingTime`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    exactly_one(unions::CLOCKS),
    rule(
        "!has(self.expr) || has(self.watermarkDelay)",
        "",
        "watermarkDelay is required: how long to wait for rows that come late, as 10m where rows are up \
         to ten minutes late",
    ),
]))]
pub struct EventTime {
    /// A SQL expression over the decoded columns that gives a timestamp: ts
    #[schemars(with = "Option<Expr>")]
    pub expr: Option<String>,
    /// The timestamp that Kafka has for the record: {}
    pub kafka_timestamp: Option<Empty>,
    /// The clock when the record is read: {} Nothing else may be set beside it.
    pub processing_time: Option<Empty>,
    /// How long to wait for late rows, as a duration: 10m. It delays results by as much, so it is required with expr.
    /// By default 0s with kafkaTimestamp.
    #[schemars(extend("x-kubernetes-validations" = [between("0s", "99999h")]))]
    pub watermark_delay: Option<Duration>,
    /// How far ahead of the clock a row may be before it is bad, as a duration. By default 1h.
    #[schemars(extend("x-kubernetes-validations" = [between("0s", "99999h")]))]
    pub max_future: Option<Duration>,
    /// How long after its end was reached a partition stops holding back the watermark, as a duration from 1s. By
    /// default 1m.
    #[schemars(extend("x-kubernetes-validations" = [between("1s", "99999h")]))]
    pub idle_after: Option<Duration>,
    /// How far partitions may be ahead of the slowest one in event time before they wait for it, as a duration from 1s.
    /// This bounds how many windows are open in a replay. By default there is no limit.
    #[schemars(extend("x-kubernetes-validations" = [between("1s", "99999h")]))]
    pub max_skew: Option<Duration>,
    /// Closes the last windows of a quiet topic by the clock: those that ended this long ago, once no record has come
    /// for as long, as a duration from 1s. Later rows for them are late. By default they stay open.
    #[schemars(extend("x-kubernetes-validations" = [between("1s", "99999h")]))]
    pub close_idle_windows_after: Option<Duration>,
}

/// What happens to a bad record: it can't be read, a step fails on it, or its event time is null or in the future.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BadRecords {
    /// Fail (the default): the pipeline stops and names the record. Drop: the record is dropped and counted. Output: it
    /// goes to the source's output Rejected, which needs a sink. Rows that can't be computed when a window closes are
    /// treated the same way.
    pub policy: BadRecordsPolicy,
    /// How many of a million records may be bad before the pipeline stops. By default there is no limit. For Drop and
    /// Output.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max_per_million: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BadRecordsPolicy {
    Fail,
    Drop,
    Output,
}

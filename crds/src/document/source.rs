//! Sources: what is read, how it is decoded, and what its rows' event time is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Open;

/// A name and exactly one kind of source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    pub name: String,
    pub kafka: Option<KafkaSource>,
    pub format: Format,
    pub event_time: Option<EventTime>,
    pub group_id: Option<String>,
    pub max_records_per_epoch: Option<i64>,
    pub bad_records: Option<BadRecords>,
}

/// Exactly one of `topics`, `topicPattern` and `assign`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaSource {
    pub connection: String,
    pub topics: Option<Vec<String>>,
    pub topic_pattern: Option<String>,
    pub assign: Option<Vec<Assignment>>,
    pub start_from: Option<StartFrom>,
    pub on_lost_offsets: Option<OnLostOffsets>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Assignment {
    pub topic: String,
    pub partitions: Vec<i64>,
}

/// Exactly one of the three.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartFrom {
    pub position: Option<Position>,
    pub timestamp: Option<String>,
    pub offsets: Option<Vec<KafkaOffset>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Position {
    Earliest,
    Latest,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaOffset {
    pub topic: String,
    pub partition: i64,
    pub offset: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnLostOffsets {
    Fail,
    Earliest,
    Latest,
}

/// Exactly one kind of format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Format {
    pub json: Option<JsonFormat>,
    pub raw: Option<Open>,
    pub avro: Option<Open>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JsonFormat {
    pub columns: Vec<JsonColumn>,
    pub timestamp_numbers: Option<TimestampNumbers>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JsonColumn {
    pub name: String,
    /// Spark's DDL name: `bigint`, `array<struct<a: int>>`.
    #[serde(rename = "type")]
    pub data_type: String,
    pub required: Option<bool>,
}

/// What a number in a `timestamp` column means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TimestampNumbers {
    Refuse,
    EpochMillis,
}

/// Exactly one of `expr`, `kafkaTimestamp` and `processingTime`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventTime {
    pub expr: Option<String>,
    pub kafka_timestamp: Option<Open>,
    pub processing_time: Option<Open>,
    pub watermark_delay: Option<String>,
    pub max_future: Option<String>,
    pub idle_after: Option<String>,
    pub max_skew: Option<String>,
    pub close_idle_windows_after: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BadRecords {
    pub policy: BadRecordsPolicy,
    pub max_per_million: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BadRecordsPolicy {
    Fail,
    Drop,
    Output,
}

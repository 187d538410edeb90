//! Sources: what is read of Kafka, how its records are encoded, and the event time of their rows.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;

use crate::expr::ScalarExpr;
use crate::ids::TopicPartition;
use crate::metadata::MetadataColumn;
use crate::topics::Topics;
use crate::types::Column;

#[derive(Debug, Clone)]
pub struct Source {
    pub name: String,
    pub kafka: KafkaSource,
    /// The reader's schema: the fields of a record that become columns, whatever the format.
    pub columns: Vec<Column>,
    pub format: Format,
    pub metadata_columns: Vec<MetadataColumn>,
    pub bad_records: BadRecords,
    pub tombstones: Tombstones,
    pub event_time: Option<EventTime>,
    /// `columns` in the document's order, the metadata columns, then `_event_time` if there is an event time.
    pub schema: SchemaRef,
}

#[derive(Debug, Clone)]
pub struct KafkaSource {
    pub bootstrap_servers: String,
    pub topics: Topics,
    pub group_id: String,
    pub start_from: StartFrom,
    pub on_lost_offsets: OnLostOffsets,
}

/// Where a pipeline that has no checkpoint begins to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartFrom {
    Earliest,
    Latest,
    /// The first record at or after a time, in milliseconds since 1970-01-01T00:00:00Z, as Kafka counts them; the end
    /// where there is none.
    Timestamp {
        at_ms: i64,
    },
    /// The first offset to read of every partition.
    Offsets(BTreeMap<TopicPartition, i64>),
}

/// What to do when the broker no longer has the offset that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLostOffsets {
    Fail,
    Earliest,
    Latest,
}

/// How a record's value is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json(JsonFormat),
}

/// A JSON object per record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonFormat {
    /// What a number in a `timestamp` column means.
    pub timestamp_numbers: TimestampNumbers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampNumbers {
    /// A number where a timestamp should be is a bad record.
    Refuse,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    EpochMillis,
}

/// What becomes of records that can't be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadRecords {
    pub policy: BadRecordsPolicy,
    /// The pipeline stops when more than so many of a million are bad.
    pub max_per_million: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadRecordsPolicy {
    /// The pipeline stops with the record's coordinates.
    Fail,
    /// The record is dropped and counted.
    Drop,
    /// The record leaves by the source's output `Rejected`.
    Output,
}

/// What a record without a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tombstones {
    /// It says that its key is gone: it is passed over and counted.
    Skip,
    /// A record that can't be taken in.
    Bad,
}

#[derive(Debug, Clone)]
pub struct EventTime {
    pub expr: ScalarExpr,
    /// Microseconds that the watermark stays behind the greatest event time.
    pub watermark_delay_us: i64,
    /// A partition whose end was reached this long ago, in microseconds, no longer holds the watermark.
    pub idle_after_us: i64,
    /// A row that is further ahead of the epoch's clock, in microseconds, is bad.
    pub max_future_us: i64,
    /// Partitions further ahead of the slowest one, in microseconds of event time, wait for it.
    pub max_skew_us: Option<i64>,
    /// Windows that ended so long ago by the clock, in microseconds, are closed once no record has come for as long.
    pub close_idle_windows_after_us: Option<i64>,
}

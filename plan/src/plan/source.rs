//! Sources: what is read from Kafka, how records are encoded, and the event time of the rows.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;

use crate::expr::ScalarExpr;
use crate::ids::TopicPartition;
use crate::metadata::{MetadataColumn, MetadataField};
use crate::plan::KafkaConnection;
use crate::topics::Topics;
use crate::types::{Column, EVENT_TIME};

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
    /// The schema of the rows: `columns` in the document's order, then the metadata columns, then `_event_time` if
    /// there is an event time.
    pub schema: SchemaRef,
}

impl Source {
    /// What is read of a record besides its value: the metadata columns, and then the event time if Kafka gives it.
    pub fn read_metadata(&self) -> impl Iterator<Item = MetadataColumn> {
        let time = MetadataColumn { name: EVENT_TIME.to_owned(), field: MetadataField::Timestamp };
        self.metadata_columns.iter().cloned().chain(self.is_timed_by_kafka().then_some(time))
    }

    /// Whether a row's event time is the timestamp that Kafka has for the record.
    #[must_use]
    pub fn is_timed_by_kafka(&self) -> bool {
        self.event_time.as_ref().is_some_and(|of| matches!(of.clock, Clock::KafkaTimestamp))
    }

    /// Whether a row's time is the clock's when the row is read.
    #[must_use]
    pub fn is_timed_by_clock(&self) -> bool {
        self.event_time.as_ref().is_some_and(|of| matches!(of.clock, Clock::ProcessingTime))
    }
}

#[derive(Debug, Clone)]
pub struct KafkaSource {
    pub connection: KafkaConnection,
    pub topics: Topics,
    pub group_id: String,
    pub start_from: StartFrom,
    pub on_lost_offsets: OnLostOffsets,
}

impl KafkaSource {
    /// The consumer group for which the source publishes its offsets: the brokers that keep it, and its name.
    #[must_use]
    pub fn group(&self) -> (&str, &str) {
        (&self.connection.bootstrap_servers, &self.group_id)
    }
}

/// Where a pipeline without a checkpoint starts to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartFrom {
    Earliest,
    Latest,
    /// The first record at or after a time, in milliseconds since 1970-01-01T00:00:00Z as Kafka counts them; the end if
    /// there is no such record.
    Timestamp {
        at_ms: i64,
    },
    /// The first offset to read, for every partition.
    Offsets(BTreeMap<TopicPartition, i64>),
}

/// What to do if the broker no longer has the next offset to read.
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
    /// The meaning of a number in a `timestamp` column.
    pub timestamp_numbers: TimestampNumbers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampNumbers {
    /// None: a number in place of a timestamp makes the record bad.
    Refuse,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    EpochMillis,
}

/// What happens to records that can't be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadRecords {
    pub policy: BadRecordsPolicy,
    /// The pipeline stops if more than this many records in a million are bad.
    pub max_per_million: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadRecordsPolicy {
    /// The pipeline stops and names the record's coordinates.
    Fail,
    /// The record is dropped and counted.
    Drop,
    /// The record goes to the source's output `Rejected`.
    Output,
}

/// The meaning of a record without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tombstones {
    /// Its key was deleted. The record is skipped and counted.
    Skip,
    /// A bad record.
    Bad,
}

/// What gives a row its event time.
#[derive(Debug, Clone)]
pub enum Clock {
    /// An expression over the source's columns.
    Expr(ScalarExpr),
    /// The timestamp that Kafka has for the record.
    KafkaTimestamp,
    /// The clock of the machine that reads the row: one reading per epoch. The source's watermark is the clock too, so
    /// no delay and no limit has a meaning.
    ProcessingTime,
}

#[derive(Debug, Clone)]
pub struct EventTime {
    pub clock: Clock,
    /// How far the watermark stays behind the greatest event time, in microseconds.
    pub watermark_delay_us: i64,
    /// How long after its end was reached a partition stops holding back the watermark, in microseconds.
    pub idle_after_us: i64,
    /// How far a row may be ahead of the epoch's clock, in microseconds. A row further ahead is bad.
    pub max_future_us: i64,
    /// How far a partition may be ahead of the slowest one, in microseconds of event time. Partitions further ahead
    /// wait.
    pub max_skew_us: Option<i64>,
    /// Windows that ended this long ago by the clock are closed once no record has come for this long, in microseconds.
    pub close_idle_windows_after_us: Option<i64>,
}

//! The validated plan: the document with every default filled in, every reference resolved and every expression compiled.
//!
//! A `Plan` that exists is right: lowering (in `weir-crds`) refuses anything else, with the path to the field.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;

use crate::aggregate::Aggregate;
use crate::expr::ScalarExpr;
use crate::ids::{Epoch, TopicPartition};
use crate::metadata::MetadataColumn;
use crate::outputs::Output;
use crate::topics::Topics;
use crate::types::{Column, EVENT_TIME};

/// A pipeline that can be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `namespace/name`, or the name alone when the document has no namespace.
    pub pipeline: String,
    pub trigger: Trigger,
    pub on_end: OnEnd,
    pub checkpoint: Checkpoint,
    pub storage: Vec<Storage>,
    pub limits: Limits,
    pub state_action: Option<StateAction>,
    pub sources: Vec<Source>,
    /// In topological order: a step comes after everything that it reads.
    pub steps: Vec<Step>,
    pub sinks: Vec<Sink>,
}

impl Plan {
    /// The schema of what `input` produces, `_event_time` included (last) when the rows have one.
    #[must_use]
    pub fn schema_of(&self, input: Input) -> &SchemaRef {
        match input {
            Input::Source(i) => &self.sources[i].schema,
            Input::Step(i) => &self.steps[i].schema,
        }
    }

    /// The name of the node that `input` points at.
    #[must_use]
    pub fn name_of(&self, input: Input) -> &str {
        match input {
            Input::Source(i) => &self.sources[i].name,
            Input::Step(i) => &self.steps[i].name,
        }
    }

    /// The source that `input` leads back to.
    #[must_use]
    pub fn source_of(&self, mut input: Input) -> usize {
        loop {
            match input {
                Input::Source(i) => return i,
                Input::Step(i) => input = self.steps[i].input(),
            }
        }
    }

    /// The storage settings for a URI: the longest prefix wins. Prefixes count by whole path segments, so that `s3://lake` is no prefix
    /// of `s3://lake2/x`.
    #[must_use]
    pub fn storage_for(&self, uri: &str) -> Option<&Storage> {
        let reaches =
            |prefix: &str| uri.strip_prefix(prefix.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.storage.iter().filter(|s| reaches(&s.uri_prefix)).max_by_key(|s| s.uri_prefix.len())
    }
}

/// What a person wants done with the saved state, once per token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateAction {
    pub token: String,
    pub kind: StateActionKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateActionKind {
    /// Begins without state.
    Discard { offsets: Offsets },
    /// Goes back to what was decided with this epoch.
    Restore { epoch: Epoch },
}

/// Where reading goes on when the state is discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offsets {
    /// Where it was.
    Keep,
    /// Where a new pipeline would.
    StartFrom,
}

/// When an epoch is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The next epoch is closed as soon as the last one is committed and there is something new.
    AsSoonAsPossible,
    /// Epochs are closed on a fixed beat, counted from the start of the last one.
    Interval(Duration),
    /// Reads to the end offsets found at the start, then ends.
    AvailableNow,
}

/// What becomes of open windows when an AvailableNow run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnEnd {
    /// The next run goes on with them.
    KeepOpen,
    /// They are closed and written.
    EmitAll,
}

#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// `s3://bucket/prefix` or `file:///path`, without a slash at the end.
    pub uri: String,
    /// How many manifests garbage collection leaves.
    pub keep: u32,
    /// State is written anew as a whole after this many epochs of changes.
    pub snapshot_every: u32,
}

/// How URIs with a prefix are reached.
#[derive(Debug, Clone)]
pub struct Storage {
    pub uri_prefix: String,
    pub s3: S3,
}

#[derive(Debug, Clone, Default)]
pub struct S3 {
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub force_path_style: bool,
    /// A Secret with the keys `accessKeyId` and `secretAccessKey` (and `sessionToken`, if temporary); none: the environment's usual chain.
    pub credentials_secret: Option<String>,
}

/// Bounds on one epoch, whichever is met first closes it early.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub records_per_epoch: u64,
    pub bytes_per_epoch: u64,
}

/// What a step or a sink reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Input {
    /// Index into [`Plan::sources`].
    Source(usize),
    /// Index into [`Plan::steps`].
    Step(usize),
}

#[derive(Debug, Clone)]
pub struct Source {
    pub name: String,
    pub kafka: KafkaSource,
    pub format: JsonFormat,
    pub metadata_columns: Vec<MetadataColumn>,
    pub bad_records: BadRecords,
    pub event_time: Option<EventTime>,
    /// The format's columns in the document's order, the metadata columns, then `_event_time` if there is an event time.
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
    /// The first record at or after a time, in milliseconds since 1970-01-01T00:00:00Z, as Kafka counts them; the end where there is none.
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

/// A JSON object per record.
#[derive(Debug, Clone)]
pub struct JsonFormat {
    pub columns: Vec<Column>,
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

#[derive(Debug, Clone)]
pub struct Step {
    pub name: String,
    pub op: StepOp,
    /// Columns in the document's order, then `_event_time` if rows have one.
    pub schema: SchemaRef,
}

impl Step {
    #[must_use]
    pub fn input(&self) -> Input {
        match &self.op {
            StepOp::Map(m) => m.input,
            StepOp::Aggregate(a) => a.input,
        }
    }
}

#[derive(Debug, Clone)]
pub enum StepOp {
    Map(Map),
    Aggregate(Arc<Aggregate>),
}

/// Filters and computes columns, row by row.
#[derive(Debug, Clone)]
pub struct Map {
    pub input: Input,
    pub filter: Option<ScalarExpr>,
    /// One expression per output column, in the step's schema order, `_event_time` not included: it is passed on.
    pub columns: Vec<ScalarExpr>,
}

#[derive(Debug, Clone)]
pub struct Sink {
    pub name: String,
    pub input: Input,
    pub output: Output,
    pub delta: DeltaSink,
    /// What is written: of `Main`, the input's columns without `_event_time`; else as [`crate::outputs`] has it.
    pub schema: SchemaRef,
}

#[derive(Debug, Clone)]
pub struct DeltaSink {
    pub uri: String,
    pub partition_by: Vec<String>,
    pub target_file_size_bytes: u64,
    pub maintenance: Maintenance,
}

/// What is done for a table beside its commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maintenance {
    /// Commits from one checkpoint of the table's log to the next, at least 1.
    pub checkpoint_every: u32,
    /// The time from one compaction of small files to the next; `None` for none.
    pub compact_every: Option<Duration>,
    /// The age at which files that the table no longer has are deleted; `None` for never.
    pub vacuum_after: Option<Duration>,
}

/// Whether a schema's rows carry an event time.
#[must_use]
pub fn has_event_time(schema: &SchemaRef) -> bool {
    schema.fields().last().is_some_and(|f| f.name() == EVENT_TIME)
}

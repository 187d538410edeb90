//! Sinks: where rows are written.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;

use super::Input;
use crate::outputs::Output;

#[derive(Debug, Clone)]
pub struct Sink {
    pub name: String,
    pub input: Input,
    pub output: Output,
    pub kind: SinkKind,
    pub mode: Mode,
    /// The columns that the output gives: for `Main`, the input's columns without `_event_time`; for the others, see
    /// [`crate::outputs`].
    pub given: SchemaRef,
    /// The columns that are written, as ascending indices into `given`. `None`: all columns.
    pub keeps: Option<Arc<[usize]>>,
    /// The schema of the written columns.
    pub schema: SchemaRef,
}

impl Sink {
    /// The index in `given` of a written column.
    #[must_use]
    pub fn place_in_given(&self, written: usize) -> usize {
        self.keeps.as_ref().map_or(written, |keeps| keeps[written])
    }

    /// The place that the sink writes to: a URI, which no two sinks of a document share, or [`CONSOLE`].
    #[must_use]
    pub fn place(&self) -> &str {
        match &self.kind {
            SinkKind::Delta(delta) => &delta.uri,
            SinkKind::Console(_) => CONSOLE,
        }
    }
}

/// Which rows a sink gets, and what they are to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Each row once, when it is final.
    Append,
    /// The rows that an epoch has changed. A row replaces the one with equal values in the columns `key`, which are
    /// indices into the written columns.
    Update { key: Arc<[usize]> },
    /// In each epoch the whole result, which replaces the one before.
    Complete,
}

impl SinkKind {
    /// The columns whose values become folders.
    #[must_use]
    pub fn partition_by(&self) -> &[String] {
        match self {
            Self::Delta(delta) => &delta.partition_by,
            Self::Console(_) => &[],
        }
    }
}

/// The kind of place that rows are written to.
#[derive(Debug, Clone)]
pub enum SinkKind {
    Delta(DeltaSink),
    Console(ConsoleSink),
}

/// The place of all consoles.
pub const CONSOLE: &str = "console";

/// The form that Spark's progress reports use for a sink: `delta[s3://lake/silver]`.
impl fmt::Display for SinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delta(delta) => write!(f, "delta[{}]", delta.uri),
            Self::Console(_) => f.write_str(CONSOLE),
        }
    }
}

#[derive(Debug, Clone)]
pub struct DeltaSink {
    pub uri: String,
    pub partition_by: Vec<String>,
    pub target_file_size_bytes: u64,
    pub maintenance: Maintenance,
}

/// What a console shows of each epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsoleSink {
    /// How many rows.
    pub rows: usize,
    /// How many characters of a value.
    pub truncate: usize,
}

/// The maintenance of a table besides its commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maintenance {
    /// The number of commits from one checkpoint of the table's log to the next, at least 1.
    pub checkpoint_every: u32,
    /// The time from one compaction of small files to the next; `None`: no compaction.
    pub compact_every: Option<Duration>,
    /// The age at which files that the table no longer contains are deleted; `None`: never.
    pub vacuum_after: Option<Duration>,
}

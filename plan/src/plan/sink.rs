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
    /// What the output gives: of `Main`, the input's columns without `_event_time`; else as [`crate::outputs`] has it.
    pub given: SchemaRef,
    /// What is written of that: places in `given`, in order. `None`: all of it.
    pub keeps: Option<Arc<[usize]>>,
    /// The columns that are written.
    pub schema: SchemaRef,
}

impl Sink {
    /// Where a column that is written stands in what the output gives.
    #[must_use]
    pub fn place_in_given(&self, written: usize) -> usize {
        self.keeps.as_ref().map_or(written, |keeps| keeps[written])
    }

    /// The place that it writes to. No two sinks of a document have the same.
    #[must_use]
    pub fn uri(&self) -> &str {
        match &self.kind {
            SinkKind::Delta(delta) => &delta.uri,
        }
    }
}

impl SinkKind {
    /// The columns whose values become folders.
    #[must_use]
    pub fn partition_by(&self) -> &[String] {
        match self {
            Self::Delta(delta) => &delta.partition_by,
        }
    }
}

/// What rows are written to.
#[derive(Debug, Clone)]
pub enum SinkKind {
    Delta(DeltaSink),
}

/// As Spark describes a sink in its progress reports: `delta[s3://lake/silver]`.
impl fmt::Display for SinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delta(delta) => write!(f, "delta[{}]", delta.uri),
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

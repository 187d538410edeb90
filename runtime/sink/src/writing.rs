//! How the rows of an epoch get to a sink before it is decided. Apart from the sink itself, because one epoch is
//! written while the one before it is committed.

use arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use weir_base::VERSION;
use weir_base::failure::{Failure, Result};
use weir_plan::quote::quoted;

/// Begins the writers of a sink's epochs.
pub trait Writers: Send + Sync {
    /// A writer of the epoch that is open. Nothing is sent before its first rows.
    ///
    /// # Errors
    /// A bug.
    fn begin(&self, slot: &Slot) -> Result<Box<dyn EpochWriter>>;
}

/// What a writer is given for its epoch.
#[derive(Debug, Clone)]
pub struct Slot {
    /// For the names of files: lineage and generation.
    pub label: String,
    /// So much may a writer hold in memory, and with more it has to let go of some.
    pub buffer_bytes: u64,
}

/// Takes one epoch's rows. It retries by itself, and waits while its store is away. What was sent by one that is
/// dropped without `finish` is never committed.
pub trait EpochWriter: Send {
    /// Takes in rows of the sink's schema.
    ///
    /// # Errors
    /// `Data` if the sink can't hold them; `Retry` if its store was away for too long; `Config` if it refuses them.
    fn write<'a>(&'a mut self, rows: &'a RecordBatch) -> BoxFuture<'a, Result<()>>;

    /// Sends the rest. All of the epoch's rows are where a commit can refer to them when this returns.
    ///
    /// # Errors
    /// As [`Self::write`].
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Part>>;
}

/// What one writer gave for an epoch, in the words of the sink's kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub rows: u64,
    pub body: Value,
}

/// What all writers of an epoch gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Sealed {
    pub rows: u64,
    pub payload: Payload,
}

/// What is to be committed, in the words of the sink's kind, which alone reads them.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    pub kind: String,
    pub body: Map<String, Value>,
}

/// What a person is told of something in a manifest that only another version of Weir knows.
#[must_use]
pub fn unknown(what: &str, kind: &str) -> Failure {
    Failure::config(format!(
        "{what} {}, which this version of Weir, {VERSION}, does not know: run the version that wrote it",
        quoted(kind)
    ))
}

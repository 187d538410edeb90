//! How the rows of an epoch get to a sink before the epoch is decided. This is separate from the sink itself, because
//! one epoch is written while the one before it is committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use weir_base::VERSION;
use weir_base::failure::{Failure, Result};
use weir_plan::quote::quoted;

/// Begins the writers of a sink's epochs.
pub trait Writers: Send + Sync {
    /// Begins a writer of the open epoch. It sends nothing before its first rows.
    ///
    /// # Errors
    /// Only `Bug`.
    fn begin(&self, slot: &Slot) -> Result<Box<dyn EpochWriter>>;
}

/// What a sink's writers get for their epoch. Each sink has one of its own, since its writers share the buffer.
#[derive(Debug)]
pub struct Slot {
    /// The lineage and generation, for file names.
    pub label: String,
    /// How much the writers may hold in memory.
    pub buffer: Arc<Buffer>,
}

impl Slot {
    /// `buffer_bytes` is for all writers of the sink together.
    #[must_use]
    pub fn new(label: impl Into<String>, buffer_bytes: u64) -> Self {
        let buffer = Buffer { bytes: buffer_bytes, writers: AtomicU64::new(1) };
        Self { label: label.into(), buffer: Arc::new(buffer) }
    }
}

/// The most bytes that the open writers of a sink may hold in memory. All have the same share, which shrinks when
/// another writer is begun.
#[derive(Debug)]
pub struct Buffer {
    bytes: u64,
    writers: AtomicU64,
}

impl Buffer {
    /// From now on so many writers share the buffer.
    pub fn share_among(&self, writers: u64) {
        self.writers.store(writers.max(1), Ordering::Relaxed);
    }

    /// The bytes that each writer may hold now. Above it the writer must send some.
    #[must_use]
    pub fn share(&self) -> u64 {
        self.bytes / self.writers.load(Ordering::Relaxed)
    }
}

/// Takes one epoch's rows. It retries by itself, and waits while its store is away. If it is dropped without `finish`,
/// nothing that it sent is ever committed.
pub trait EpochWriter: Send {
    /// Takes rows of the sink's schema.
    ///
    /// # Errors
    /// `Data` if the sink can't hold them; `Retry` if its store was away for too long; `Config` if the store refuses
    /// them.
    fn write<'a>(&'a mut self, rows: &'a RecordBatch) -> BoxFuture<'a, Result<()>>;

    /// Sends the rest. When this returns, a commit can refer to all of the epoch's rows.
    ///
    /// # Errors
    /// See [`Self::write`].
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Part>>;
}

/// What one writer gave for an epoch, in a form of the sink's kind.
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

/// What a sink commits, in a form that only the sink's kind reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    pub kind: String,
    pub body: Map<String, Value>,
}

/// The failure for something in a manifest that only another version of Weir knows.
#[must_use]
pub fn unknown(what: &str, kind: &str) -> Failure {
    Failure::config(format!(
        "{what} {}, which this version of Weir, {VERSION}, does not know: run the version that wrote it",
        quoted(kind)
    ))
}

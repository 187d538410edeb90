//! What a sink was given, read back version by version: for whoever takes its rows on, each once.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;
use weir_base::failure::Result;

/// What the sink must hold.
#[derive(Debug, Clone)]
pub struct Expected {
    /// What its rows are, for messages: "dead letters".
    pub rows: &'static str,
    pub schema: SchemaRef,
}

/// From the first version (0 if not given) to and with the last (the newest one now, if not given: what comes meanwhile
/// is not read).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Versions {
    pub from: Option<i64>,
    pub to: Option<i64>,
}

/// A sink from which rows are taken. No row is handed out for a version that did not bring it.
pub trait ReadBack: Send {
    /// The last version that is read; before the first one if there is none to read.
    fn last_version(&self) -> i64;

    /// The next rows, with the version that brought them: in the order of versions, and of one version always in the
    /// same order. `None` after the last.
    ///
    /// # Errors
    /// `Config` for a version that can't be read any more; `Retry` when the store was away for too long.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<(i64, RecordBatch)>>>;
}

//! Reads back what a sink was given, version by version, for a reader that processes each row once.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;
use weir_base::failure::Result;

/// What the sink must hold.
#[derive(Debug, Clone)]
pub struct Expected {
    /// What the sink's rows are, for messages: "dead letters".
    pub rows: &'static str,
    pub schema: SchemaRef,
}

/// The versions from `from` (default 0) to `to` inclusive. The default of `to` is the newest version at this time, so
/// versions that come meanwhile are not read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Versions {
    pub from: Option<i64>,
    pub to: Option<i64>,
}

/// A sink whose rows are read back. No row is returned for a version that did not bring it.
pub trait ReadBack: Send {
    /// The last version that is read. It is below the first one if there is nothing to read.
    fn last_version(&self) -> i64;

    /// The next rows, with the version that brought them, ordered by version and within a version always in the same
    /// order. `None` after the last.
    ///
    /// # Errors
    /// `Config` for a version that can't be read any more; `Retry` if the store was away for too long.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<(i64, RecordBatch)>>>;
}

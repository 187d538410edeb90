//! Rows that a sink can't hold, although their columns have the right types. Such a row is bad, wherever it comes from.

use arrow::array::RecordBatch;

/// Judges rows that are to go to a sink.
pub trait Fitness: Send + Sync {
    /// Checks rows whose first columns are those that the sink gets.
    ///
    /// # Errors
    /// One sentence about one row that does not fit.
    fn check(&self, rows: &RecordBatch) -> Result<(), String>;
}

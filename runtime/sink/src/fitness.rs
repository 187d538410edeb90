//! What a sink can't hold, though its columns have the types for it: such a row is bad, wherever it comes from.

use arrow::array::RecordBatch;

/// A sink's word about rows that are to go to it.
pub trait Fitness: Send + Sync {
    /// Looks at rows whose first columns are those that the sink is given.
    ///
    /// # Errors
    /// One sentence about one row that does not fit.
    fn check(&self, rows: &RecordBatch) -> Result<(), String>;
}

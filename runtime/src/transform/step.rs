//! What a step without keys is to the rest.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;

/// A compiled step without keys: rows in, rows out.
pub trait RowStep: Send + Sync {
    /// Turns rows of the input into rows under the step's schema. It changes nothing: if it fails, the rows at fault
    /// are found by halving the batch.
    ///
    /// # Errors
    /// A sentence that names the column, if an expression fails on some row.
    fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch, String>;
}

/// Rows of this schema; without columns there is only their number.
pub(super) fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, String> {
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|e| e.to_string())
}

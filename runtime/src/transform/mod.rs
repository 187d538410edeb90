//! Steps without keys, batch by batch: what all other code sees of them is a [`RowStep`]. [`rows`] separates the rows
//! that can't be processed from the others.

pub(crate) mod map;
pub mod rows;
pub(crate) mod union;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;

/// A compiled step without keys: rows in, rows out.
pub trait RowStep: Send + Sync {
    /// Turns rows of an input into rows under the step's schema. Inputs are numbered in the order of the plan's
    /// [`Step::inputs`](weir_plan::plan::Step::inputs). It changes nothing: if it fails, the rows at fault are found by
    /// halving the batch.
    ///
    /// # Errors
    /// A sentence that names the column, if an expression fails on some row.
    fn apply(&self, input: usize, rows: &RecordBatch) -> Result<Applied, String>;
}

/// What a step without keys makes of rows.
pub struct Applied {
    pub rows: RecordBatch,
    /// Rows of the input that a map's `where` left out.
    pub filtered: u64,
}

/// Rows of this schema; without columns there is only their number.
pub(crate) fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, String> {
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|e| e.to_string())
}

/// The rows of a node as a sink is given them: all columns but the event time, under the sink's schema.
pub fn for_sink(schema: &SchemaRef, input: &RecordBatch) -> Result<RecordBatch, String> {
    batch(schema, input.columns()[..schema.fields().len()].to_vec(), input.num_rows())
}

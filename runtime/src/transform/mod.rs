//! Steps without keys, batch by batch: what all other code sees of them is a [`RowStep`]. [`rows`] separates the rows
//! that can't be processed from the others.

pub(crate) mod map;
pub mod rows;
pub(crate) mod union;
pub(crate) mod unnest;

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter, take};
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
    /// Which rows of the input they were made from.
    pub from: MadeFrom,
}

/// The rows of an input that a step's rows were made from, in the order of the step's rows.
pub enum MadeFrom {
    /// Each row of the input, once.
    Each,
    /// Those for which this is true. The others are filtered out.
    Where(BooleanArray),
    /// Those with these indices. A row may come several times.
    Rows(UInt32Array),
}

impl MadeFrom {
    /// How many rows of the input were filtered out.
    #[must_use]
    pub fn filtered(&self) -> u64 {
        match self {
            Self::Each | Self::Rows(_) => 0,
            Self::Where(kept) => (kept.len() - kept.true_count()) as u64,
        }
    }

    /// For each of the step's rows, the value of the row that it was made from.
    ///
    /// # Errors
    /// A sentence, if there is not one value per row of the input.
    pub fn pick(&self, values: &ArrayRef) -> Result<ArrayRef, String> {
        match self {
            Self::Each => return Ok(Arc::clone(values)),
            Self::Where(kept) => filter(values, kept),
            Self::Rows(rows) => take(values, rows, None),
        }
        .map_err(|e| format!("rows and what they were made from: {e}"))
    }
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

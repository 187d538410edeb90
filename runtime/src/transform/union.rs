//! A union: the rows of each input, with their columns in the order of the step's.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use weir_plan::plan::Union;

use super::{Applied, MadeFrom, RowStep, batch};

pub struct UnionStep {
    union: Union,
    /// The schema of its output.
    schema: SchemaRef,
}

impl UnionStep {
    #[must_use]
    pub fn new(union: Union, schema: SchemaRef) -> Self {
        Self { union, schema }
    }
}

impl RowStep for UnionStep {
    fn apply(&self, input: usize, rows: &RecordBatch) -> Result<Applied, String> {
        let columns = self.union.columns[input].iter().map(|column| Arc::clone(rows.column(*column))).collect();
        Ok(Applied { rows: batch(&self.schema, columns, rows.num_rows())?, from: MadeFrom::Each })
    }
}

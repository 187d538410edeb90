//! A map: filters rows and computes columns, row by row.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use weir_plan::plan::Map;
use weir_plan::quote::quoted;
use weir_plan::types::has_event_time;

use super::{Applied, MadeFrom, RowStep, batch};

pub struct MapStep {
    map: Map,
    /// The schema of its output.
    schema: SchemaRef,
}

impl MapStep {
    #[must_use]
    pub fn new(map: Map, schema: SchemaRef) -> Self {
        Self { map, schema }
    }
}

impl RowStep for MapStep {
    fn apply(&self, _: usize, rows: &RecordBatch) -> Result<Applied, String> {
        let (map, schema) = (&self.map, &self.schema);
        let (filtered, from);
        let input = match &map.filter {
            None => {
                from = MadeFrom::Each;
                rows
            }
            Some(filter) => {
                let mask = filter.evaluate(rows).map_err(|e| format!("where: {e}"))?;
                filtered =
                    filter_record_batch(rows, mask.as_boolean()).map_err(|e| format!("where ({}): {e}", filter.sql))?;
                from = MadeFrom::Where(mask.as_boolean().clone());
                &filtered
            }
        };
        let mut columns = Vec::with_capacity(schema.fields().len());
        for column in &map.columns {
            columns.push(column.evaluate(input).map_err(|e| format!("column {}: {e}", quoted(column.field.name())))?);
        }
        if has_event_time(schema) {
            columns.push(Arc::clone(input.column(input.num_columns() - 1)));
        }
        Ok(Applied { rows: batch(schema, columns, input.num_rows())?, from })
    }
}

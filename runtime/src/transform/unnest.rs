//! Unnest: one row for each element of an array.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use weir_plan::plan::Unnest;
use weir_plan::types::has_event_time;

use super::{Applied, MadeFrom, RowStep, batch};
use crate::sizes::bytes_of;

/// The most bytes that the rows of one batch, or of one row, may come to. A batch that comes to more is halved.
const BYTES_MAX: usize = 64 << 20;

pub struct UnnestStep {
    unnest: Unnest,
    /// The schema of its output.
    schema: SchemaRef,
}

/// Where the step's rows come from: the row of the input, the place among all elements, and the position in the array.
#[derive(Default)]
struct Places {
    rows: Vec<u32>,
    elements: Vec<Option<u32>>,
    positions: Vec<Option<i32>>,
}

impl UnnestStep {
    #[must_use]
    pub fn new(unnest: Unnest, schema: SchemaRef) -> Self {
        Self { unnest, schema }
    }

    fn places(&self, arrays: &ListArray) -> Result<Places, String> {
        let mut places = Places::default();
        for (row, bounds) in (0u32..).zip(arrays.value_offsets().windows(2)) {
            let elements = if arrays.is_null(row as usize) { bounds[0]..bounds[0] } else { bounds[0]..bounds[1] };
            if elements.is_empty() && self.unnest.keeps_empty {
                places.rows.push(row);
                places.elements.push(None);
                places.positions.push(None);
            }
            for (position, element) in (0i32..).zip(elements) {
                places.rows.push(row);
                places.elements.push(Some(u32::try_from(element).map_err(|e| e.to_string())?));
                places.positions.push(Some(position));
            }
        }
        Ok(places)
    }

    /// Refuses what would become too large, before it does.
    fn check_size(&self, rows: &RecordBatch, arrays: &ListArray, places: &Places) -> Result<(), String> {
        let fixed = size_of::<u32>() * 3 * places.rows.len() + bytes_of(arrays);
        let of_rows = |from: usize, count: usize| rows.columns().iter().map(move |c| bytes_of(&c.slice(from, count)));
        let longest = arrays.value_offsets().windows(2).map(|bounds| bounds[1] - bounds[0]).max().unwrap_or_default();
        let at_most = of_rows(0, rows.num_rows()).sum::<usize>().saturating_mul(usize::try_from(longest).unwrap_or(0));
        if fixed.saturating_add(at_most) <= BYTES_MAX {
            return Ok(());
        }
        let sizes: Vec<usize> = (0..rows.num_rows()).map(|row| of_rows(row, 1).sum()).collect();
        let copied = places.rows.iter().map(|row| sizes[*row as usize]).sum::<usize>();
        if fixed + copied <= BYTES_MAX {
            return Ok(());
        }
        Err(format!(
            "the {} elements of `{}` would become {} MiB of rows, and at most {} MiB may come of one row: drop what is \
             large in a map step before",
            places.rows.len(),
            self.unnest.array.sql,
            (fixed + copied) >> 20,
            BYTES_MAX >> 20
        ))
    }
}

impl RowStep for UnnestStep {
    fn apply(&self, _: usize, rows: &RecordBatch) -> Result<Applied, String> {
        let arrays = self.unnest.array.evaluate(rows).map_err(|e| format!("expr: {e}"))?;
        let arrays = arrays.as_list::<i32>();
        let places = self.places(arrays)?;
        self.check_size(rows, arrays, &places)?;
        let from = UInt32Array::from(places.rows);
        let taken = |column: &ArrayRef, rows: &UInt32Array| take(column, rows, None).map_err(|e| e.to_string());
        let mut columns = rows.columns().iter().map(|column| taken(column, &from)).collect::<Result<Vec<_>, _>>()?;
        let times = if has_event_time(&self.schema) { columns.pop() } else { None };
        columns.push(taken(arrays.values(), &UInt32Array::from(places.elements))?);
        if self.unnest.has_position {
            columns.push(Arc::new(Int32Array::from(places.positions)));
        }
        columns.extend(times);
        Ok(Applied { rows: batch(&self.schema, columns, from.len())?, from: MadeFrom::Rows(from) })
    }
}

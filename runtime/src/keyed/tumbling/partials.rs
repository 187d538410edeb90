//! Partial aggregates of one epoch. Senders make them row by row. Workers merge them into the windows. For windows that
//! stay open, the merged values are also the change of state that goes into the checkpoint.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use weir_plan::aggregate::{Aggregate, Key};
use weir_plan::floats::normalized;
use weir_plan::quote::quoted;
use weir_plan::window::Tumbling;

use super::group_table::GroupTable;
use crate::failure::{Failure, Result};
use crate::keyed::{Prepared, Sender};
use crate::state::Entries;

/// What one lane, or one step behind another window, has seen of an aggregate's input in the open epoch.
pub(super) struct Partials {
    aggregate: Arc<Aggregate>,
    window: Tumbling,
    table: GroupTable,
}

impl Partials {
    pub fn new(aggregate: Arc<Aggregate>, window: Tumbling) -> Result<Self> {
        let table = new_table(&aggregate)?;
        Ok(Self { aggregate, window, table })
    }
}

impl Sender for Partials {
    fn take_in(&mut self, rows: &Prepared) -> Result<()> {
        self.table.update(&rows.keys, rows.rows, &rows.arguments)
    }

    fn drain(&mut self) -> Result<Vec<Entries>> {
        let fresh = new_table(&self.aggregate)?;
        let full = std::mem::replace(&mut self.table, fresh);
        if full.groups() == 0 {
            return Ok(Vec::new());
        }
        let (keys, values) = full.drain()?;
        let Some(starts) = keys.last() else { return Err(Failure::bug("partial aggregates without windows")) };
        let times: Int64Array = starts.as_primitive::<Int64Type>().unary(|start| self.window.last_of(start));
        Ok(vec![Entries { times, deleted: None, keys, values }])
    }

    fn bytes(&self) -> usize {
        self.table.bytes()
    }
}

/// The group columns for rows of the input. Floating-point numbers that are equal have equal bits in them.
pub(super) fn keys_of(aggregate: &Aggregate, batch: &RecordBatch) -> Result<Vec<ArrayRef>, String> {
    aggregate.group_by.iter().map(|key| key_of(key, batch)).collect()
}

/// One of the group columns.
///
/// # Errors
/// A sentence, if the column can't be computed for one of the rows.
pub(super) fn key_of(key: &Key, batch: &RecordBatch) -> Result<ArrayRef, String> {
    let values = key.value.evaluate(batch).map_err(|e| format!("groupBy {}: {e}", quoted(key.value.field.name())))?;
    Ok(normalized(&values))
}

/// A table by group columns and window start.
fn new_table(aggregate: &Aggregate) -> Result<GroupTable> {
    let keys = aggregate.key_schema.fields().iter().map(|f| f.data_type().clone());
    GroupTable::new(&keys.chain([DataType::Int64]).collect::<Vec<_>>(), &aggregate.calls)
}

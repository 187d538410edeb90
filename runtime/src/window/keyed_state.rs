//! The open windows of one aggregate: a table per window ("pane"), because a window closes as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use weir_plan::aggregate::Aggregate;
use weir_plan::quote::quoted;

use super::group_table::GroupTable;
use super::partials::Partials;
use crate::failure::{Failure, Result};

/// Open windows by start.
pub struct KeyedState {
    aggregate: Arc<Aggregate>,
    schema: SchemaRef,
    key_types: Vec<DataType>,
    panes: BTreeMap<i64, GroupTable>,
}

impl KeyedState {
    /// `schema` is that of the step's rows: window bounds, group columns, outputs, event time.
    #[must_use]
    pub fn new(aggregate: Arc<Aggregate>, schema: SchemaRef) -> Self {
        let key_types = aggregate.key_schema.fields().iter().map(|f| f.data_type().clone()).collect();
        Self { aggregate, schema, key_types, panes: BTreeMap::new() }
    }

    /// Merges an epoch's change into the windows that it touches.
    pub fn apply(&mut self, change: &Partials) -> Result<()> {
        for (window, part) in change.by_window()? {
            let pane = match self.panes.entry(window) {
                std::collections::btree_map::Entry::Occupied(e) => e.into_mut(),
                std::collections::btree_map::Entry::Vacant(e) => e.insert(GroupTable::new(&self.key_types, &self.aggregate.calls)?),
            };
            pane.merge(&part.keys, part.rows(), &part.states)?;
        }
        Ok(())
    }

    /// Takes the windows of another part of the same state, which has none of ours.
    pub fn take_over(&mut self, mut other: Self) {
        self.panes.append(&mut other.panes);
    }

    /// Closes every window whose end the watermark has reached, and gives their rows.
    pub fn close_up_to(&mut self, watermark_us: i64) -> Result<Option<RecordBatch>> {
        let mut closed = Vec::new();
        while let Some(entry) = self.panes.first_entry() {
            if self.aggregate.window.end_of(*entry.key()) > watermark_us {
                break;
            }
            let (start, pane) = entry.remove_entry();
            closed.push(self.rows_of(start, pane)?);
        }
        if closed.is_empty() {
            return Ok(None);
        }
        concat_batches(&self.schema, &closed).map(Some).map_err(|e| Failure::bug(format!("rows of closed windows: {e}")))
    }

    fn rows_of(&self, start_us: i64, pane: GroupTable) -> Result<RecordBatch> {
        let end_us = self.aggregate.window.end_of(start_us);
        let (keys, values) = pane.evaluate()?;
        let rows = keys.iter().chain(&values).next().map_or(1, |a| a.len());
        let time = |us: i64| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![us; rows]).with_timezone("UTC")) };
        let bounds = [time(start_us), time(end_us)];
        let results = bounds.iter().chain(&keys).chain(&values).cloned().collect();
        let results = RecordBatch::try_new(Arc::clone(&self.aggregate.result_schema), results)
            .map_err(|e| Failure::bug(format!("results of a window: {e}")))?;
        let mut columns: Vec<ArrayRef> = bounds.iter().chain(&keys).cloned().collect();
        for output in &self.aggregate.outputs {
            let value = output.evaluate(&results).map_err(|e| {
                Failure::data(format!("column {} of the window [{start_us} µs, {end_us} µs): {e}", quoted(output.field.name())))
            })?;
            columns.push(value);
        }
        columns.push(time(end_us.saturating_sub(1)));
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|e| Failure::bug(format!("rows of a window: {e}")))
    }

    /// Of each open window, in the order of time.
    pub fn ends(&self) -> impl DoubleEndedIterator<Item = i64> {
        self.panes.keys().map(|start| self.aggregate.window.end_of(*start))
    }

    #[must_use]
    pub fn open_windows(&self) -> usize {
        self.panes.len()
    }

    #[must_use]
    pub fn groups(&self) -> usize {
        self.panes.values().map(GroupTable::groups).sum()
    }

    /// Heap bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.panes.values().map(GroupTable::bytes).sum()
    }
}
